import random
import re
import shutil
import subprocess

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.alignment import ALIGNMENTS
from pipeline.scoring.counts import ErrorCounts, count_errors

phones = st.lists(st.sampled_from(["a", "b", "c", "sil"]), max_size=12)

SCLITE = next(
    (
        [path, *words]
        for command, *words in (["sctk", "sclite"], ["sclite"])
        if (path := shutil.which(command))
    ),
    None,
)


def edit_distance(left, right):
    """Fewest errors, by the recursion of Wagner & Fischer 1974 over prefixes."""
    table = {(0, j): j for j in range(len(right) + 1)}
    table |= {(i, 0): i for i in range(len(left) + 1)}
    for i, x in enumerate(left, start=1):
        for j, y in enumerate(right, start=1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (x != y),
            )
    return table[len(left), len(right)]


@given(reference=phones, hypothesis=phones)
def test_errors_are_the_edit_distance(reference, hypothesis):
    counts = count_errors(reference, hypothesis)
    assert counts.errors == edit_distance(reference, hypothesis)
    assert counts.tokens == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@given(reference=phones, hypothesis=phones)
def test_pairs_read_as_both_sides(alignment, reference, hypothesis):
    pairs = ALIGNMENTS[alignment](reference, hypothesis)
    assert [left for left, _ in pairs if left is not None] == reference
    assert [right for _, right in pairs if right is not None] == hypothesis
    assert (None, None) not in pairs


@given(reference=phones, hypothesis=phones)
def test_sclites_alignment_never_has_fewer_errors(reference, hypothesis):
    ours = count_errors(reference, hypothesis)
    theirs = count_errors(reference, hypothesis, alignment="sclite")
    assert theirs.errors >= ours.errors
    if theirs.errors == ours.errors:
        assert theirs.hits >= ours.hits


def test_sclite_prefers_six_errors_with_hits_to_five_without():
    # Three deletions and three insertions cost it 18, five substitutions 20.
    reference, hypothesis = "1 2 3 a a".split(), "a a 4 5 6".split()
    assert count_errors(reference, hypothesis).errors == 5
    found = count_errors(reference, hypothesis, alignment="sclite")
    assert found == ErrorCounts(hits=2, deletions=3, insertions=3)


def random_pairs(count, seed):
    """Unrelated pairs and noisy copies, from small and larger phone sets."""
    rng = random.Random(seed)
    for number in range(count):
        symbols = [f"p{i}" for i in range(rng.choice([2, 3, 8, 40]))]
        reference = rng.choices(symbols, k=rng.randint(1, 40))
        hypothesis = rng.choices(symbols, k=rng.randint(0, 40))
        if number % 2:
            kept = [p for p in reference if rng.random() > 0.1]
            hypothesis = [
                q
                for p in kept
                for q in (
                    p if rng.random() > 0.15 else rng.choice(symbols),
                    *rng.choices(symbols, k=rng.random() < 0.08),
                )
            ]
        yield reference, hypothesis


def test_a_thousand_pairs_are_counted_as_by_jiwer():
    for reference, hypothesis in random_pairs(1000, seed=7):
        output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        assert count_errors(reference, hypothesis) == ErrorCounts(
            output.hits, output.substitutions, output.deletions, output.insertions
        )


def sclite_counts(pairs, folder):
    """Runs NIST's sclite, case-sensitively, on transcripts; counts in the order of `pairs`."""
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = (
            " ".join(pair[side]) + f" (spk_{number:05d})\n"
            for number, pair in enumerate(pairs)
        )
        (folder / name).write_text("".join(lines))
    # fmt: off
    command = [*SCLITE, "-s", "-r", "ref", "trn", "-h", "hyp", "trn",
               "-i", "spu_id", "-o", "pralign", "stdout"]
    # fmt: on
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    found = re.findall(
        r"^id: \(spk_(\d+)\)\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$",
        done.stdout,
        flags=re.MULTILINE,
    )
    return [ErrorCounts(*map(int, row[1:])) for row in sorted(found)]


@pytest.mark.skipif(SCLITE is None, reason="sclite (Debian's sctk) is not installed")
def test_a_thousand_pairs_are_counted_as_by_sclite(tmp_path):
    pairs = list(random_pairs(1000, seed=11))
    theirs = sclite_counts(pairs, tmp_path)
    ours = [count_errors(r, h, alignment="sclite") for r, h in pairs]
    assert len(theirs) == len(pairs)
    assert ours == theirs


@pytest.mark.skipif(SCLITE is None, reason="sclite (Debian's sctk) is not installed")
def test_hypotheses_of_a_recogniser_have_sclites_totals_by_either_alignment(tmp_path):
    # Errors as a recogniser makes them, 20 % over 40 phones: the fewest errors are also what
    # sclite counts in total, and only its split into kinds differs here and there.
    rng = random.Random(3)
    symbols = [f"p{i}" for i in range(40)]
    pairs = []
    for _ in range(300):
        reference = rng.choices(symbols, k=rng.randint(10, 60))
        hypothesis = []
        for phone in reference:
            kind = rng.random()
            if kind > 0.06:
                hypothesis.append(phone if kind > 0.16 else rng.choice(symbols))
            if rng.random() < 0.04:
                hypothesis.append(rng.choice(symbols))
        pairs.append((reference, hypothesis))
    theirs = sclite_counts(pairs, tmp_path)
    assert [count_errors(r, h, alignment="sclite") for r, h in pairs] == theirs
    total = sum((count_errors(r, h) for r, h in pairs), ErrorCounts())
    wanted = sum(theirs, ErrorCounts())
    assert (total.errors, total.tokens) == (wanted.errors, wanted.tokens)
