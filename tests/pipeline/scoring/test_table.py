import pytest

from features.errors import DataError
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.table import (
    check_same_utterances,
    headline_policy,
    score_texts,
)

SILENCE = frozenset({"sil"})
REFERENCES = {"u1": ["sil", "a", "b", "sil"], "u2": ["a"], "u3": ["b", "c"]}
HYPOTHESES = {"u3": ["b"], "u2": ["x"], "u1": ["sil", "sil", "a", "b"]}
SPEAKERS = {"u1": "s1", "u2": "s1", "u3": "s2"}


def score(policy):
    return score_texts(
        REFERENCES, HYPOTHESES, policy=policy, silence=SILENCE, utt2spk=SPEAKERS
    )


@pytest.mark.parametrize(
    "policy, first, total",
    [
        ("strict", ErrorCounts(3, 0, 1, 1), ErrorCounts(4, 1, 2, 1)),
        ("sil-forgiven", ErrorCounts(2), ErrorCounts(3, 1, 1, 0)),
        ("sil-collapsed", ErrorCounts(3, 0, 1, 0), ErrorCounts(4, 1, 2, 0)),
    ],
)
def test_utterances_are_joined_by_name_and_counted_by_speaker(policy, first, total):
    found = score(policy)
    assert found.utterances["u1"].counts == first
    assert found.total == total
    assert found.speakers["s1"] == first + ErrorCounts(substitutions=1)
    assert found.speakers["s2"] == ErrorCounts(hits=1, deletions=1)


def test_confusions_hold_every_pair():
    found = score("sil-forgiven").confusion
    assert dict(found) == {
        ("a", "a"): 1,
        ("b", "b"): 2,
        ("a", "x"): 1,
        ("c", None): 1,
    }


def test_utterances_are_drawn_where_there_is_one_speaker():
    one = score_texts(
        REFERENCES,
        HYPOTHESES,
        policy="strict",
        silence=SILENCE,
        utt2spk=dict.fromkeys(SPEAKERS, "s"),
    )
    assert (one.interval().groups, one.interval().unit) == (3, "utterances")
    assert score("strict").interval().unit == "speakers"


def test_both_sides_differences_are_listed():
    with pytest.raises(DataError) as caught:
        check_same_utterances(["u1", "u2"], ["u2", "u3", "u4"], source="hyp")
    assert str(caught.value).splitlines() == [
        "hyp: 1 utterance of the reference not there; decode the whole set: u1",
        "hyp: 2 utterances not in the reference; score against the set that was "
        "decoded: u3, u4",
    ]


@pytest.mark.parametrize(
    "references, silence, wanted",
    [
        ({"u": ["sil", "a"]}, SILENCE, "strict"),
        ({"u": ["a"]}, SILENCE, "sil-forgiven"),
        ({"u": ["a"]}, frozenset(), "strict"),
    ],
)
def test_the_headline_is_strict_where_silence_is_written(references, silence, wanted):
    assert headline_policy(references, silence) == wanted
