"""The stages from labels to error rates, on the small task; and what they refuse."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from features.archive import ArchiveReader
from pipeline.__main__ import main
from pipeline.align import spread

FLAT = {
    "iterations": 2,
    "train": {
        "frontend": {"cmvn": "speaker", "splice_left": 1, "splice_right": 1},
        "network": {"layers": [{"type": "dense", "cells": 32, "activation": "relu"}]},
        "optimizer": {"learning_rate": 0.01},
        "batches": {"frames": 300},
        "training": {"epochs": 4},
    },
}


@pytest.fixture
def here(task, tmp_path, monkeypatch) -> Path:
    """A copy of the task to work in."""
    shutil.copytree(task, tmp_path / "w")
    for scp in (tmp_path / "w").rglob("*.scp"):
        text = scp.read_text().replace(str(task), str(tmp_path / "w"))
        scp.write_text(text)
    monkeypatch.chdir(tmp_path / "w")
    return tmp_path / "w"


def train(here: Path, values: dict, out: str, *options: str) -> int:
    Path(here, "conf.yaml").write_text(yaml.safe_dump(values))
    words = "train --config conf.yaml --data data/train --dev data/dev --lang data/lang"
    return main([*words.split(), "--out", out, *options])


ALIGNMENTS = ("--alignments", "exp/ali_train", "--dev-alignments", "exp/ali_dev")


def check_model_dir() -> None:
    """Holds that exp/x has what the design says."""
    for name in (
        "config.yaml", "final.keras", "phones.txt", "priors.txt", "history.csv",
        "environment.txt", "log", "checkpoints",
    ):  # fmt: skip
        assert Path("exp/x", name).exists(), name
    assert (
        yaml.safe_load(Path("exp/x/config.yaml").read_text())["training"]["epochs"] == 6
    )
    assert json.loads(Path("exp/x/.stamps/train.json").read_text())["stage"] == "train"


def test_from_labels_to_error_rates(here, small, capsys):
    values = {**small, "training": {"epochs": 6}}
    assert train(here, values, "exp/x", *ALIGNMENTS) == 0
    check_model_dir()
    rows = list(csv.DictReader(Path("exp/x/history.csv").read_text().splitlines()))
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])
    assert main("lm data/train data/lang/lm.arpa --lang data/lang".split()) == 0
    words = "decode exp/x data/train exp/x/decode_train --lang data/lang --tune"
    assert main(words.split()) == 0
    words = "decode exp/x data/dev exp/x/decode_dev --lang data/lang --settings"
    assert main([*words.split(), "exp/x/decode_train/settings.yaml"]) == 0
    assert main("score data/dev exp/x/decode_dev --lang data/lang".split()) == 0
    first = Path("exp/x/decode_dev/scoring/per").read_text().splitlines()[0]
    assert first.startswith("%PER ")
    assert float(first.split()[1]) < 15.0
    assert main(["results", "exp"]) == 0
    assert "data/train" in capsys.readouterr().out  # the set the settings were tuned on
    # Finished work is not redone, and says so.
    assert train(here, values, "exp/x", *ALIGNMENTS) == 0
    assert "train: exp/x is up to date" in capsys.readouterr().err


def agreement(folder: str) -> float:
    """Share of frames labelled as they were made."""
    found, known = ArchiveReader(f"{folder}/ali.scp"), ArchiveReader(
        "exp/ali_train/ali.scp"
    )
    return float(np.mean(np.concatenate([found[u] == known[u] for u in known])))


def test_a_flat_start_finds_the_labels(here):
    Path("flat.yaml").write_text(yaml.safe_dump(FLAT))
    words = "align data/train exp/flat --lang data/lang --flat flat.yaml"
    assert main(words.split()) == 0
    assert agreement("exp/flat") > 0.9
    words = "align data/train exp/again --lang data/lang --model exp/flat/flat/last"
    assert main(words.split()) == 0
    assert agreement("exp/again") > 0.9


def test_a_ctc_model_aligns(here, small):
    # With dropout so small a network finds the phones with some seeds, and not with others.
    (layer,) = small["network"]["layers"]
    wide = {**layer, "cells": 24, "projection": 12, "dropout": 0.0}
    values = {
        **small,
        "network": {"layers": [wide]},
        "objective": {"type": "ctc"},
        "optimizer": {"learning_rate": 0.03},
        "training": {"epochs": 12, "select": "per"},
    }
    assert train(here, values, "exp/ctc") == 0
    rows = list(csv.DictReader(Path("exp/ctc/history.csv").read_text().splitlines()))
    assert min(float(row["dev_per"]) for row in rows) < 5  # guesses have over 70
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])
    assert (
        main("align data/train exp/by_ctc --lang data/lang --model exp/ctc".split())
        == 0
    )
    assert (
        agreement("exp/by_ctc") > 0.8
    )  # CTC says when a phone peaks, not where it ends


def test_labels_are_spread_evenly():
    assert spread([5, 7], 5).tolist() == [5, 5, 5, 7, 7]
    assert spread([1, 2, 3], 3).tolist() == [1, 2, 3]


def drop_labels(here: Path) -> None:
    lines = (here / "exp/ali_train/ali.scp").read_text().splitlines()
    (here / "exp/ali_train/ali.scp").write_text("\n".join(lines[1:]) + "\n")


def lengthen(here: Path) -> None:
    path = here / "data/train/utt2num_frames"
    utt, count = path.read_text().splitlines()[0].split()
    path.write_text(
        path.read_text().replace(f"{utt} {count}", f"{utt} {int(count) + 1}")
    )


def other_phones(here: Path) -> None:
    for name in ("phones.txt", "fold.map"):
        path = here / "data/lang" / name
        path.write_text(path.read_text().replace("c", "z"))


REFUSED = {
    "labels missing": (drop_labels, "no labels of 1 utterance"),
    "lengths differ": (lengthen, "frames of features but .* labels; align it again"),
    "other phones": (other_phones, "other phones than the lang dir's"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_labels_that_do_not_fit_are_told(kind, here, small, capsys):
    import re

    change, message = REFUSED[kind]
    change(here)
    assert train(here, small, "exp/x", *ALIGNMENTS) == 2
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert not Path("exp/x/final.keras").exists()


def test_a_sequence_longer_than_its_frames_is_told(here, small, capsys):
    path = here / "data/train/text"
    utt = path.read_text().split()[0]
    rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{utt}{' a b' * 60}", *rows[1:]]) + "\n")
    values = {**small, "objective": {"type": "ctc"}}
    unused = "train: objective.type: ctc learns from transcripts, not from alignments"
    assert train(here, values, "exp/x", *ALIGNMENTS) == 2
    assert unused in capsys.readouterr().err
    assert train(here, values, "exp/x") == 2
    said = capsys.readouterr().err
    assert unused not in said
    assert f"'{utt}' needs 120 network frames for its labels but has" in said
    assert main("align data/train exp/m --lang data/lang".split()) == 2


def test_framewise_training_asks_for_labels(here, small, capsys):
    assert train(here, small, "exp/x") == 2
    assert "framewise needs labels; give --alignments" in capsys.readouterr().err


def test_settings_that_do_not_fit_the_data_are_told_with_their_file(here, capsys):
    layer = {"type": "lstm", "cells": 4, "options": {"cell_clip": None}}
    values = {"network": {"layers": [layer]}, "objective": {"label_delay": 5000}}
    assert train(here, values, "exp/x", *ALIGNMENTS) == 2
    said = capsys.readouterr().err
    assert "error: conf.yaml: objective.label_delay: 5000, but the longest" in said
    assert said.count("\n") == 1


def test_decode_refuses_other_features(here, capsys):
    values = {**FLAT["train"], "training": {"epochs": 1}}
    assert train(here, values, "exp/x", *ALIGNMENTS) == 0
    path = here / "data/dev/features.yaml"
    path.write_text(path.read_text().replace("librosa", "kaldi"))
    assert main("decode exp/x data/dev exp/x/decode_dev --lang data/lang".split()) == 2
    said = capsys.readouterr().err
    assert "preset is 'kaldi' but exp/x/final.keras was trained with 'librosa'" in said
    assert not Path("exp/x/decode_dev/hyp").exists()
