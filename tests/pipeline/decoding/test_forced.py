import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.decoding.forced import align_ctc, align_transcript, locate_ctc
from pipeline.decoding.tokens import Token

FLOAT32_SUM = 1e-4  # sums of up to 9 float32 terms of size 3


def spoken_forms(words, silence):
    """Every phone sequence of a transcript: a variant a word, silence here and there or not."""
    pauses = [[()] if silence is None else [(), (silence,)]] * (len(words) + 1)
    for gaps in itertools.product(*pauses):
        for chosen in itertools.product(*words):
            parts = [gaps[0]]
            for word, gap in zip(chosen, gaps[1:], strict=True):
                parts += [tuple(word), gap]
            yield tuple(itertools.chain.from_iterable(parts))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "words, silence, states, min_frames, frames",
    [
        ([[(0, 1)], [(1,)]], None, 1, 1, 6),
        ([[(0, 1)], [(1,)]], 2, 1, 1, 6),
        ([[(0,), (1, 0)], [(1,), (0, 0)]], 2, 1, 1, 7),
        ([[(0,), (1, 1)]], 2, 1, 2, 8),
        ([[(0, 1)]], None, 3, 1, 9),
        ([[(1,)]], 0, 3, 4, 9),
        ([], 0, 1, 1, 3),
    ],
)
def test_alignment_is_the_best_of_all_forms(
    best_of_sequence, words, silence, states, min_frames, frames, seed
):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(frames, 3 * states)).astype(np.float32)
    wanted = max(
        best_of_sequence(scores, form, states=states, min_frames=min_frames)
        for form in spoken_forms(words, silence)
        if form and len(form) * max(states, min_frames) <= frames
    )
    labels = align_transcript(
        scores,
        words,
        silence=silence,
        states_per_phone=states,
        min_frames=min_frames,
    )
    assert labels.shape == (frames,)
    assert labels.dtype == np.int32
    total = scores[np.arange(frames), labels].sum()
    assert total == pytest.approx(wanted, abs=FLOAT32_SUM)


@settings(max_examples=60, deadline=None)
@given(
    phones=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    extra=st.integers(0, 20),
    states=st.sampled_from([1, 3]),
    seed=st.integers(0, 1000),
)
def test_states_are_walked_in_order(phones, extra, states, seed):
    frames = len(phones) * states + extra
    scores = np.random.default_rng(seed).normal(size=(frames, 4 * states))
    words = [[(phone,)] for phone in phones]
    labels = align_transcript(scores, words, silence=None, states_per_phone=states)
    walked = [labels[0]] + [b for a, b in itertools.pairwise(labels) if a != b]
    wanted = [phone * states + state for phone in phones for state in range(states)]
    assert walked == [
        label for label, _ in itertools.groupby(wanted)
    ]  # repeats look like one


@pytest.mark.parametrize("min_frames", [1, 3])
def test_a_transcript_longer_than_the_frames_is_refused(min_frames):
    scores = np.zeros((5 * min_frames - 1, 2))
    words = [[(0, 1, 0), (0, 1)], [(1, 0, 1)]]
    with pytest.raises(
        DataError, match=f"5 phones for .* at least {5 * min_frames} needed"
    ):
        align_transcript(scores, words, silence=1, min_frames=min_frames)


@pytest.mark.parametrize(
    "scores, words, message",
    [
        (np.zeros((3, 2)), [], "empty"),
        (np.full((3, 2), np.nan), [[(0,)]], "NaN"),
        (np.full((3, 2), -np.inf), [[(0,)]], "probability 0"),
        (np.zeros((3, 2)), [[(2,)]], "different phones"),
        (np.zeros((0, 2)), [[(0,)]], r"got \[0, 2\]"),
    ],
)
def test_what_cannot_be_aligned_is_refused(scores, words, message):
    with pytest.raises(DataError, match=message):
        align_transcript(scores, words, silence=None)


def collapse(path, blank):
    return [label for label, _ in itertools.groupby(path) if label != blank]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("phones", [[0], [0, 1], [1, 1], [0, 1, 0]])
def test_ctc_alignment_follows_the_best_path(phones, seed):
    frames, blank = 6, 2
    scores = np.random.default_rng(seed).normal(size=(frames, 3))
    paths = [
        path
        for path in itertools.product(range(3), repeat=frames)
        if collapse(path, blank) == phones
    ]
    best = max(paths, key=lambda path: scores[np.arange(frames), path].sum())
    labels = align_ctc(scores, phones)
    # Where the best path is not blank the labels are its own; elsewhere those of a neighbour.
    spoken = [time for time, label in enumerate(best) if label != blank]
    wanted = [
        best[min(spoken, key=lambda s, t=time: (abs(s - t), -s))]
        for time in range(frames)
    ]
    assert labels.tolist() == wanted

    runs = [(k, len(list(g))) for k, g in itertools.groupby(best)]
    ends = np.cumsum([length for _, length in runs]).tolist()
    assert locate_ctc(scores, phones) == [
        Token(label, end - length, end)
        for (label, length), end in zip(runs, ends, strict=True)
        if label != blank
    ]


def test_no_phones_are_nowhere():
    assert locate_ctc(np.zeros((3, 3)), []) == []


def test_ctc_blanks_go_half_to_each_side():
    scores = np.full((9, 3), -5.0)
    scores[np.arange(9), [2, 0, 2, 2, 2, 2, 1, 2, 2]] = 0.0
    assert align_ctc(scores, [0, 1]).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "frames, phones, message",
    [(2, [0, 0], "2 phones for .* more needed"), (3, [], "empty")],
)
def test_ctc_refuses_what_does_not_fit(frames, phones, message):
    with pytest.raises(DataError, match=message):
        align_ctc(np.zeros((frames, 3)), phones)
