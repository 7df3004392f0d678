"""Stage export: every artefact is proved against the trained model, or is not kept."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveWriter
from features.errors import DataError
from pipeline import export as stage
from pipeline.__main__ import main
from pipeline.config import save
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import write_table
from pipeline.decoding.settings import DecodeSettings
from pipeline.parity import Heard
from pipeline.recogniser import Recogniser

PHONES = ("sil", "a", "b", "c", "d")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A data dir of noise and its lang dir."""
    root = tmp_path_factory.mktemp("corpus")
    lang = Lang(PhoneTable(PHONES), Fold({p: p for p in PHONES}), None, ("sil",))
    write_lang(lang, root / "lang")
    data, random = root / "data", np.random.default_rng(0)
    data.mkdir()
    names = ["s1-a", "s1-b"]
    for name in names:
        samples = 0.1 * random.standard_normal(8000)
        soundfile.write(data / f"{name}.wav", samples, 16000)
    rows = {
        "wav.scp": "{0} %s/{0}.wav" % data,
        "text": "{0} a b c d a b",
        "utt2spk": "{0} s1",
    }
    for file, row in rows.items():
        (data / file).write_text("".join(row.format(n) + "\n" for n in names))
    (data / "spk2utt").write_text("s1 s1-a s1-b\n")
    return root


def exported(random_model, out: Path, *options: str) -> int:
    return main(["export", str(random_model), "--out", str(out), *options])


def test_artefacts_come_with_their_proof(random_model, corpus, tmp_path, capsys):
    save(tmp_path / "settings.yaml", DecodeSettings(insertion_penalty=1.5))
    words = ["--formats", "keras", "--formats", "saved_model", "--formats", "int8"]
    words += ["--data", str(corpus / "data"), "--lang", str(corpus / "lang")]
    words += ["--settings", str(tmp_path / "settings.yaml")]
    assert exported(random_model, tmp_path / "out", *words) == 0
    said = capsys.readouterr().err
    assert "kept 3 of 3 artefacts" in said
    proof = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert proof["utterances"] == 2
    assert proof["cmvn"] == "utterance"
    assert "/ 12," in proof["trained"]["counts"]
    rows = {row["file"]: row for row in proof["artefacts"]}
    assert set(rows) == {"model.keras", "saved_model", "model.int8.tflite"}
    for name, row in rows.items():
        path = tmp_path / "out" / name
        files = path.rglob("*") if path.is_dir() else [path]
        assert row["bytes"] == sum(f.stat().st_size for f in files if f.is_file())
        assert row["kept"] and row["times_real_time"] > 0
    for name in ("model.keras", "saved_model"):
        assert rows[name]["largest_difference"] < 2e-3
        assert rows[name]["per_difference"] == 0.0
    trained = Recogniser.load(random_model, settings=tmp_path / "settings.yaml")
    audio = corpus / "data" / "s1-a.wav"
    assert [p.phone for p in trained(audio)] == [
        p.phone for p in Recogniser.load(tmp_path / "out" / "model.keras")(audio)
    ]
    assert exported(random_model, tmp_path / "out", *words) == 0
    assert "is up to date" in capsys.readouterr().err
    variables = tmp_path / "out" / "saved_model" / "variables" / "variables.index"
    variables.write_bytes(variables.read_bytes()[:-20])
    with pytest.raises(DataError, match="saved_model: damaged .*; export it again"):
        Recogniser.load(tmp_path / "out" / "saved_model")


def test_what_is_not_equal_is_not_kept(random_model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(stage, "_TOLERANCE", -1.0)
    assert exported(random_model, tmp_path, "--formats", "keras") == 2
    said = capsys.readouterr().err
    assert "model.keras: log-posteriors differ by" in said
    assert not (tmp_path / "model.keras").exists()
    assert not json.loads((tmp_path / "parity.json").read_text())["artefacts"][0][
        "kept"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "/absent"], "--data and --lang go together"),
        (["--arpa", "/absent"], "/absent: no such file or folder"),
        (["--formats", "int8"], "--formats: none left to make of int8"),
        (["--cmvn", "/absent/cmvn.scp"], "/absent/cmvn.scp: no such file"),
    ],
)
def test_mistakes_are_told_before_work_begins(
    random_model, tmp_path, capsys, words, message
):
    assert exported(random_model, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_not_installed_is_told_before_work_begins(
    random_model, tmp_path, capsys, monkeypatch
):
    absent = {"onnxruntime", "ai_edge_litert"}
    monkeypatch.setattr(stage, "_has", lambda module: module not in absent)
    assert exported(random_model, tmp_path / "out") == 2
    told = "tflite onnx: not installed: ai_edge_litert onnxruntime; pip install 'keraldi[export]'"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["saved_model", "model.tflite", "parity.json"])
def test_what_others_put_into_a_folder_stays(random_model, tmp_path, capsys, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").write_text("precious")
    assert exported(random_model, tmp_path, "--formats", "keras") == 2
    told = f"holds {name}, not of an export that began here; give another folder"
    assert told in capsys.readouterr().err
    assert (tmp_path / name / "notes.txt").read_text() == "precious"


def test_none_stays_that_was_not_compared(random_model, tmp_path, monkeypatch):
    compared = iter([stage.hear])

    def hear(*words):
        return next(compared)(*words)

    monkeypatch.setattr(stage, "hear", hear)  # the reference's, and no other
    with pytest.raises(StopIteration):
        exported(random_model, tmp_path / "out", "--formats", "keras")
    assert not (tmp_path / "out" / "model.keras").exists()
    monkeypatch.undo()
    assert exported(random_model, tmp_path / "out", "--formats", "keras") == 0


def test_an_export_is_kept_apart_from_the_model(random_model, capsys):
    assert exported(random_model, random_model / ".") == 2
    assert "is where the weights come from; give another" in capsys.readouterr().err


def test_settings_with_an_ngram_are_exported_with_it(random_model, tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    save(settings, DecodeSettings(grammar="lm.arpa"))
    out = tmp_path / "out"
    assert exported(random_model, out, "--settings", str(settings)) == 2
    assert "a search with the n-gram lm.arpa; give it too" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_gone_is_made_again_and_what_is_old_goes(
    random_model, tmp_path, capsys
):
    words = ("--formats", "keras")
    assert exported(random_model, tmp_path, *words) == 0
    made = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "model.keras").unlink()
    (tmp_path / "model.tflite").write_text("of another export")
    (tmp_path / "saved_model" / "variables").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("precious")
    assert exported(random_model, tmp_path, *words) == 0
    assert len((tmp_path / "model.keras").read_bytes()) == len(made)
    held = {path.name for path in tmp_path.iterdir()}
    assert held == {"model.keras", "parity.json", "notes.txt", ".stamps"}
    assert "is up to date" not in capsys.readouterr().err
    assert exported(random_model, tmp_path, *words) == 0
    assert "is up to date" in capsys.readouterr().err


def statistics(folder: Path, deviation: float) -> None:
    """A `cmvn.scp` of one speaker in its archive."""
    stats = np.zeros((2, 13))
    stats[1, :-1], stats[0, -1] = 100 * deviation**2, 100.0
    with ArchiveWriter(folder / "cmvn.ark", folder / "cmvn.scp") as writer:
        writer.write("s1", stats)


def append(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


CHANGES = {
    "statistics": lambda root: statistics(root, 2.0),
    "segments": lambda root: write_table(
        root / "data" / "segments", {n: f"{n} 0 0.3" for n in ("s1-a", "s1-b")}
    ),
    "utt2spk": lambda root: write_table(root / "data" / "utt2spk", {"s1-a": "s1"}),
    "audio": lambda root: os.utime(root / "data" / "s1-a.wav", (0, 0)),
    "speeds": lambda root: write_table(root / "data" / "utt2speed", {"s1-a": "0.9"}),
    "silence": lambda root: append(root / "lang" / "silence.txt", "a\n"),
    "lexicon": lambda root: write_table(
        root / "lang" / "lexicon.txt", {p: p for p in PHONES}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_its_proof_depends_on_is_noticed(
    random_model, corpus, tmp_path, capsys, monkeypatch, change
):
    monkeypatch.setattr(stage, "hear", lambda *words: Heard({}, None, 1.0))
    monkeypatch.setattr(stage, "_make", lambda *words: [])
    shutil.copytree(corpus, tmp_path / "corpus")
    monkeypatch.chdir(tmp_path / "corpus")
    table = Path("data", "wav.scp")
    table.write_text(table.read_text().replace(f"{corpus}/", ""))
    statistics(Path(), 1.0)
    words = ("--data", "data", "--lang", "lang", "--cmvn", "cmvn.scp")
    assert exported(random_model, tmp_path / "out", *words) == 0
    assert exported(random_model, tmp_path / "out", *words) == 0
    assert "is up to date" in capsys.readouterr().err
    change(Path())
    assert exported(random_model, tmp_path / "out", *words) == 0
    assert "is up to date" not in capsys.readouterr().err
