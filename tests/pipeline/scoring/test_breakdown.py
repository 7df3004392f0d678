import pytest

from features.errors import DataError
from pipeline.datadir.timit_phones import PHONES_39, PHONES_61
from pipeline.scoring.breakdown import (
    age_band,
    class_confusion,
    error_tables,
    group_counts,
    phone_counts,
    read_traits,
)
from pipeline.scoring.classes import OTHER, class_table
from pipeline.scoring.counts import ErrorCounts, compare

CONFUSION = {("a", "a"): 4, ("a", "b"): 2, (None, "b"): 1, ("b", None): 3}


def test_phones_own_their_errors_and_add_up():
    found = phone_counts(CONFUSION)
    assert found == {
        "a": ErrorCounts(hits=4, substitutions=2),
        "b": ErrorCounts(deletions=3, insertions=1),
    }


def test_each_kind_of_error_has_its_table():
    assert error_tables(CONFUSION) == {
        "substitutions": [("a", "b", 2)],
        "insertions": [("<ins>", "b", 1)],
        "deletions": [("b", "<del>", 3)],
    }


def test_classes_keep_every_pair():
    found = class_confusion(CONFUSION, {"a": "vowel", "b": "stop"})
    assert found[("vowel", "stop")] == 2
    assert found[(None, "stop")] == 1
    assert found.total() == sum(CONFUSION.values())


@pytest.mark.parametrize("phones", [PHONES_61, PHONES_39, ["AA1", "ZH", "UHR", "sil"]])
def test_known_sets_have_a_class_each(phones):
    assert OTHER not in class_table(phones).values()


def test_the_lang_dirs_classes_go_first_and_strangers_are_other(tmp_path):
    (tmp_path / "classes.txt").write_text("aa click\n")
    found = class_table(["aa", "m", "xyz", "H"], path=tmp_path / "classes.txt")
    assert found == {"H": OTHER, "aa": "click", "m": "nasal", "xyz": OTHER}


@pytest.mark.parametrize(
    "age, band", [("7", "0-9"), ("20", "20-29"), ("29", "20-29"), ("old", "old")]
)
def test_ages_in_bands(age, band):
    assert age_band(age) == band


def test_traits_by_utterance_or_by_speaker(tmp_path):
    (tmp_path / "spk2gender").write_text("s f\nt m\n")
    (tmp_path / "utt2age").write_text("u 31\nv 8\n")
    found = read_traits(tmp_path, {"u": "s", "v": "t"})
    assert found == {"sex": {"u": "f", "v": "m"}, "age": {"u": "30-39", "v": "0-9"}}
    utterances = {"u": compare("a b", "a c"), "v": compare("a", "a")}
    groups = group_counts(utterances, found["sex"])
    total = sum((c.counts for c in utterances.values()), ErrorCounts())
    assert sum(groups.values(), ErrorCounts()) == total


def test_a_speaker_without_a_trait_is_named(tmp_path):
    (tmp_path / "spk2dialect").write_text("s dr1\n")
    with pytest.raises(DataError, match="spk2dialect: no line for 1 of 2: t"):
        read_traits(tmp_path, {"u": "s", "v": "t"})
