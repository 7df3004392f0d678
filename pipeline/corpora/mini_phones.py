"""The phones of the embedded corpus: espeak's mnemonics to ARPAbet, its events to times."""

from collections.abc import Sequence

import numpy as np

from features.errors import DataError

SILENCE = "sil"
STRESS_MARKS = "',%="

# Beyond ARPAbet's 39: AX the reduced vowel, DX the flap, EL the syllabic l, and the vowels that
# end in r (AAR of `car`), which espeak speaks as one sound without a boundary inside.
MNEMONICS = {
    **{"a": "AE", "aa": "AE", "V": "AH", "E": "EH", "I": "IH", "I2": "IH", "I#": "IH"},
    **{"i": "IY", "i:": "IY", "0": "AA", "A:": "AA", "O:": "AO", "O2": "AO", "U": "UH"},
    **{
        "u:": "UW",
        "3": "ER",
        "3:": "ER",
        "@": "AX",
        "@2": "AX",
        "@-": "AX",
        "a#": "AX",
    },
    **{"aI": "AY", "aU": "AW", "eI": "EY", "oU": "OW", "OI": "OY", "@L": "EL"},
    **{"A@": "AAR", "O@": "AOR", "o@": "AOR", "e@": "EHR", "U@": "UHR"},
    **{"i@": "IHR", "i@3": "IHR"},
    **{
        "p": "P",
        "b": "B",
        "t": "T",
        "t2": "T",
        "t#": "DX",
        "d": "D",
        "k": "K",
        "g": "G",
    },
    **{
        "tS": "CH",
        "dZ": "JH",
        "f": "F",
        "v": "V",
        "T": "TH",
        "D": "DH",
        "s": "S",
        "z": "Z",
    },
    **{
        "S": "SH",
        "Z": "ZH",
        "h": "HH",
        "m": "M",
        "n": "N",
        "N": "NG",
        "l": "L",
        "r": "R",
    },
    **{"r-": "R", "w": "W", "j": "Y", ";": "Y"},
    **{"_": SILENCE, "_:": SILENCE, "_!": SILENCE},
}
PHONES = tuple(sorted(set(MNEMONICS.values()) - {SILENCE})) + (SILENCE,)

CLOSED = frozenset("P T K B D G CH JH".split())
_CLOSURE_STEP = 0.004
_CLOSURE_LEVEL = 0.15  # of the utterance's RMS; above it the sound before still rings
_LONGEST_CLOSURE = 0.060
# Two frames of features; espeak gives the l of `old` no time at all.
_SHORTEST_PHONE = 0.020
_SHORTEST_PAUSE = 0.030

Mark = tuple[str, int]  # a phone and its first sample


def phone_of(mnemonic: str) -> str:
    """The phone of an espeak mnemonic, stress marks ignored.

    Raises:
        DataError: the mnemonic is not in the table.
    """
    plain = mnemonic.lstrip(STRESS_MARKS)
    if plain not in MNEMONICS:
        raise DataError(
            f"espeak mnemonic {mnemonic!r} has no phone; add it to MNEMONICS in "
            "pipeline/corpora/mini_phones.py or avoid the word in mini_grammar.py"
        )
    return MNEMONICS[plain]


def time_phones(
    events: Sequence[tuple[int, str]], samples: np.ndarray, rate_hz: int
) -> list[tuple[str, float, float]]:
    """Turns phoneme events into phones with times that cover the utterance.

    Args:
        events: first sample and mnemonic, by time.
        samples: [S], the utterance without added noise.
        rate_hz: of the samples.

    Returns:
        Phone, start and end in seconds: without gaps from 0 to S / rate_hz, no two pauses
        in a row, no phone shorter than 20 ms (but a pause at the beginning may be).

    Raises:
        DataError: a mnemonic has no phone, or there are no events.
    """
    if not events:
        raise DataError("espeak gave no phoneme events; is the text empty?")
    marks = [(SILENCE, 0)] + [(phone_of(mnemonic), first) for first, mnemonic in events]
    marks = _join_pauses(marks)
    marks = _move_closures(marks, samples, rate_hz)
    marks = _drop_short_pauses(marks, len(samples), rate_hz)
    marks = _lengthen(marks, len(samples), round(_SHORTEST_PHONE * rate_hz))
    ends = [first for _, first in marks[1:]] + [len(samples)]
    return [
        (phone, first / rate_hz, end / rate_hz)
        for (phone, first), end in zip(marks, ends)
        if end > first
    ]


def _join_pauses(marks: list[Mark]) -> list[Mark]:
    """Makes one pause of several in a row."""
    joined: list[Mark] = []
    for mark in marks:
        if not (joined and mark[0] == SILENCE == joined[-1][0]):
            joined.append(mark)
    return joined


def _move_closures(marks: list[Mark], samples: np.ndarray, rate_hz: int) -> list[Mark]:
    """Moves the onset of stops and affricates back over their closure.

    Espeak's event is at the burst; the closure is the near silence before it.
    """
    step = round(_CLOSURE_STEP * rate_hz)
    signal = np.asarray(samples, dtype=np.float64)
    limit = _CLOSURE_LEVEL * np.sqrt(np.mean(signal**2))
    moved = [marks[0]]
    for phone, first in marks[1:]:
        earliest = max(
            first - round(_LONGEST_CLOSURE * rate_hz),
            moved[-1][1] + round(_SHORTEST_PHONE * rate_hz),
        )
        while phone in CLOSED and first - step >= earliest:
            if np.sqrt(np.mean(signal[first - step : first] ** 2)) >= limit:
                break
            first -= step
        moved.append((phone, first))
    return moved


def _drop_short_pauses(marks: list[Mark], total: int, rate_hz: int) -> list[Mark]:
    """Gives pauses too short to be heard as such to the phone before them."""
    ends = [first for _, first in marks[1:]] + [total]
    shortest = _SHORTEST_PAUSE * rate_hz
    return [
        mark
        for number, (mark, end) in enumerate(zip(marks, ends))
        if not (number and mark[0] == SILENCE and end - mark[1] < shortest)
    ]


def _lengthen(marks: list[Mark], total: int, shortest: int) -> list[Mark]:
    """Lengthens phones shorter than `shortest` samples at the cost of those before."""
    latest = total
    lengthened: list[Mark] = []
    for phone, first in reversed(marks):
        latest = max(0, min(first, latest - shortest))
        lengthened.insert(0, (phone, latest))
    return [(marks[0][0], 0)] + lengthened[1:]
