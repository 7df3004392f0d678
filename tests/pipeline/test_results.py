import pytest

from features.errors import DataError
from pipeline.results import results
from pipeline.scoring.alignment import ALIGNMENTS
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.summary import Protocol, write_report
from pipeline.scoring.table import score_texts


def put(folder, errors, *, tuned=False, how="how"):
    """A scored decode dir: `errors` of ten phones wrong."""
    references = {"u1": ["a"] * 5, "u2": ["a"] * 5}
    found = ["x"] * errors + ["a"] * (10 - errors)
    hypotheses = {"u1": found[:5], "u2": found[5:]}
    scores = {
        policy: score_texts(
            references,
            hypotheses,
            policy=policy,
            silence=frozenset(),
            utt2spk={"u1": "s1", "u2": "s2"},
        )
        for policy in POLICIES
    }
    protocol = Protocol("strict", "why", "none", next(iter(ALIGNMENTS)), how, tuned)
    write_report(folder / "scoring", scores, protocol)


def test_sets_by_name_and_the_best_model_first(tmp_path, capsys):
    put(tmp_path / "ff/decode_test", 3)
    put(tmp_path / "deep/blstmp/decode_test", 1)
    put(tmp_path / "ff/decode_dev", 2, tuned=True)
    results(str(tmp_path))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    table = [row for row in rows if row[:1] in (["dev"], ["test"])]
    assert [row[:3] for row in table] == [
        ["dev", "ff", "20.00"],
        ["test", "deep/blstmp", "10.00"],
        ["test", "ff", "30.00"],
    ]
    assert table[0][-5:] == ["[1]", "tuned", "on", "this", "set"]
    assert [row[-1] for row in table[1:]] == ["[2]", "[2]"]
    assert table[1][3:10] == "0.00-20.00 10.00 10.00 10.00 1 / 10".split()


def test_each_protocol_is_printed_once(tmp_path, capsys):
    put(tmp_path / "a/decode_test", 1)
    put(tmp_path / "b/decode_test", 2)
    results(str(tmp_path))
    out = capsys.readouterr().out
    assert out.count("[1] headline: strict") == 1
    assert out.count("fold: none; 10 reference tokens in 2 utterances") == 1
    assert out.count("decoding: how") == 1


def test_nothing_scored_is_said(tmp_path):
    with pytest.raises(DataError, match="run keraldi score"):
        results(str(tmp_path))


def changed(text, line, new):
    lines = text.splitlines()
    lines[line] = new
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "%WER 3", r"form '%PER 18.50 .*, it begins with '%WER 3'; run"),
        (lambda text: "", "the file is empty; run keraldi score again"),
        (lambda text: changed(text, 0, "%PER n/a [ 0 / 0,"), "a first line of the"),
        (lambda text: changed(text, 1, ""), "a line '95 % interval LOW to HIGH"),
        (lambda text: text[: text.index("fold:")], "a line that begins with 'fold: '"),
    ],
)
def test_damage_is_told_in_words(damage, message, tmp_path):
    for name in ("a", "b"):
        put(tmp_path / name / "decode_test", 1)
        path = tmp_path / name / "decode_test/scoring/per"
        path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        results(str(tmp_path))
    told = str(caught.value).splitlines()
    assert [line.count("decode_test/scoring/per: expected") for line in told] == [1, 1]
    assert "\\" not in str(caught.value)


def test_any_scored_folder_counts_and_unscored_ones_are_named(tmp_path, capsys):
    put(tmp_path / "transcribed", 1)
    (tmp_path / "ff/decode_dev").mkdir(parents=True)
    (tmp_path / "ff/decode_dev/hyp").write_text("u a\n")
    results(str(tmp_path))
    captured = capsys.readouterr()
    assert "10.00" in captured.out and "transcribed" in captured.out
    assert "ff/decode_dev: decoded and not scored; run keraldi" in captured.err


def test_seeds_of_one_system_are_one_line(tmp_path, capsys):
    for seed, errors in ((1, 1), (2, 2), (3, 6)):
        put(tmp_path / f"blstmp_seed{seed}/decode_test", errors)
    put(tmp_path / "ff-s1/decode_test", 4)  # a single one has no spread
    put(tmp_path / "classes2/decode_test", 4)
    put(tmp_path / "classes3/decode_test", 4)
    results(str(tmp_path))
    said = [line for line in capsys.readouterr().out.splitlines() if "±" in line]
    # 10, 20 and 60: variance (400 + 100 + 900) / 2 = 700
    assert said == [
        "test blstmp: 30.00 ± 26.46 (mean and sd of 3 seeds, 10.00 to 60.00)"
    ]


@pytest.mark.parametrize(("source", "lines"), [("tuned on dev", 1), ("given", 0)])
def test_seeds_may_be_tuned_each_but_not_decoded_differently(
    source, lines, tmp_path, capsys
):
    for seed, weight in ((1, "1"), (2, "-0.5")):
        how = f"Viterbi, lm_weight {weight}, insertion_penalty {weight}; {source}"
        put(tmp_path / f"blstmp_seed{seed}/decode_test", seed, how=how)
    results(str(tmp_path))
    assert capsys.readouterr().out.count("±") == lines
