"""What happens between steps and epochs: schedule, selection, resuming, bad batches."""

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from features.errors import DataError, counted
from features.files import write_text
from pipeline.nnet.batches import BatchPlan
from pipeline.nnet.checkpoints import (
    assign_variables,
    load_arrays,
    read_variables,
    save_arrays,
)
from pipeline.nnet.config import TrainConfig
from pipeline.nnet.schedules import Newbob, stepwise_rate
from pipeline.nnet.trainer import Trainer

Report = Callable[[str], None]


@dataclass
class Progress:
    """How far a training is, beside its variables.

    Attributes:
        epoch, step: the next step to do.
        newbob: the state of that schedule, as plain values.
        best: lowest dev figure so far; None before the first epoch.
        best_epoch: the epoch it was reached in.
        bad_batches: batches skipped for being not finite.
        history: a row for every finished epoch.
        finished: whether no epoch is left to do.
    """

    epoch: int = 0
    step: int = 0
    newbob: dict[str, Any] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int = -1
    bad_batches: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False


class Keeper(keras.callbacks.Callback):
    """Keeps a training's state, so that the same command goes on after any interruption.

    Args:
        trainer: what is fitted.
        plan: its training batches, to name those of a bad batch.
        config: schedule and training options.
        folder: the model dir; states and weights go to `folder/checkpoints`.
        digest: identifies settings and data; a state with another digest is not taken up.
        dev_per: measures the dev PER in percent; only asked for with `select: per`.
        report: takes one line of news.
    """

    def __init__(
        self,
        trainer: Trainer,
        plan: BatchPlan,
        config: TrainConfig,
        *,
        folder: Path,
        digest: str,
        dev_per: Callable[[], float] | None,
        report: Report,
    ) -> None:
        super().__init__()
        self._trainer = trainer
        self._plan = plan
        self._config = config
        self._folder = folder
        self._digest = digest
        self._dev_per = dev_per
        self._report = report
        self._restored: list[np.ndarray] | None = None
        self._partial = False
        self._began = time.monotonic()
        rate = config.optimizer.learning_rate
        self.progress = Progress(newbob=asdict(Newbob(rate=rate)))

    @property
    def best_path(self) -> Path:
        """Weights of the best epoch."""
        return self._folder / "checkpoints" / "best.npz"

    @property
    def _state_path(self) -> Path:
        return self._folder / "checkpoints" / "state.npz"

    def epoch_path(self, epoch: int) -> Path:
        """Weights after an epoch, kept for averaging."""
        return self._folder / "checkpoints" / f"epoch{epoch + 1:04d}.npz"

    def resume(self) -> None:
        """Takes up the last saved state, if there is one of the same settings and data."""
        if not self._state_path.exists():
            return
        arrays, notes = load_arrays(self._state_path)
        if notes["digest"] != self._digest:
            self._report(
                f"{self._state_path}: of other settings or data; training starts anew"
            )
            return
        self.progress = Progress(**notes["progress"])
        variables = self._trainer.state_variables()
        assign_variables(variables, arrays)
        # Keras clears the running means when the epoch begins; they are put back after that.
        self._restored = read_variables(self._trainer.metrics_state)
        self._report(
            f"going on from epoch {self.progress.epoch + 1} of "
            f"{self._config.training.epochs}, step {self.progress.step}"
        )

    def _save(self) -> None:
        arrays = read_variables(self._trainer.state_variables())
        notes = {"digest": self._digest, "progress": asdict(self.progress)}
        save_arrays(self._state_path, arrays, notes)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Puts back the running means of an epoch that was interrupted."""
        self._began = time.monotonic()
        self._partial = self.progress.step > 0
        if self._restored is not None:
            if self.progress.step:
                assign_variables(self._trainer.metrics_state, self._restored)
            self._restored = None

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Sets the learning rate of this step."""
        if self._config.schedule.type == "newbob":
            rate = self.progress.newbob["rate"]
        else:
            rate = stepwise_rate(
                self._config.schedule,
                peak=self._config.optimizer.learning_rate,
                step=self.progress.epoch * self._plan.steps + self.progress.step,
                total=self._config.training.epochs * self._plan.steps,
            )
        self._trainer.optimizer.learning_rate.assign(rate)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Counts the step, names a bad batch, saves the state now and then."""
        logs = logs or {}
        if logs["skipped"]:
            self._count_bad(logs)
        self.progress.step += 1
        if self.progress.step % self._config.training.save_steps == 0:
            self._save()

    def _count_bad(self, logs: dict[str, float]) -> None:
        progress = self.progress
        progress.bad_batches += 1
        names = ", ".join(self._plan.keys(progress.epoch, progress.step))
        place = f"epoch {progress.epoch + 1}, step {progress.step + 1}"
        self._report(f"{place}: loss or gradient not finite; batch skipped: {names}")
        if progress.bad_batches >= self._config.training.bad_batches:
            raise DataError(
                f"{self._folder}: {counted(progress.bad_batches, 'batch', 'batches')} not "
                "finite, the last one "
                f"with {names}; lower optimizer.learning_rate or optimizer.clip_norm, or look "
                "at the features of these utterances"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measures, keeps the best weights, moves the schedule on and saves."""
        row = self._measure(epoch, logs or {})
        self.progress.history.append(row)
        self._select(epoch, row)
        self._schedule(row)
        self.progress.epoch, self.progress.step = epoch + 1, 0
        self.progress.finished |= self.progress.epoch == self._config.training.epochs
        self._write_history()
        self._save()
        # The rest of an epoch has fewer steps than `fit` must make of those that follow.
        if self.progress.finished or self._partial:
            self._trainer.stop_training = True

    def _measure(self, epoch: int, logs: dict[str, float]) -> dict[str, float]:
        row = {"epoch": float(epoch + 1)}
        row |= {
            k: float(v)
            for k, v in logs.items()
            if k not in ("skipped", "gradient_norm")
        }
        row["learning_rate"] = float(np.array(self._trainer.optimizer.learning_rate))
        if self._dev_per is not None:
            row["dev_per"] = self._dev_per()
        row["seconds"] = round(time.monotonic() - self._began, 2)
        return row

    def _select(self, epoch: int, row: dict[str, float]) -> None:
        training = self._config.training
        figure = row["dev_per"] if training.select == "per" else row["val_loss"]
        weights = read_variables(self._trainer.model.weights)
        best = self.progress.best
        if math.isfinite(figure) and (best is None or figure < best):
            self.progress.best, self.progress.best_epoch = figure, epoch
            save_arrays(self.best_path, weights, {"digest": self._digest})
        if training.average > 1:
            save_arrays(self.epoch_path(epoch), weights, {"digest": self._digest})
            self.epoch_path(epoch - training.average).unlink(missing_ok=True)
        waited = epoch - self.progress.best_epoch
        if training.patience is not None and waited >= training.patience:
            self._report(f"no better epoch in {waited}; stopping")
            self.progress.finished = True

    def _schedule(self, row: dict[str, float]) -> None:
        if self._config.schedule.type != "newbob":
            return
        newbob = Newbob(**self.progress.newbob).after(
            row["val_loss"], self._config.schedule
        )
        self.progress.newbob = asdict(newbob)
        accepted = self._folder / "checkpoints" / "accepted.npz"
        if newbob.accepted:
            weights = read_variables(self._trainer.model.weights)
            save_arrays(accepted, weights, {"digest": self._digest})
        else:
            assign_variables(self._trainer.model.weights, load_arrays(accepted)[0])
            self._report("dev loss rose; weights of the best epoch put back")
        if newbob.stopped:
            self._report("newbob: improvement under the threshold; stopping")
            self.progress.finished = True

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(
            text, self.progress.history[0].keys(), lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(self.progress.history)
        write_text(self._folder / "history.csv", text.getvalue())
