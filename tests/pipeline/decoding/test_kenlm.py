"""Agreement with KenLM, another tool; kenlm/make.sh made the files and printed the figures."""

from pathlib import Path

import pytest

from pipeline.decoding.arpa import read_arpa
from pipeline.decoding.ngram import START
from pipeline.decoding.smoothing import train_ngram

FILES = Path(__file__).parent / "kenlm"
SYMBOLS = [f"p{number}" for number in range(12)]
PRINTED = 1e-6  # KenLM's ARPA files and figures have six or seven digits


def lines(name):
    return [line.split() for line in (FILES / name).read_text().splitlines()]


@pytest.mark.parametrize(
    "order, wanted", [(2, 12.1123398327706), (3, 11.52213813257336)]
)
def test_perplexity_of_its_models_is_what_it_says(order, wanted):
    found = read_arpa(FILES / f"{order}.arpa").perplexity(lines("held.txt"))
    assert found.tokens == 67
    assert found.value == pytest.approx(wanted, rel=PRINTED)


def test_its_kneser_ney_bigram_is_ours():
    # KenLM gives the unknown word a share of the uniform distribution: a thirteenth symbol.
    theirs = read_arpa(FILES / "2.arpa")
    ours = train_ngram(
        lines("train.txt"),
        order=2,
        symbols=[*SYMBOLS, "<unk>"],
        smoothing="kneser-ney",
    )
    del theirs.log10_probs[(START,)], ours.log10_probs[(START,)]  # never asked for
    assert ours.log10_probs == pytest.approx(theirs.log10_probs, abs=PRINTED)
    backoffs = {
        k: v for k, v in theirs.log10_backoffs.items() if k in ours.log10_backoffs
    }
    assert ours.log10_backoffs == pytest.approx(backoffs, abs=PRINTED)


def test_its_kneser_ney_trigram_is_nearly_ours():
    # Of 127 bigrams KenLM takes one for seen three times, not two, when it estimates
    # discounts: its first is 47 / 115, not 47 / 117. Nothing else differs.
    theirs = read_arpa(FILES / "3.arpa").perplexity(lines("held.txt"))
    ours = train_ngram(
        lines("train.txt"),
        order=3,
        symbols=[*SYMBOLS, "<unk>"],
        smoothing="kneser-ney",
    ).perplexity(lines("held.txt"))
    assert ours.value == pytest.approx(theirs.value, rel=5e-4)
