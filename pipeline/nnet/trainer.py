"""The training step: loss, clipped gradients, and nothing done on a batch that is not finite."""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from pipeline.nnet.batches import Batch, BatchPlan
from pipeline.nnet.config import OptimizerOptions, TrainConfig
from pipeline.nnet.network import AcousticModel


def framewise_loss(
    log_posteriors: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Cross-entropy over labelled frames.

    Args:
        log_posteriors: [B, T, V] float32.
        labels: [B, T] int32, -1 where nothing counts.

    Returns:
        Scalars: summed loss in nats, labelled frames, correctly classified ones.
    """
    counted = labels >= 0
    weights = tf.cast(counted, tf.float32)
    one_hot = tf.one_hot(
        labels, tf.shape(log_posteriors)[-1]
    )  # -1 gives a row of zeros
    loss = -tf.reduce_sum(one_hot * log_posteriors)
    best = tf.argmax(log_posteriors, axis=-1, output_type=tf.int32)
    correct = tf.reduce_sum(tf.cast(best == labels, tf.float32) * weights)
    return loss, tf.reduce_sum(weights), correct


def ctc_loss(
    log_posteriors: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Connectionist temporal classification (Graves et al. 2006), blank last.

    Args:
        log_posteriors: [B, T, V + 1] float32.
        labels: [B, L] int32 phone ids, -1 behind each row's end.
        mask: [B, T] bool, True on real frames.

    Returns:
        Scalars: summed negative log-likelihood in nats, number of labels.
    """
    places = tf.where(labels >= 0)
    loss, _ = tf.raw_ops.CTCLoss(
        inputs=tf.transpose(log_posteriors, [1, 0, 2]),  # [T, B, V + 1]
        labels_indices=places,
        labels_values=tf.gather_nd(labels, places),
        sequence_length=tf.reduce_sum(tf.cast(mask, tf.int32), axis=1),
    )
    return tf.reduce_sum(loss), tf.cast(tf.shape(places)[0], tf.float32)


def make_optimizer(options: OptimizerOptions) -> keras.optimizers.Optimizer:
    """Makes Keras's optimizer; the trainer clips, so that it can log the norm before."""
    match options.type:
        case "adam":
            return keras.optimizers.Adam(options.learning_rate)
        case "rmsprop":
            return keras.optimizers.RMSprop(
                options.learning_rate, momentum=options.momentum
            )
        case "sgd":
            return keras.optimizers.SGD(
                options.learning_rate, momentum=options.momentum, nesterov=True
            )


class Trainer(keras.Model):
    """Fits an acoustic model with `fit`: one step, its losses and its counts.

    Logs hold `loss` (nats a frame, or a label with CTC), `accuracy` (framewise), the last
    batch's `gradient_norm` before clipping, and `skipped`, 1 when a batch was not finite.

    Args:
        model: the network, its weights made.
        config: objective, optimizer and batches are used.
    """

    def __init__(self, model: AcousticModel, config: TrainConfig) -> None:
        super().__init__(name="trainer")
        self.model = model
        self._objective = config.objective
        self._clip_norm = config.optimizer.clip_norm
        self._carries = config.batches.chunk_frames is not None
        self._mean_loss = keras.metrics.Mean(name="loss")
        self._mean_accuracy = keras.metrics.Mean(name="accuracy")
        self.carried: list[list[tf.Variable]] = []
        if self._carries:
            self.carried = self._make_carried()
        self.compile(optimizer=make_optimizer(config.optimizer))
        self.optimizer.build(model.trainable_variables)
        self.built = True

    def _make_carried(self) -> list[list[tf.Variable]]:
        """Variables for every block's state; the number of rows changes with the batch."""
        frames = tf.zeros([1, 1, self.model.input_dim])
        _, states = self.model.run(frames)
        return [
            [
                tf.Variable(
                    tf.zeros_like(s), shape=[None, s.shape[-1]], trainable=False
                )
                for s in block
            ]
            for block in states
        ]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras sets back at the start of every epoch."""
        return [self._mean_loss, self._mean_accuracy]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Log-posteriors of frames [B, T, F]."""
        return self.model(inputs, training=training)

    def _start_states(
        self, batch: dict[str, tf.Tensor]
    ) -> list[list[tf.Tensor]] | None:
        if not self._carries:
            return None
        rows = tf.shape(batch["frames"])[0]

        def start(state: tf.Variable) -> tf.Tensor:
            return tf.cond(
                batch["first"],
                lambda: tf.zeros([rows, state.shape[-1]], state.dtype),
                state.read_value,
            )

        return [[start(state) for state in block] for block in self.carried]

    def _batch_losses(
        self,
        batch: dict[str, tf.Tensor],
        states: list[list[tf.Tensor]] | None,
        *,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[list[tf.Tensor]]]:
        """Summed loss, what it is to be divided by, correct frames, final states."""
        outputs, after = self.model.run(
            batch["frames"], batch["mask"], states, training=training
        )
        if self._objective.type == "ctc":
            loss, count = ctc_loss(outputs, batch["labels"], batch["mask"])
            return loss, count, tf.zeros([]), after
        return (*framewise_loss(outputs, batch["labels"]), after)

    def _update(self, loss: tf.Tensor, count: tf.Tensor, correct: tf.Tensor) -> None:
        # A chunk can hold padding only; its mean is then that of nothing.
        self._mean_loss.update_state(
            tf.math.divide_no_nan(loss, count), sample_weight=count
        )
        self._mean_accuracy.update_state(
            tf.math.divide_no_nan(correct, count), sample_weight=count
        )

    def _logs(self) -> dict[str, Any]:
        logs = {"loss": self._mean_loss.result()}
        if self._objective.type == "framewise":
            logs["accuracy"] = self._mean_accuracy.result()
        return logs

    def _carry(self, states: list[list[tf.Tensor]]) -> None:
        """Keeps the states that the next chunk starts from."""
        for block, new in zip(self.carried, states, strict=self._carries):
            for variable, value in zip(block, new, strict=True):
                variable.assign(value)

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Does one step on one batch; see `batch_tensors` for what it holds."""
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss, count, correct, states = self._batch_losses(
                data, self._start_states(data), training=True
            )
            mean = tf.math.divide_no_nan(loss, count)
        gradients = tape.gradient(mean, variables)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(mean) & tf.math.is_finite(norm)

        def step() -> tf.Tensor:
            scale = tf.minimum(1.0, tf.math.divide_no_nan(self._clip_norm, norm))
            self.optimizer.apply([g * scale for g in gradients], variables)
            self._update(loss, count, correct)
            self._carry(states)
            return tf.zeros([])

        def skip() -> tf.Tensor:
            # What the next chunk would start from is another batch's, or not finite.
            self._carry([[tf.zeros_like(state) for state in block] for block in states])
            return tf.ones([])

        skipped = tf.cond(finite, step, skip)
        return {**self._logs(), "gradient_norm": norm, "skipped": skipped}

    def test_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Measures one batch of the dev set."""
        self._update(*self._batch_losses(data, None, training=False)[:3])
        return self._logs()

    def state_variables(self) -> list[Any]:
        """All that a stopped training needs to go on: weights, moments, generators, metrics."""
        carried = [variable for block in self.carried for variable in block]
        return [
            *self.model.variables,
            *self.optimizer.variables,
            *self.metrics_state,
            *carried,
        ]

    @property
    def metrics_state(self) -> list[Any]:
        """The variables behind the running means of this epoch."""
        return [variable for metric in self.metrics for variable in metric.variables]


def batch_tensors(batch: Batch) -> dict[str, Any]:
    """What a step is given: frames [B, T, F], mask [B, T], labels, and `first`."""
    return {
        "frames": batch.frames,
        "mask": batch.mask,
        "labels": batch.labels,
        "first": batch.first,
    }


def make_dataset(
    plan: BatchPlan, *, input_dim: int, epoch: int = 0, start: int = 0
) -> tf.data.Dataset:
    """Turns a plan into Keras's input without end, made ahead of the step that uses it.

    Args:
        plan: the batches.
        input_dim: F.
        epoch, start: where to begin; later epochs follow.
    """

    def generate() -> Iterator[dict[str, Any]]:
        return map(batch_tensors, plan.stream(epoch, start=start))

    signature = {
        "frames": tf.TensorSpec([None, None, input_dim], tf.float32),
        "mask": tf.TensorSpec([None, None], tf.bool),
        "labels": tf.TensorSpec([None, None], tf.int32),
        "first": tf.TensorSpec([], tf.bool),
    }
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.prefetch(4)
