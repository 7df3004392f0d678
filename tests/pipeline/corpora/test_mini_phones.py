"""Espeak's mnemonics and events as phones with times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.corpora.mini_phones import MNEMONICS, PHONES, phone_of, time_phones

RATE_HZ = 1000  # a sample is a millisecond
ARPABET = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH "
    "UH UW V W Y Z ZH"
).split()


def loud(milliseconds: int) -> np.ndarray:
    return np.where(np.arange(milliseconds) % 2, 1000, -1000).astype(np.int16)


def rounded(times: list[tuple[str, float, float]]) -> list[tuple[str, int, int]]:
    return [
        (p, round(start * RATE_HZ), round(end * RATE_HZ)) for p, start, end in times
    ]


def test_all_phones_of_english_are_there() -> None:
    assert set(ARPABET) < set(PHONES)
    assert PHONES[-1] == "sil"


@pytest.mark.parametrize(
    ("mnemonic", "phone"),
    [
        ("'OI", "OY"),
        (",U", "UH"),
        ("Z", "ZH"),
        ("%a#", "AX"),
        ("_:", "sil"),
        ("t#", "DX"),
    ],
)
def test_mnemonics_lose_their_stress(mnemonic: str, phone: str) -> None:
    assert phone_of(mnemonic) == phone


def test_an_unknown_mnemonic_is_an_error() -> None:
    with pytest.raises(
        DataError, match="mnemonic 'x' has no phone; add it to MNEMONICS"
    ):
        time_phones([(0, "x")], loud(100), RATE_HZ)


def test_no_events_are_an_error() -> None:
    with pytest.raises(DataError, match="no phoneme events"):
        time_phones([], loud(100), RATE_HZ)


def test_phones_last_until_the_next() -> None:
    times = time_phones(
        [(10, "s"), (100, "'i:"), (250, "_:"), (290, "_")], loud(400), RATE_HZ
    )
    assert rounded(times) == [
        ("sil", 0, 10),
        ("S", 10, 100),
        ("IY", 100, 250),
        ("sil", 250, 400),
    ]


@pytest.mark.parametrize(
    ("closure", "onset"), [(0, 200), (20, 180), (45, 156), (90, 140)]
)
def test_a_stop_begins_with_its_closure(closure: int, onset: int) -> None:
    samples = loud(400)
    samples[200 - closure : 200] = 0
    times = time_phones([(0, "a"), (200, "t"), (260, "a")], samples, RATE_HZ)
    assert rounded(times) == [("AE", 0, onset), ("T", onset, 260), ("AE", 260, 400)]


def test_other_phones_have_no_closure() -> None:
    samples = loud(400)
    samples[150:200] = 0
    times = time_phones([(0, "a"), (200, "s"), (260, "a")], samples, RATE_HZ)
    assert rounded(times)[1] == ("S", 200, 260)


def test_a_pause_too_short_to_hear_is_not_one() -> None:
    times = time_phones([(0, "s"), (100, "_"), (125, "a")], loud(300), RATE_HZ)
    assert rounded(times) == [("S", 0, 125), ("AE", 125, 300)]


def test_a_phone_without_duration_gets_some() -> None:
    events = [(0, "oU"), (100, "l"), (100, "d")]
    times = time_phones(events, loud(200), RATE_HZ)
    assert rounded(times) == [("OW", 0, 80), ("L", 80, 100), ("D", 100, 200)]


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from(sorted(MNEMONICS))),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 2**32 - 1),
)
def test_times_cover_the_utterance(steps: list[tuple[int, str]], seed: int) -> None:
    firsts = np.cumsum([step for step, _ in steps])
    events = [(int(first), name) for first, (_, name) in zip(firsts, steps)]
    total = int(firsts[-1]) + 20 * len(steps) + 40
    samples = np.random.default_rng(seed).integers(-2000, 2000, total).astype(np.int16)
    times = rounded(time_phones(events, samples, RATE_HZ))
    assert times[0][1] == 0
    assert times[-1][2] == total
    assert all(end == start for (_, _, end), (_, start, _) in zip(times, times[1:]))
    assert all(end > start for _, start, end in times)
    spoken = [name for name, _, _ in times]
    assert not any(a == b == "sil" for a, b in zip(spoken, spoken[1:]))
    expected = [phone_of(name) for _, name in events if phone_of(name) != "sil"]
    if firsts[0] >= 20 * len(steps):
        assert [name for name in spoken if name != "sil"] == expected
