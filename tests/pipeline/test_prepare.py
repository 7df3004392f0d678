"""The prepare stage: counts told, work not done twice, mistakes met."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import prepare
from pipeline.__main__ import main
from pipeline.corpora import mini

SMALL = mini.Size({"train": 1, "dev": 1, "test": 1}, {"train": 2, "dev": 1, "test": 1})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(prepare, "QUICK", SMALL)


def test_mini_ends_with_its_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.mini(out=str(tmp_path / "data"), quick=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(
        "prepare mini: train: 2 utterances, 0.00 h, 1 speakers; dev: 1 "
    )


def test_finished_work_is_not_redone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
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


def test_tensorflow_is_not_imported() -> None:
    code = "import sys, pipeline.prepare; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
