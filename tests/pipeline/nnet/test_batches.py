"""Batches: bounds, padding, and that epochs can be taken up anywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.frontend import FrontendOptions
from pipeline.alignments import read_alignments
from pipeline.datadir.lang import read_lang
from pipeline.nnet.batches import BatchPlan, cut_batches, pad
from pipeline.nnet.config import BatchOptions
from pipeline.nnet.examples import Examples, FeatureSource


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=200).map(sorted))
def test_cut_batches_keep_to_their_bounds(lengths):
    options = BatchOptions(frames=4000, utterances=16)
    ends = cut_batches(lengths, options)
    assert ends[-1] == len(lengths)
    for first, end in zip([0, *ends], ends, strict=False):
        rows = lengths[first:end]
        assert 1 <= len(rows) <= 16
        assert len(rows) == 1 or len(rows) * rows[-1] <= 4000
        assert sum(rows) > 0.9 * len(rows) * rows[-1]  # padding under 10 %


def test_pad_fills_behind_each_row():
    padded = pad([np.ones((1, 2)), np.full((3, 2), 2.0)], 0.0)
    assert padded[:, :, 0].tolist() == [[1, 0, 0], [2, 2, 2]]


@pytest.fixture
def examples(task, train_set) -> Examples:
    lang = read_lang(task / "data" / "lang")
    targets = read_alignments(task / "exp" / "ali_train", lang.phones, states=1)
    return Examples(FeatureSource(train_set, FrontendOptions()), targets)


def plan_of(examples, **options) -> BatchPlan:
    return BatchPlan(examples, BatchOptions(frames=300, **options), seed=3)


def test_an_epoch_holds_every_utterance_once(examples):
    batches = list(plan_of(examples).batches(0))
    assert sorted(k for b in batches for k in b.keys) == sorted(examples.keys)
    assert len(batches) == plan_of(examples).steps


def test_epochs_differ_and_repeat_by_seed(examples):
    plan = plan_of(examples)
    first = [b.keys for b in plan.batches(0)]
    assert first == [b.keys for b in plan_of(examples).batches(0)]
    assert first != [b.keys for b in plan.batches(1)]


def test_starting_later_gives_the_same_batches(examples):
    plan = plan_of(examples, chunk_frames=7)
    whole = list(plan.batches(2))
    rest = list(plan.batches(2, start=5))
    assert len(whole) == plan.steps
    assert len(rest) == len(whole) - 5
    for a, b in zip(whole[5:], rest, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        assert (a.keys, a.first) == (b.keys, b.first)


def test_a_step_is_named_by_its_utterances(examples):
    plan = plan_of(examples, chunk_frames=7)
    for step, batch in enumerate(plan.batches(1)):
        assert plan.keys(1, step) == batch.keys


def test_padding_after_jitter_is_under_ten_percent(examples):
    assert 0.0 < plan_of(examples).padding < 0.10


def test_chunks_join_to_the_whole_batch(examples):
    chunked = list(plan_of(examples, chunk_frames=7).batches(0))
    whole = {b.keys: b for b in plan_of(examples, chunk_frames=10_000).batches(0)}
    for keys, batch in whole.items():
        parts = [b for b in chunked if b.keys == keys]
        assert [p.first for p in parts] == [True] + [False] * (len(parts) - 1)
        joined = np.concatenate([p.frames for p in parts], axis=1)
        np.testing.assert_array_equal(joined, batch.frames)
