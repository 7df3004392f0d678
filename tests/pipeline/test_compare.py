import json

import pytest

from features.errors import DataError
from pipeline.compare import compare
from pipeline.score import score


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ref").write_text("".join(f"u{n} a b c d e\n" for n in range(8)))
    (tmp_path / "utt2spk").write_text("".join(f"u{n} s{n % 4}\n" for n in range(8)))
    for name, wrong in (("bad", "a x c d"), ("good", "a b c d e")):
        rows = [f"u{n} {wrong if n < 6 else 'a b c d'}\n" for n in range(8)]
        (tmp_path / f"{name}.txt").write_text("".join(rows))
        score("ref", f"{name}.txt", utt2spk="utt2spk", out=f"{name}/scoring")
    return tmp_path


def test_a_better_system_is_found_better(folder, capsys):
    capsys.readouterr()
    compare("bad", "good", out="bad-good")
    said = capsys.readouterr().err
    assert "bad: %PER 35.00 [ 14 / 40," in said
    assert "good: %PER 5.00 [ 2 / 40," in said
    assert "over 4 speakers: -30.00" in said
    assert (folder / "bad-good").read_text().splitlines()[-1].startswith("MAPSSWE: ")
    record = json.loads((folder / "bad-good.json").read_text())
    assert record["utterances"]["better"] > 0.99
    # `b` and `e` are two segments, for `c d` between is right: 14 of them, 12 are mended.
    assert record["mapsswe"]["segments"] == 14
    assert record["mapsswe"]["mean"] == pytest.approx(-12 / 14)


def test_against_itself_there_is_no_difference(folder, capsys):
    compare("good", "good")
    assert "Z = n/a, p = 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, options, message",
    [
        ("u1 a b\n", {}, "7 utterances in one only: u0"),
        (None, {"alignment": "sclite"}, "alignment is 'jiwer' and 'sclite'"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder, content, options, message):
    if content:
        (folder / "ref").write_text(content)
        (folder / "good.txt").write_text(content)
    score("ref", "good.txt", utt2spk="utt2spk", out="other/scoring", **options)
    with pytest.raises(DataError, match=message):
        compare("bad", "other")


def test_a_dir_without_scores_is_named(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no scores .*; run keraldi score"):
        compare("empty", "good")


def test_scores_of_older_hypotheses_are_not_compared(folder):
    # Decoding anew takes the old error rate away, and leaves the other tables.
    (folder / "bad/scoring/per").unlink()
    with pytest.raises(DataError, match="bad: no scores of its hypotheses"):
        compare("good", "bad")
