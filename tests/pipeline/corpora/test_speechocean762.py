"""speechocean762 from a small tree of its shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from pipeline.corpora.speechocean762 import prepare_speechocean762
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.datadir.tables import read_table

SPOKEN = (("THE", "DH_B AH0_E"), ("BEAR", "B_B EH1_I R_E"))
OTHER = (("THE", "DH_B IY0_E"), ("BEAR", "B_B IH0_I R_E"))
SETS = {"train": ("0001", "0005", "0006"), "test": ("0003",)}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three training speakers and a test speaker, two utterances each."""
    root = tmp_path / "speechocean762"
    (root / "resource").mkdir(parents=True)
    phones = []
    for name, speakers in SETS.items():
        tables: dict[str, list[str]] = {
            n: [] for n in ("wav.scp", "text", "utt2spk", "spk2age", "spk2gender")
        }
        for speaker in speakers:
            tables["spk2age"].append(f"{speaker}\t6")
            tables["spk2gender"].append(f"{speaker}\tf")
            (root / "WAVE" / f"SPEAKER{speaker}").mkdir(parents=True)
            for number, said in enumerate((SPOKEN, OTHER)):
                utt = f"{speaker}0{number}"
                path = f"WAVE/SPEAKER{speaker}/{utt}.WAV"
                soundfile.write(root / path, np.zeros(1600), 16000, format="WAV")
                tables["wav.scp"].append(f"{utt}\t{path}")
                tables["text"].append(f"{utt}\t{' '.join(word for word, _ in said)}")
                tables["utt2spk"].append(f"{utt} {speaker}")
                phones += [f"{utt}.{n}\t{p}" for n, (_, p) in enumerate(said)]
        (root / name).mkdir()
        for file, lines in tables.items():
            (root / name / file).write_text("".join(f"{line}\n" for line in lines))
    (root / "resource" / "text-phone").write_text("".join(f"{p}\n" for p in phones))
    (root / "resource" / "lexicon.txt").write_text(
        "BEAR\tB EH1 R\nTHE\tDH AH0\nTHE\tDH AH1\nTHE\tDH IY0\n"
    )
    return root


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def test_the_spoken_variant_is_tagged(corpus: Path, tmp_path: Path) -> None:
    prepare_speechocean762(corpus, tmp_path / "data")
    data = read_datadir(tmp_path / "data" / "test")
    assert data.text == {"000300": ("THE", "BEAR"), "000301": ("THE(2)", "BEAR(2)")}
    lang = read_lang(tmp_path / "data" / "lang")
    assert lang.phones_of(data.text["000301"]) == ("DH", "IY", "B", "IH", "R")
    assert len(lang.phones) == 40


def test_dev_speakers_are_not_in_train(corpus: Path, tmp_path: Path) -> None:
    sets = prepare_speechocean762(corpus, tmp_path / "data")
    speakers = {name: set(data.spk2utt) for name, data in sets.items()}
    assert len(speakers["dev"]) == 1
    assert speakers["train"] | speakers["dev"] == set(SETS["train"])
    assert not speakers["train"] & speakers["dev"]


def test_paths_are_absolute_and_speakers_described(
    corpus: Path, tmp_path: Path
) -> None:
    prepare_speechocean762(corpus, tmp_path / "data")
    data = read_datadir(tmp_path / "data" / "test")
    assert all(
        Path(path).is_absolute() and Path(path).exists() for path in data.wav.values()
    )
    assert data.utt2dur == {"000300": 0.1, "000301": 0.1}
    assert data.spk2gender == {"0003": "f"}
    assert read_table(tmp_path / "data" / "test" / "spk2age") == {"0003": "6"}


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_repacked_audio_is_found(corpus: Path, tmp_path: Path, suffix: str) -> None:
    for path in list(corpus.rglob("*.WAV")):
        samples, rate_hz = soundfile.read(path)
        path.unlink()
        soundfile.write(path.with_suffix(suffix), samples, rate_hz)
    sets = prepare_speechocean762(corpus, tmp_path / "data")
    assert all(path.endswith(suffix) for path in sets["train"].wav.values())


def test_missing_audio_is_listed(corpus: Path, tmp_path: Path) -> None:
    (corpus / "WAVE" / "SPEAKER0003" / "000301.WAV").unlink()
    with pytest.raises(
        DataError, match="1 audio file missing.*000301.WAV; get speechocean"
    ):
        prepare_speechocean762(corpus, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_words_without_phones_are_an_error(corpus: Path, tmp_path: Path) -> None:
    edit(
        corpus / "test" / "text",
        lambda text: text.replace("THE BEAR", "THE BROWN BEAR", 1),
    )
    with pytest.raises(
        DataError, match="'000300' has 3 words but .*phones of 2; the corpus"
    ):
        prepare_speechocean762(corpus, tmp_path / "data")


def test_a_line_out_of_order_is_named(corpus: Path, tmp_path: Path) -> None:
    edit(
        corpus / "resource" / "text-phone",
        lambda text: text.replace("000100.1", "000100.2"),
    )
    with pytest.raises(DataError, match=r"text-phone:2: expected 000100\.1 and phones"):
        prepare_speechocean762(corpus, tmp_path / "data")


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="train/wav.scp.*is missing; get speechocean762"
    ):
        prepare_speechocean762(tmp_path, tmp_path / "data")
