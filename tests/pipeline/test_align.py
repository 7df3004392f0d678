"""Alignments from time marks: what is refused, and what is told."""

from pathlib import Path

import pytest

from features.errors import ConfigError
from features.spectral import FeatureOptions
from pipeline.align import align, from_times
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lang import Lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.times import PhoneInterval, write_ctm

LANG = Lang(PhoneTable(("sil", "a")), Fold({}), None, ("sil",))


@pytest.mark.parametrize(("out", "what"), [("data", "features"), ("lang", "phones")])
def test_nothing_is_aligned_into_what_is_read(out, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "lang"):
        (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=f"{out}/.: is where the {what} come from"):
        align("data", f"{out}/.", lang="lang")


def times_of(marks: dict[str, list[tuple[str, float, float]]], folder: Path) -> DataDir:
    """A data dir with marks and a second of features for each utterance."""
    data = DataDir(
        folder, {}, dict.fromkeys(marks, "s"), utt2num_frames=dict.fromkeys(marks, 98)
    )
    rows = {utt: [PhoneInterval(*mark) for mark in row] for utt, row in marks.items()}
    write_ctm(folder / "phones.ctm", rows)
    return data


def test_holes_between_marks_are_told(tmp_path, capsys):
    whole = [("sil", 0.0, 0.4), ("a", 0.418, 1.0)]
    torn = [("sil", 0.0, 0.4), ("a", 0.6, 0.8), ("sil", 0.85, 1.0)]
    data = times_of({"s-1": whole, "s-2": torn, "s-3": torn[1:]}, tmp_path)
    labels = from_times(data, LANG, FeatureOptions())
    assert labels["s-2"][45] == 0  # as before: a hole takes the phone before it
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "phones.ctm: 4 holes of more than 20 ms in the marks of 2 utterances" in said
    assert "first in 's-2' from 0.400 to 0.600 s" in said


def test_marks_without_holes_are_aligned_in_silence(tmp_path, capsys):
    whole = [("sil", 0.0, 0.4), ("a", 0.418, 1.0)]
    from_times(times_of({"s-1": whole}, tmp_path), LANG, FeatureOptions())
    assert capsys.readouterr().err == ""
