from pathlib import Path
from types import SimpleNamespace

import pytest

from features.errors import AudioError
from pipeline.reporting.album import Album, Chosen, choose, in_turn, sources
from pipeline.reporting.page import embedded_json
from pipeline.scoring.counts import ErrorCounts
from pipeline.scoring.record import as_json

KILO = "x" * 1000


def scored(rates, pairs=None, data="data/test"):
    """What of a scored set is looked at: percent wrong of 100 phones by utterance."""
    utterances = {
        utt: as_json(ErrorCounts(hits=100 - rate, substitutions=rate))
        for utt, rate in rates.items()
    }
    pairs = pairs or {utt: [("a", "a")] for utt in rates}
    system = SimpleNamespace(record={"utterances": utterances}, pairs=pairs)
    place = None if data is None else SimpleNamespace(path=Path(data))
    return SimpleNamespace(system=system, data=place)


def album(room, sound=None):
    return Album(
        room=room, sound=sound or (lambda data, utt: {"audio": 10 * KILO, "of": utt})
    )


def none(_):
    return None


def test_sets_of_the_same_folder_share_their_source():
    rows = [scored({}), scored({}, data="./data/test"), scored({}, data=None)]
    assert sources([*rows, scored({}, data="data/dev")]) == [0, 0, None, 1]


def test_sets_take_turns_the_worst_first():
    chosen = [
        Chosen({"asked": [], "worst": ["a", "b"], "median": ["c"]}, ["d"]),
        Chosen({"asked": ["e"], "worst": ["b"], "median": []}, []),
    ]
    assert list(in_turn(chosen)) == [
        (1, "e"), (0, "a"), (1, "b"), (0, "b"), (0, "c"), (0, "d")
    ]  # fmt: skip


def test_an_error_heard_in_another_set_of_the_data_asks_for_no_utterance():
    wrong = {"u1": [("a", "b")], "u2": [("a", "b")]}
    first = scored({"u1": 90, "u2": 10}, wrong)
    second = scored({"u1": 10, "u2": 90}, {"u1": [("c", "d")], "u2": [("e", "e")]})
    one, two = choose([first, second], 1, ["u2"])
    assert one.shown["worst"] == ["u1"]
    assert one.shown["asked"] == ["u2"]
    assert two.confused == []  # c for d is in u1, which the first set draws
    apart = scored({"u1": 10, "u2": 90}, second.system.pairs, data="data/dev")
    assert choose([first, apart], 1, [])[1].shown["worst"] == ["u2"]


def test_what_is_in_the_album_is_no_larger_than_its_room():
    found = [scored({}), scored({})]
    wanted = [(0, "a"), (1, "a"), (0, "b"), (1, "c"), (1, "d")]
    made = album(35000)
    made.fill(found, wanted, [none, lambda utt: {"image": KILO, "rows": [utt]}])
    assert set(made.media[0]) == {"a", "b", "c"}  # a once, for both sets
    assert set(made.posteriors[1]) == {"a", "c"}
    assert made.left_out == {1: ["d"]}
    size = len(embedded_json({"media": made.media, "posteriors": made.posteriors}))
    assert size - 40 <= 35000 - made.room <= size + 200


def test_a_large_utterance_does_not_stop_those_after_it():
    def sound(data, utt):
        return {"audio": (40 if utt == "long" else 5) * KILO}

    made = album(30000, sound)
    made.fill([scored({})], [(0, "long"), (0, "short")], [none])
    assert set(made.media[0]) == {"short"}
    assert made.left_out == {0: ["long"]}


def test_what_cannot_be_heard_is_a_fault_and_still_drawn():
    def sound(data, utt):
        raise AudioError(f"{utt}.wav: no such file")

    made = album(30000, sound)
    made.fill([scored({})], [(0, "u")], [lambda utt: {"rows": [utt]}])
    assert made.faults == {0: ["no audio of u: u.wav: no such file"]}
    assert made.left_out == {}


@pytest.mark.parametrize("data", [None, "data/test"])
def test_without_data_only_posteriors_are_drawn(data):
    made = album(30000)
    made.fill([scored({}, data=data)], [(0, "u")], [lambda utt: {"rows": [utt]}])
    assert made.posteriors == {0: {"u": {"rows": ["u"]}}}
    assert bool(made.media) == (data is not None)
