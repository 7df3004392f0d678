"""The losses and the step, against values computed in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from pipeline.nnet.network import AcousticModel
from pipeline.nnet.trainer import Trainer, ctc_loss, framewise_loss

FLOAT32_SUM = 1e-5


def random_log_posteriors(*shape: int) -> np.ndarray:
    scores = np.random.default_rng(1).normal(size=shape)
    return (scores - np.log(np.exp(scores).sum(-1, keepdims=True))).astype(np.float32)


def test_framewise_loss_counts_labelled_frames_only():
    scores = random_log_posteriors(2, 4, 3)
    labels = np.array([[0, 2, 1, -1], [1, -1, -1, -1]], np.int32)
    loss, count, correct = framewise_loss(scores, labels)
    places = [(0, 0, 0), (0, 1, 2), (0, 2, 1), (1, 0, 1)]
    assert float(loss) == pytest.approx(
        -sum(scores[p] for p in places), abs=FLOAT32_SUM
    )
    assert float(count) == 4
    assert float(correct) == sum(scores[b, t].argmax() == v for b, t, v in places)


def paths_loss(scores: np.ndarray, labels: list[int]) -> float:
    """The definition: the sum over all paths that collapse to the labels."""
    total, blank = 0.0, scores.shape[-1] - 1
    for path in itertools.product(range(scores.shape[-1]), repeat=len(scores)):
        collapsed = [p for p, _ in itertools.groupby(path) if p != blank]
        if collapsed == labels:
            total += np.exp(sum(scores[t, p] for t, p in enumerate(path)))
    return -np.log(total)


def test_ctc_loss_is_the_sum_over_paths():
    scores = random_log_posteriors(2, 5, 3)
    labels = np.array([[0, 0], [1, -1]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
    loss, count = ctc_loss(scores, labels, mask)
    expected = paths_loss(scores[0], [0, 0]) + paths_loss(scores[1, :3], [1])
    assert float(loss) == pytest.approx(expected, rel=FLOAT32_SUM)
    assert float(count) == 3


@pytest.fixture
def trainer(small, config_of):
    config = config_of(
        {
            **small,
            "optimizer": {
                "type": "sgd",
                "learning_rate": 1.0,
                "momentum": 0.0,
                "clip_norm": 0.01,
            },
        }
    )
    model = AcousticModel.from_options(config.network, input_dim=3, num_outputs=4)
    return Trainer(model, config)


def batch_of(frames: np.ndarray) -> dict[str, tf.Tensor]:
    rows, length = frames.shape[:2]
    return {
        "frames": tf.constant(frames),
        "mask": tf.ones([rows, length], tf.bool),
        "labels": tf.ones([rows, length], tf.int32),
        "first": tf.constant(True),
    }


def test_gradients_are_clipped_by_their_common_norm(trainer):
    before = [v.numpy() for v in trainer.model.trainable_variables]
    logs = trainer.train_step(batch_of(np.ones((2, 5, 3), np.float32)))
    after = [v.numpy() for v in trainer.model.trainable_variables]
    moved = np.sqrt(
        sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True))
    )
    assert float(logs["gradient_norm"]) > 0.01
    assert moved == pytest.approx(0.01, rel=1e-3)


def test_a_batch_that_is_not_finite_changes_nothing(trainer):
    trainer.train_step(batch_of(np.ones((2, 5, 3), np.float32)))
    before = [np.array(v) for v in trainer.state_variables() if "seed" not in v.path]
    logs = trainer.train_step(batch_of(np.full((2, 5, 3), np.nan, np.float32)))
    after = [np.array(v) for v in trainer.state_variables() if "seed" not in v.path]
    assert float(logs["skipped"]) == 1.0
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_chunks_after_one_that_is_not_finite_start_from_nothing(small, config_of):
    layers = {"layers": [{"type": "lstmp", "cells": 6, "projection": 3}]}
    changed = {"network": layers, "batches": {"chunk_frames": 5}}
    config = config_of({**small, **changed})
    model = AcousticModel.from_options(config.network, input_dim=3, num_outputs=4)
    trainer = Trainer(model, config)
    ones = np.ones((2, 5, 3), np.float32)
    trainer.train_step(batch_of(ones))
    assert any(np.any(state) for block in trainer.carried for state in block)
    trainer.train_step(batch_of(np.full((3, 5, 3), np.nan, np.float32)))
    second = batch_of(np.ones((3, 5, 3), np.float32)) | {"first": tf.constant(False)}
    for block in trainer._start_states(second):
        for state in block:
            np.testing.assert_array_equal(state, np.zeros((3, state.shape[1])))
    assert float(trainer.train_step(second)["skipped"]) == 0.0
