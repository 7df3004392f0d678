"""The prepare stage: counts told, work not done twice, mistakes met."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline import prepare
from pipeline.__main__ import main
from pipeline.corpora import mini

SMALL = mini.Size({"train": 1, "dev": 1, "test": 1}, {"train": 2, "dev": 1, "test": 1})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(prepare, "QUICK", SMALL)


def test_mini_ends_with_its_counts(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.mini(out=str(tmp_path / "data"), quick=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        "prepare mini: train: 2 utterances, 0.00 h, 1 speaker; dev: 1 "
    )


def test_finished_work_is_not_redone(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "data")
    prepare.mini(out=out, quick=True)
    made = (tmp_path / "data" / "train" / "text").stat().st_mtime_ns
    prepare.mini(out=out, quick=True, nj=1)
    assert "is up to date" in capsys.readouterr().err
    assert (tmp_path / "data" / "train" / "text").stat().st_mtime_ns == made
    prepare.mini(out=out, quick=True, seed=2)
    assert (tmp_path / "data" / "train" / "text").stat().st_mtime_ns > made


def test_jobs_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "mini", "--out", str(tmp_path), "--nj", "0"]) == 2
    assert "--nj must be 1 or more, got 0" in capsys.readouterr().err


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Takes 0 to 7 of one digit by one speaker, in the shape of fsdd."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for take in range(8):
        soundfile.write(folder / f"3_theo_{take}.wav", np.zeros(800), 8000)
    return tmp_path / "fsdd"


def test_shared_speakers_are_warned_of(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.fsdd(str(digits), out=str(tmp_path / "data"))
    lines = capsys.readouterr().err.splitlines()
    assert (
        "warning: 1 speaker in both train and test (theo): the PER of test" in lines[1]
    )
    assert lines[-1].startswith(
        "prepare fsdd: train: 1 utterance, 0.00 h, 1 speaker; dev: 2"
    )


def test_new_recordings_are_noticed(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.fsdd(str(digits), out=str(tmp_path / "data"))
    soundfile.write(digits / "recordings" / "3_theo_8.wav", np.zeros(800), 8000)
    prepare.fsdd(str(digits), out=str(tmp_path / "data"))
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("prepare fsdd: train: 2 utterances")


@pytest.mark.parametrize("corpus", ["timit", "speechocean762", "fsdd"])
def test_a_wrong_folder_is_one_message(
    corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    assert main(["prepare", corpus, str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "nowhere" in message
    assert not out.exists()


def test_tensorflow_is_not_imported() -> None:
    code = "import sys, pipeline.prepare; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
