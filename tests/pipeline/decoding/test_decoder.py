import numpy as np
import pytest

from features.errors import DataError
from pipeline.datadir.phones import PhoneTable
from pipeline.datadir.times import PhoneInterval, frame_labels
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.grammar import flat_grammar, make_grammar
from pipeline.decoding.outputs import Clock, OutputLayer
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.smoothing import train_ngram
from pipeline.decoding.tokens import Token

PHONES = ("a", "b", "sil")
EXACT = 1e-9  # a few float64 operations on times below a second


def outputs(*, log_priors=None, states=1, ctc=False):
    priors = np.zeros(len(PHONES) * states) if log_priors is None else log_priors
    return OutputLayer(
        phones=list(PHONES),
        objective="ctc" if ctc else "framewise",
        states=states,
        log_priors=[] if ctc else priors.tolist(),
        frame_shift=0.01,
        frame_length=0.025,
        skip=1,
    )


def decoder(grammar=None, **layer):
    return Decoder(outputs(**layer), grammar or flat_grammar(len(PHONES)))


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
    second, third = clock.borders(np.array([2, 3]))
    assert second == pytest.approx(first, abs=EXACT)
    assert third - second == pytest.approx(skip * 0.01, abs=EXACT)


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
    posteriors = certain(PhoneTable(PHONES).indices(labels), 3)
    search = decoder()
    tokens = search.decode(posteriors, DecodeSettings())
    found = search.intervals(tokens, posteriors, 0.309)
    assert [m.phone for m in found] == ["sil", "a", "b"]
    for mark, wanted in zip(found, marks, strict=True):
        assert mark.start == pytest.approx(wanted.start, abs=0.005 + EXACT)
        assert mark.end == pytest.approx(wanted.end, abs=0.005 + EXACT)
        assert mark.confidence == pytest.approx(0.9, abs=1e-6)
    assert (found[0].start, found[-1].end) == (0.0, 0.309)


def test_confidence_adds_up_the_states_of_a_phone():
    posteriors = np.log(np.array([[0.2, 0.3, 0.5, 0, 0, 0]] * 2) + 1e-9)
    search = decoder(states=2)
    assert search.confidences([Token(0, 0, 2)], posteriors) == pytest.approx([0.5])


def test_confidence_is_the_mean_over_the_frames_of_each_phone():
    posteriors = np.random.default_rng(0).dirichlet(np.ones(3), 12)
    tokens = [Token(2, 1, 4), Token(0, 4, 5), Token(1, 7, 12)]
    expected = [posteriors[t.start : t.end, t.phone].mean() for t in tokens]
    found = decoder().confidences(tokens, np.log(posteriors).astype(np.float32))
    assert found == pytest.approx(expected, abs=1e-6)
    assert decoder().confidences([], np.log(posteriors)) == []


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


@pytest.mark.parametrize("greedy", [False, True])
def test_ctc_gives_phones_where_they_are_heard(greedy):
    posteriors = certain([3, 0, 0, 3, 1], 4)
    tokens = decoder(ctc=True).decode(posteriors, DecodeSettings(greedy=greedy))
    assert tokens == [Token(0, 1, 3), Token(1, 4, 5)]


def test_a_greedy_search_heeds_no_weight():
    posteriors = certain([0, 1, 0, 1], 3)
    greedy = DecodeSettings(insertion_penalty=99.0, greedy=True)
    assert len(decoder().decode(posteriors, greedy)) == 4


@pytest.mark.parametrize("ctc", [False, True])
def test_the_grammar_decides_between_phones_that_sound_alike(ctc):
    model = train_ngram([["a", "sil", "b"]] * 9, order=3, symbols=PHONES)
    grammar = make_grammar(model, PhoneTable(PHONES))
    probs = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.46, 0.44, 0.1]])
    if ctc:
        probs = np.concatenate([probs * 0.99, np.full((3, 1), 0.01)], axis=1)
    search = decoder(grammar, ctc=ctc)
    posteriors = np.log(probs).astype(np.float32)

    def heard(weight):
        found = search.decode(posteriors, DecodeSettings(lm_weight=weight))
        return [token.phone for token in found]

    assert heard(0.0) == [0, 2, 0]
    assert heard(1.0) == [0, 2, 1]


@pytest.mark.parametrize("ctc", [False, True])
def test_scores_of_the_best_are_the_sum_of_their_parts(ctc):
    model = train_ngram([["a", "b"], ["b", "sil"]], order=2, symbols=PHONES)
    grammar = make_grammar(model, PhoneTable(PHONES))
    posteriors = certain([0, 0, 1, 1, 2], 4 if ctc else 3)
    settings = DecodeSettings(lm_weight=2.0, insertion_penalty=0.5)
    search = decoder(grammar, ctc=ctc)
    found = search.nbest(posteriors, settings, count=5)
    assert len(found) == 5
    assert found[0].tokens == search.decode(posteriors, settings)
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)
    for hypothesis in found:
        phones = [PHONES[token.phone] for token in hypothesis.tokens]
        history, lm = ("<s>",), 0.0
        for phone in (*phones, "</s>"):
            lm += model.log_prob(history, phone)
            history = (*history, phone)
        assert hypothesis.lm == pytest.approx(lm)
        whole = hypothesis.acoustic + 2.0 * lm - 0.5 * len(phones)
        assert hypothesis.score == pytest.approx(whole)


def test_posteriors_of_phones_add_up_their_states():
    posteriors = np.log(np.array([[0.1, 0.2, 0.3, 0.1, 0.1, 0.2]]))
    found = outputs(states=2).phone_posteriors(posteriors)
    assert found.dtype == np.float32
    assert np.exp(found) == pytest.approx(np.array([[0.3, 0.4, 0.3]]), abs=1e-6)


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
        outputs(ctc=ctc).check("u1", matrix)
