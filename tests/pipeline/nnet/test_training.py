"""Training as a whole: it learns, it repeats, it goes on after an interruption."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

from features.errors import ConfigError, DataError
from features.spectral import FeatureOptions
from pipeline.alignments import read_alignments
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.nnet.callbacks import Keeper
from pipeline.nnet.recogniser import load_recogniser
from pipeline.nnet.training import Material, Training
from pipeline.train import ctc_targets, dev_per


@pytest.fixture(scope="module")
def training_of(task, config_of):
    """Makes a `Training` of plain settings in a folder."""

    def make(values: dict, folder: Path, lines: list[str] | None = None) -> Training:
        config = config_of(values)
        lang = read_lang(task / "data" / "lang")
        sets = [read_datadir(task / "data" / n) for n in ("train", "dev")]
        if config.objective.type == "ctc":
            targets = [ctc_targets(data, lang) for data in sets]
        else:
            targets = [
                read_alignments(
                    task / "exp" / n, lang.phones, states=config.objective.states
                )
                for n in ("ali_train", "ali_dev")
            ]
        material = Material(*sets, *targets, lang.phones, FeatureOptions(num_mels=8))
        per = config.training.select == "per"
        return Training(
            config, material, folder=folder,
            report=(lines if lines is not None else []).append,
            dev_per=(lambda r: dev_per(r, sets[1], lang)) if per else None,
        )  # fmt: skip

    return make


# One state a phone, and CTC, learn in test_stages.
KINDS = {
    "states": {"objective": {"states": 3}, "training": {"epochs": 6}},
    "truncated": {
        "network": {"layers": [{"type": "lstmp", "cells": 16}]},
        "batches": {"frames": 600, "chunk_frames": 8},
        "objective": {"label_delay": 1},
        "training": {"epochs": 8},
    },
}
# Where the kind of layer does not matter, one whose graph is drawn at once.
DENSE = {
    "layers": [{"type": "dense", "cells": 12, "activation": "relu", "dropout": 0.2}]
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind, small, training_of, task, tmp_path):
    training = training_of({**small, **KINDS[kind]}, tmp_path)
    lang, dev = read_lang(task / "data" / "lang"), read_datadir(task / "data" / "dev")
    training.fit()
    trained = dev_per(load_recogniser(tmp_path), dev, lang)
    assert trained < 10  # percent; guesses have over 70
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])


class Stopped(Exception):
    """Stands for a process that ends between two steps."""


def fit_with_stops(make, stops: list[int], monkeypatch) -> Training:
    """Fits, ending the process's work after each number of steps, until it is done."""
    original = Keeper.on_train_batch_end
    for stop in stops:
        count = 0

        def counted(self, batch, logs=None, stop=stop):
            nonlocal count
            original(self, batch, logs)
            count += 1
            if count == stop:
                raise Stopped

        monkeypatch.setattr(Keeper, "on_train_batch_end", counted)
        with pytest.raises(Stopped):
            make().fit()
    monkeypatch.setattr(Keeper, "on_train_batch_end", original)
    training = make()
    training.fit()
    return training


@pytest.mark.parametrize(
    ("kind", "stops"),
    [("truncated", [7]), ("newbob", [3, 9])],  # in an epoch, and in one after it
)
def test_interrupted_training_ends_with_the_same_weights(
    kind, stops, small, training_of, tmp_path, monkeypatch, capsys
):
    values = {**small, "augment": {"frequency_masks": 1, "frequency_width": 2}}
    if kind == "truncated":
        values |= KINDS[kind]
        values["training"] = {**small["training"], "epochs": 2}
    if kind == "newbob":
        values |= {"network": DENSE, "schedule": {"type": "newbob"}}
    whole = training_of(values, tmp_path / "whole")
    whole.fit()
    parts = fit_with_stops(
        lambda: training_of(values, tmp_path / "parts"), stops, monkeypatch
    )
    for a, b in zip(whole.model.get_weights(), parts.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    histories = [
        [{**row, "seconds": ""} for row in csv.DictReader(text.splitlines())]
        for text in (
            (tmp_path / n / "history.csv").read_text() for n in ("whole", "parts")
        )
    ]
    assert histories[0] == histories[1]
    said = capsys.readouterr().out.splitlines()
    epochs = {line.partition("/")[2] for line in said if line.startswith("Epoch ")}
    assert epochs == {str(whole._config.training.epochs)}


AVERAGED = {"epochs": 2, "seed": 5, "average": 2}


@pytest.fixture(scope="module")
def trained(small, training_of, tmp_path_factory) -> tuple[Training, Path, list[str]]:
    """A training that has ended, its model dir, and what it reported."""
    folder, lines = tmp_path_factory.mktemp("trained"), []
    training = training_of({**small, "training": AVERAGED}, folder, lines)
    training.fit()
    return training, folder, lines


def test_the_same_seed_makes_the_same_run(small, trained, training_of, tmp_path):
    training = training_of({**small, "training": AVERAGED}, tmp_path)
    training.fit()
    sides = (trained[0].model.get_weights(), training.model.get_weights())
    assert all(map(np.array_equal, *sides))


def test_another_seed_draws_other_weights(small, training_of, tmp_path):
    kernels = []
    for seed in (5, 6):  # test_batches holds that batches differ as well
        values = {**small, "training": {**AVERAGED, "seed": seed}}
        weights = training_of(values, tmp_path).model.trainable_weights
        kernels.append([np.array(w) for w in weights if "kernel" in w.name])
    assert not any(map(np.array_equal, *kernels))


def test_bad_batches_are_named_and_then_end_the_run(small, training_of, tmp_path):
    lines: list[str] = []
    values = {
        **small,
        "network": DENSE,
        "optimizer": {"type": "sgd", "learning_rate": 1e30, "clip_norm": 1e30},
    }
    values["training"] = {"epochs": 3, "bad_batches": 2}
    with pytest.raises(DataError, match="2 batches not finite.*learning_rate"):
        training_of(values, tmp_path, lines).fit()
    assert any("batch skipped: s" in line for line in lines)


def test_the_mean_of_the_last_epochs_is_weighed_against_the_best(trained):
    lines = trained[2]
    assert any(line.startswith("mean of the last 2 epochs: dev loss") for line in lines)


def test_a_finished_model_carries_what_inference_needs(trained):
    recogniser = load_recogniser(trained[1])
    assert recogniser.phones.symbols == ("sil", "a", "b", "c")
    assert recogniser.features == FeatureOptions(num_mels=8)
    assert np.exp(recogniser.log_priors).sum() == pytest.approx(1.0, abs=1e-5)
    assert recogniser.frame_shift == pytest.approx(0.01)


def test_other_features_are_refused(trained, tmp_path):
    (tmp_path / "features.yaml").write_text("{num_mels: 12}\n")
    with pytest.raises(DataError, match="num_mels is 12 but .* trained with 8"):
        load_recogniser(trained[1]).check_data(tmp_path)


def test_a_damaged_model_is_refused(tmp_path):
    (tmp_path / "final.keras").write_bytes(b"not a zip file")
    with pytest.raises(DataError, match="final.keras: cannot be loaded"):
        load_recogniser(tmp_path)


def test_a_foreign_model_is_refused(tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(
        tmp_path / "final.keras"
    )
    with pytest.raises(DataError, match="holds a Sequential"):
        load_recogniser(tmp_path)


def test_labels_later_than_every_utterance_ends_are_refused(
    small, task, training_of, tmp_path
):
    data = read_datadir(task / "data" / "train")
    longest = max(data.utt2num_frames.values())
    values = {**small, "network": DENSE, "frontend": {"skip": 2}}
    frames = -(-longest // 2)
    late = {**values, "objective": {"label_delay": frames}}
    message = f"label_delay: {frames}, but the longest .*/train has {frames} network fr"
    with pytest.raises(ConfigError, match=message):
        training_of(late, tmp_path)
    training_of({**values, "objective": {"label_delay": frames - 1}}, tmp_path)


@pytest.mark.parametrize("states", [1, 3])
def test_fewer_frames_than_phones_are_told(small, task, training_of, tmp_path, states):
    lines: list[str] = []
    data = read_datadir(task / "data" / "train")
    phones = np.mean([len(words) for words in data.text.values()])
    values = {**small, "network": DENSE, "objective": {"states": states}}
    training_of({**values, "frontend": {"skip": 3}}, tmp_path, lines)
    assert not lines
    training_of({**values, "frontend": {"skip": 500}}, tmp_path, lines)
    told = f"frontend.skip: 500 leaves 1.0 frames of an utterance of {data.path}"
    assert lines == [f"{told}, which has {phones:.1f} phones on average; lower it"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"batches": {"chunk_frames": 5}},
            "bidirectional layer needs whole utterances",
        ),
        ({"objective": {"label_delay": 2}}, "hears the future already"),
        ({"optimiser": {}}, "unknown key 'optimiser'; did you mean 'optimizer'?"),
        (
            {"training": {"epoch": 3}},
            "unknown key 'training.epoch'; did you mean 'epochs'?",
        ),
        (
            {"network": {"layers": [{"type": "lstmp", "cels": 3}]}},
            "did you mean 'cells'?",
        ),
        (
            {"network": {"layers": [{"type": "lstm", "cells": 3, "dropout": 7.0}]}},
            "layers[0].dropout: Input should be less than 1, got 7.0",
        ),
        (
            {
                "network": {
                    "layers": [
                        {"type": "lstm", "cells": 3},
                        {"type": "lstm", "cells": 3, "options": {"zoneout": 2}},
                    ]
                }
            },
            "network.layers[1]: options.zoneout: expected at least 0 and less than 1",
        ),
    ],
)
def test_a_wrong_configuration_is_told(small, config_of, change, message):
    with pytest.raises(ConfigError) as caught:
        config_of({**small, **change})
    assert message in str(caught.value)
