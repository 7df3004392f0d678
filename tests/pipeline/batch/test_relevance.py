"""What of tables decides whether a result still holds."""

import dataclasses

import numpy as np
import pytest

from features.archive import ArchiveWriter
from pipeline.batch.items import Item
from pipeline.batch.relevance import relevant


@pytest.fixture
def item(tmp_path):
    write_stats(tmp_path, ann=1.0, bob=2.0)
    cmvn = str(tmp_path / "cmvn.scp")
    return Item("u", "u.wav", speaker="ann", cmvn=cmvn, text=("some", "words"))


def write_stats(folder, **values: float) -> None:
    with ArchiveWriter(folder / "cmvn.ark", folder / "cmvn.scp") as writer:
        for name, value in values.items():
            writer.write(name, np.full((2, 13), value))


def basis(item: Item, *, text: bool = False, speaker: bool = False) -> str:
    (found,) = relevant([item], text=text, speaker=speaker)
    return found.basis


def test_a_transcript_matters_only_where_words_are_wanted(item):
    other = dataclasses.replace(item, text=("others",))
    assert basis(item) == basis(other) == ""
    assert basis(item, text=True) != basis(other, text=True)
    none, empty = (dataclasses.replace(item, text=text) for text in (None, ()))
    assert basis(none, text=True) != basis(empty, text=True)


def test_statistics_matter_only_where_they_are_used(item, tmp_path):
    before = basis(item, speaker=True)
    other = dataclasses.replace(item, speaker="bob")
    assert basis(item) == basis(other) == ""
    assert before != basis(other, speaker=True)
    write_stats(tmp_path, ann=1.0, bob=3.0, eve=1.0)
    assert basis(item, speaker=True) == before
    # another name for the same figures
    renamed = dataclasses.replace(item, speaker="eve")
    assert basis(renamed, speaker=True) == before
    write_stats(tmp_path, ann=4.0, bob=3.0)
    assert basis(item, speaker=True) != before


@pytest.mark.parametrize("broken", ["bob FILE:5\n", "ann absent.ark:4\n", "ann\n", ""])
def test_what_is_broken_is_another_when_mended(item, tmp_path, broken):
    path = tmp_path / "cmvn.scp"
    whole, before = path.read_text(), basis(item, speaker=True)
    path.write_text(broken)
    failing = basis(item, speaker=True)
    assert failing not in ("", before)
    path.write_text(whole)
    assert basis(item, speaker=True) == before
