"""Training from settings, features and labels to `final.keras`."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from features.errors import ConfigError, DataError, counted
from features.files import atomic_file, write_text
from features.spectral import FeatureOptions
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.phones import PhoneTable
from pipeline.nnet.batches import BatchPlan
from pipeline.nnet.callbacks import Keeper, Report
from pipeline.nnet.checkpoints import assign_variables, average, load_arrays
from pipeline.nnet.config import TrainConfig
from pipeline.nnet.examples import Examples, FeatureSource, Targets
from pipeline.nnet.network import AcousticModel
from pipeline.nnet.recipe import Recipe
from pipeline.nnet.recogniser import Recogniser
from pipeline.nnet.trainer import Trainer, make_dataset


@dataclass(frozen=True)
class Material:
    """What a network is trained on.

    Attributes:
        train, dev: data dirs with features.
        train_targets, dev_targets: their labels.
        phones: the phone table the labels are indices into.
        features: how the features were made.
    """

    train: DataDir
    dev: DataDir
    train_targets: Targets
    dev_targets: Targets
    phones: PhoneTable
    features: FeatureOptions


def log_priors(examples: Examples, num_states: int) -> np.ndarray:
    """The states' shares of the training frames, one frame added to each.

    Returns:
        [S] float64, natural logs.
    """
    counts = np.ones(num_states)
    for index in range(len(examples.keys)):
        labels = examples.load(index)[1]
        counts += np.bincount(labels[labels >= 0], minlength=num_states)
    return np.log(counts / counts.sum())


def _environment(seed: int) -> str:
    """Versions, machine and commit, for `environment.txt`."""
    root = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=root,
        capture_output=True,
        text=True,
    ).stdout.strip()
    facts = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.machine()} {platform.system()} {os.cpu_count()} cores",
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "commit": commit or "unknown",
        "seed": seed,
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


class Training:
    """One training: builds everything from settings, fits, and writes the model.

    Args:
        config: all settings.
        material: data and labels.
        folder: the model dir.
        report: takes one line of news.
        dev_per: measures the dev PER of a recogniser in percent; for `select: per`.
        initial: weights to start from, in the model's order; drawn from the seed when None.
    """

    def __init__(
        self,
        config: TrainConfig,
        material: Material,
        *,
        folder: Path,
        report: Report,
        dev_per: Callable[[Recogniser], float] | None = None,
        initial: list[np.ndarray] | None = None,
    ) -> None:
        self._config = config
        self._material = material
        self._folder = folder
        self._report = report
        self._measure_per = dev_per
        keras.utils.set_random_seed(config.training.seed)
        tf.config.experimental.enable_op_determinism()
        source = FeatureSource(material.train, config.frontend)
        delay = config.objective.label_delay
        self._train = Examples(source, material.train_targets, label_delay=delay)
        self._check_frames()
        dev_source = FeatureSource(
            material.dev, config.frontend, global_stats=source.global_stats
        )
        self._dev = Examples(dev_source, material.dev_targets, label_delay=delay)
        self._global_stats = source.global_stats
        self._input_dim = config.frontend.output_dim(material.features.dim)
        self.model = AcousticModel.from_options(
            config.network, input_dim=self._input_dim, num_outputs=self._num_outputs()
        )
        if initial is not None:
            self.model.set_weights(initial)
        self.model.recipe = self._recipe().to_values()

    def _check_frames(self) -> None:
        """That utterances outlast the label delay; says so where phones outnumber frames.

        Raises:
            ConfigError: no label of any utterance comes before its end.
        """
        material, objective = self._material, self._config.objective
        path = material.train.path
        delay, skip = objective.label_delay, self._config.frontend.skip
        lengths = [length - delay for length in self._train.lengths]
        if delay >= max(lengths, default=1):
            raise ConfigError(
                f"objective.label_delay: {delay}, but the longest utterance of {path} has "
                f"{counted(max(lengths, default=0), 'network frame')}; lower it"
            )
        if skip == 1 or not self._train.framewise:  # CTC has refused what does not fit
            return
        labels = (material.train_targets.labels[utt] for utt in self._train.keys)
        phones = sum(
            1 + np.count_nonzero(np.diff(x // objective.states)) for x in labels
        )
        if sum(lengths) < phones:
            self._report(
                f"frontend.skip: {skip} leaves {sum(lengths) / len(lengths):.1f} frames of an "
                f"utterance of {path}, which has {phones / len(lengths):.1f} phones on average; "
                "lower it"
            )

    def _num_outputs(self) -> int:
        phones = len(self._material.phones)
        objective = self._config.objective
        return phones + 1 if objective.type == "ctc" else phones * objective.states

    def _recipe(self) -> Recipe:
        framewise = self._config.objective.type == "framewise"
        stats = self._global_stats
        return Recipe(
            phones=list(self._material.phones.symbols),
            features=self._material.features,
            frontend=self._config.frontend,
            objective=self._config.objective.type,
            states=self._config.objective.states,
            label_delay=self._config.objective.label_delay,
            log_priors=(
                log_priors(self._train, self._num_outputs()).tolist()
                if framewise
                else []
            ),
            global_cmvn=None if stats is None else np.asarray(stats.matrix).tolist(),
        )

    def _digest(self) -> str:
        """Identifies settings and data, so that only the same training is resumed."""
        total = hashlib.sha256(
            json.dumps(asdict(self._config), sort_keys=True).encode()
        )
        for examples, targets in (
            (self._train, self._material.train_targets),
            (self._dev, self._material.dev_targets),
        ):
            for key in examples.keys:
                total.update(key.encode())
                total.update(np.asarray(targets.labels[key], np.int32).tobytes())
        return total.hexdigest()

    def recogniser(self) -> Recogniser:
        """The network as it is now, ready to be decoded."""
        recipe = Recipe.from_values(self.model.recipe, source="the network in training")
        return Recogniser(self.model, recipe, source="the network in training")

    def fit(self) -> Recogniser:
        """Trains to the end, from the last saved state when there is one.

        Returns:
            The recogniser with the chosen weights; `final.keras` is written.
        """
        config = self._config
        plan = BatchPlan(
            self._train,
            config.batches,
            seed=config.training.seed,
            augment=config.augment,
            bands=self._material.features.dim,
        )
        whole = replace(config.batches, chunk_frames=None)
        dev_plan = BatchPlan(self._dev, whole, seed=0, shuffle=False)
        trainer = Trainer(self.model, config)
        keeper = Keeper(
            trainer,
            plan,
            config,
            folder=self._folder,
            digest=self._digest(),
            dev_per=self._dev_per(),
            report=self._report,
        )
        self._report(
            f"{self.model.count_params()} weights; {counted(plan.steps, 'step')} an epoch, "
            f"{100 * plan.padding:.1f} % padding"
        )
        runs = {b.layer.implementation for b in self.model.blocks if b.is_recurrent}
        self._report(f"recurrent layers run on {' and '.join(sorted(runs))}")
        write_text(self._folder / "environment.txt", _environment(config.training.seed))
        keeper.resume()
        self._fit_epochs(trainer, keeper, plan, dev_plan)
        self._choose(trainer, keeper, dev_plan)
        with atomic_file(self._folder / "final.keras") as temporary:
            self.model.save(temporary)
        return self.recogniser()

    def _dev_per(self) -> Callable[[], float] | None:
        measure = self._measure_per
        if measure is None:
            return None
        recogniser = self.recogniser()
        return lambda: measure(recogniser)

    def _fit_epochs(
        self, trainer: Trainer, keeper: Keeper, plan: BatchPlan, dev_plan: BatchPlan
    ) -> None:
        """Calls `fit` for the rest of an interrupted epoch, then for all that follow."""
        board = keras.callbacks.TensorBoard(str(self._folder / "log" / "tensorboard"))
        while not keeper.progress.finished:
            epoch, step = keeper.progress.epoch, keeper.progress.step
            trainer.fit(
                make_dataset(
                    plan,
                    input_dim=self._input_dim,
                    epoch=epoch,
                    start=step,
                ),
                validation_data=make_dataset(dev_plan, input_dim=self._input_dim),
                validation_steps=dev_plan.steps,
                steps_per_epoch=plan.steps - step,
                initial_epoch=epoch,
                epochs=self._config.training.epochs,
                callbacks=[keeper, board],
                shuffle=False,  # the plan has shuffled
                verbose=1 if os.isatty(1) else 2,
            )

    def _dev_figure(self, trainer: Trainer, dev_plan: BatchPlan) -> float:
        if self._config.training.select == "per" and self._measure_per is not None:
            return self._measure_per(self.recogniser())
        dataset = make_dataset(dev_plan, input_dim=self._input_dim)
        logs = trainer.evaluate(
            dataset, steps=dev_plan.steps, verbose=0, return_dict=True
        )
        return float(logs["loss"])

    def _choose(self, trainer: Trainer, keeper: Keeper, dev_plan: BatchPlan) -> None:
        """Takes the best epoch's weights, or the mean of the last ones where that is better."""
        progress = keeper.progress
        if progress.best is None:
            raise DataError(
                f"{self._folder}: the dev loss was never finite; lower optimizer.learning_rate"
            )
        best = load_arrays(keeper.best_path)[0]
        count = self._config.training.average
        if count > 1:
            last = range(max(0, progress.epoch - count), progress.epoch)
            assign_variables(
                self.model.weights, average([keeper.epoch_path(e) for e in last])
            )
            figure = self._dev_figure(trainer, dev_plan)
            self._report(
                f"mean of the last {len(last)} epochs: dev {self._config.training.select} "
                f"{figure:.4f}, best single epoch {progress.best:.4f}"
            )
            if figure < progress.best:
                return
        assign_variables(self.model.weights, best)
        self._report(
            f"weights of epoch {progress.best_epoch + 1}: dev {self._config.training.select} "
            f"{progress.best:.4f}"
        )
