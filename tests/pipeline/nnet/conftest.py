"""A small task to learn: noisy one-hot frames whose phone runs are known."""

from pathlib import Path

import numpy as np
import pytest

from features.archive import ArchiveWriter
from features.spectral import FeatureOptions
from pipeline.alignments import write_alignments
from pipeline.config import save
from pipeline.datadir.datadir import DataDir, read_datadir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.nnet.config import TrainConfig

PHONES = ("sil", "a", "b", "c")
NUM_MELS = 8


def make_set(folder: Path, *, count: int, seed: int) -> dict[str, np.ndarray]:
    """Writes a data dir of `count` utterances with features; returns frame labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    labels, text, spk = {}, {}, {}
    means = np.random.default_rng(0).normal(size=(len(PHONES), NUM_MELS))
    with ArchiveWriter(folder / "feats.ark", folder / "feats.scp") as writer:
        for number in range(count):
            utt = f"s{number % 2}-{seed}-{number:03d}"
            phones = rng.permutation(len(PHONES))[: rng.integers(2, 5)]
            runs = np.repeat(phones, rng.integers(4, 12, len(phones)))
            noise = rng.normal(size=(len(runs), NUM_MELS))
            writer.write(utt, (means[runs] * 2 + noise).astype(np.float32))
            labels[utt], spk[utt] = runs.astype(np.int32), utt[:2]
            text[utt] = tuple(PHONES[p] for p in phones)
    with ArchiveWriter(folder / "cmvn.ark", folder / "cmvn.scp") as writer:
        for name in ("s0", "s1"):
            stats = np.zeros((2, NUM_MELS + 1))
            stats[:, :-1], stats[0, -1], stats[1, :-1] = 0.0, 100.0, 400.0
            writer.write(name, stats)
    data = DataDir(
        path=folder,
        wav={u: f"{u}.wav" for u in labels},
        segments=None,
        text=text,
        utt2spk=spk,
        spk2gender=None,
        feats=None,
        cmvn=None,
        utt2num_frames={u: len(r) for u, r in labels.items()},
        utt2dur=None,
    )
    scps = {n: (folder / n).read_bytes() for n in ("feats.scp", "cmvn.scp")}
    write_datadir(data, folder)
    for name, content in scps.items():
        (folder / name).write_bytes(content)
    save(folder / "features.yaml", FeatureOptions(num_mels=NUM_MELS))
    return labels


@pytest.fixture(scope="session")
def task(tmp_path_factory) -> Path:
    """A folder with data/{train,dev}, data/lang and exp/ali_{train,dev}."""
    root = tmp_path_factory.mktemp("task")
    table = PhoneTable(PHONES)
    lang = Lang(
        phones=table, fold=Fold({p: p for p in PHONES}), lexicon=None, silence=("sil",)
    )
    write_lang(lang, root / "data" / "lang")
    for name, count, seed in (("train", 60, 1), ("dev", 12, 2)):
        labels = make_set(root / "data" / name, count=count, seed=seed)
        write_alignments(root / "exp" / f"ali_{name}", labels.items(), table, states=1)
    return root


@pytest.fixture
def train_set(task) -> DataDir:
    """The training data dir."""
    return read_datadir(task / "data" / "train")


@pytest.fixture(scope="session")
def small() -> dict:
    """A configuration that trains in seconds, as YAML would hold it; copy to change it."""
    return {
        "frontend": {"cmvn": "speaker", "skip": 1},
        "network": {
            "layers": [
                {"type": "lstmp", "cells": 12, "projection": 6, "bidirectional": "concat",
                 "dropout": 0.2}
            ]
        },
        "optimizer": {"learning_rate": 0.02},
        "batches": {"frames": 300},
        "training": {"epochs": 3, "seed": 5, "save_steps": 2},
    }  # fmt: skip


@pytest.fixture(scope="session")
def config_of():
    """Checks plain values into a `TrainConfig`."""
    from pipeline.config import check

    def make(values: dict) -> TrainConfig:
        return check(values, TrainConfig, source="test.yaml")

    return make
