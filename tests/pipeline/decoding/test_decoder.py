import numpy as np
import pytest

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.datadir.times import PhoneInterval, frame_labels
from pipeline.decoding.decoder import Clock, Decoder
from pipeline.decoding.ngram import flat_bigram
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import Token

PHONES = PhoneTable(("a", "b", "sil"))
CLOCK = Clock(frame_shift=0.01, frame_length=0.025, skip=1)
EXACT = 1e-9  # a few float64 operations on times below a second


def decoder(*, log_priors=None, states=1, ctc=False):
    priors = np.zeros(len(PHONES) * states) if log_priors is None else log_priors
    return Decoder(PHONES, flat_bigram(len(PHONES)), priors, states, ctc)


def certain(labels, width):
    """Posteriors of 0.9 for a label and the rest shared: [T, width]."""
    probs = np.full((len(labels), width), 0.1 / (width - 1))
    probs[np.arange(len(labels)), labels] = 0.9
    return np.log(probs).astype(np.float32)


@pytest.mark.parametrize("skip, first", [(1, 0.0275), (2, 0.0525), (3, 0.0675)])
def test_borders_lie_between_the_centres_that_labels_are_taken_from(skip, first):
    # Network frame 2 is labelled by feature frame 2 * skip + skip // 2, centred at
    # that * 10 ms + 12.5 ms; half of skip * 10 ms before it is the border to frame 1.
    clock = Clock(0.01, 0.025, skip)
    assert clock.border(2) == pytest.approx(first, abs=EXACT)
    assert clock.border(3) - clock.border(2) == pytest.approx(skip * 0.01, abs=EXACT)


def test_times_to_labels_and_back_are_off_by_less_than_half_a_frame():
    marks = [
        PhoneInterval("sil", 0.0, 0.113),
        PhoneInterval("a", 0.113, 0.2),
        PhoneInterval("b", 0.2, 0.309),
    ]
    frames = 29
    labels = frame_labels(
        marks, num_frames=frames, frame_shift=0.01, frame_length=0.025
    )
    posteriors = certain(PHONES.indices(labels), 3)
    search = decoder()
    tokens = search.decode(posteriors, DecodeSettings())
    found = search.intervals(tokens, posteriors, CLOCK, 0.309)
    assert [m.phone for m in found] == ["sil", "a", "b"]
    for mark, wanted in zip(found, marks, strict=True):
        assert mark.start == pytest.approx(wanted.start, abs=0.005 + EXACT)
        assert mark.end == pytest.approx(wanted.end, abs=0.005 + EXACT)
        assert mark.confidence == pytest.approx(0.9, abs=1e-6)
    assert (found[0].start, found[-1].end) == (0.0, 0.309)


def test_confidence_adds_up_the_states_of_a_phone():
    posteriors = np.log(np.array([[0.2, 0.3, 0.5, 0, 0, 0]] * 2) + 1e-9)
    search = decoder(states=2)
    assert search.confidence(Token(0, 0, 2), posteriors) == pytest.approx(0.5)


def test_priors_are_divided_out():
    posteriors = np.log(np.array([[0.5, 0.4, 0.1]] * 3, np.float32))
    search = decoder(log_priors=np.log(np.array([0.6, 0.2, 0.2], np.float32)))
    assert search.decode(posteriors, DecodeSettings())[0].phone == 1
    plain = DecodeSettings(prior_scale=0.0)
    assert search.decode(posteriors, plain)[0].phone == 0


def test_the_acoustic_scale_weighs_against_the_penalty():
    posteriors = certain([0, 1, 0, 1], 3)
    strong = DecodeSettings(insertion_penalty=3.0, acoustic_scale=3.0)
    weak = DecodeSettings(insertion_penalty=3.0, acoustic_scale=0.5)
    assert len(decoder().decode(posteriors, strong)) == 4
    assert len(decoder().decode(posteriors, weak)) == 1


def test_ctc_is_decoded_greedily():
    posteriors = certain([3, 0, 0, 3, 1], 4)
    tokens = decoder(ctc=True).decode(posteriors, DecodeSettings())
    assert tokens == [Token(0, 1, 3), Token(1, 4, 5)]


@pytest.mark.parametrize(
    "matrix, ctc, message",
    [
        (np.zeros((2, 4)), False, r"'u1': expected .* \[T, 3\], got \[2, 4\]"),
        (np.zeros((2, 3)), True, r"'u1': expected .* \[T, 4\], got \[2, 3\]"),
        (np.full((2, 3), np.nan), False, "'u1': its posteriors hold NaN"),
    ],
)
def test_posteriors_of_another_model_are_refused(matrix, ctc, message):
    with pytest.raises(DataError, match=message):
        decoder(ctc=ctc).check("u1", matrix)
