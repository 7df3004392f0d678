"""TIMIT from trees of its exact shape: 630 speakers, ten sentences each."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from pipeline.corpora.timit import CORE_SPEAKERS, DEV_SPEAKERS, prepare_timit
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import read_ctm

SPEAKERS = {
    "TRAIN": (38, 76, 76, 68, 70, 35, 77, 22),
    "TEST": (11, 26, 26, 32, 28, 11, 23, 11),
}
CORE_OF_DIALECT = (
    "mdab0 mwbt0 felc0",
    "mtas1 mwew0 fpas0",
    "mjmp0 mlnt0 fpkt0",
    "mlll0 mtls0 fjlm0",
    "mbpm0 mklt0 fnlp0",
    "mcmj0 mjdh0 fmgd0",
    "mgrt0 mnjm0 fdhc0",
    "mjln0 mpam0 fmld0",
)
SENTENCES = ("SA1", "SA2", "SI501", "SI502", "SI503", "SX1", "SX2", "SX3", "SX4", "SX5")
CONTENT = {
    "PHN": "0 800 h#\n800 1200 bcl\n1200 1600 b\n1600 2400 ux\n2400 2500 q\n2500 3200 h#\n",
    "WRD": "800 2500 boo\n",
    "TXT": "0 3200 Boo.\n",
}


def write_audio(path: Path, kind: str) -> None:
    samples = np.zeros(3200, np.int16)
    soundfile.write(path, samples, 16000, format=kind, subtype="PCM_16")


def name_speakers() -> Iterator[tuple[str, int, str]]:
    """Part, dialect and name of 630 speakers, those of dev and core test among TEST."""
    invented = (
        "fx" + a + b + "0"
        for a, b in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=2)
    )
    dev = sorted(DEV_SPEAKERS)
    for number, count in enumerate(SPEAKERS["TEST"], start=1):
        there = CORE_OF_DIALECT[number - 1].split()
        free = count - len(there)
        there += [dev.pop() for _ in range(min(len(dev), min(free, 7)))]
        there += [next(invented) for _ in range(count - len(there))]
        yield from (("TEST", number, name) for name in there)
    for number, count in enumerate(SPEAKERS["TRAIN"], start=1):
        yield from (("TRAIN", number, next(invented)) for _ in range(count))


def make_tree(root: Path, *, lower: bool, suffixes: list[str], kind: str) -> Path:
    """Makes the tree of links to one recording; `kind` is `NIST` or `WAV`.

    The suffixes of audio take turns.
    """

    def cased(name: str) -> str:
        return name.lower() if lower else name.upper()

    models = root / "models"
    models.mkdir(parents=True)
    write_audio(models / "audio", kind)
    for extension, text in CONTENT.items():
        (models / extension).write_text(text)
    for part, number, speaker in name_speakers():
        folder = (
            root / cased("TIMIT") / cased(part) / cased(f"DR{number}") / cased(speaker)
        )
        folder.mkdir(parents=True)
        for sentence, suffix in zip(SENTENCES, itertools.cycle(suffixes), strict=False):
            os.link(models / "audio", folder / (cased(sentence) + suffix))
            for extension in CONTENT:
                os.link(models / extension, folder / cased(f"{sentence}.{extension}"))
    return root / cased("TIMIT")


@pytest.fixture(scope="module")
def sphere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As on the LDC's disc: upper case, SPHERE in `.WAV`."""
    return make_tree(
        tmp_path_factory.mktemp("disc"), lower=False, suffixes=[".WAV"], kind="NIST"
    )


@pytest.fixture(scope="module")
def data(sphere: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("timit")
    prepare_timit(sphere, out, complete_test=False)
    return out


@pytest.fixture
def damaged(sphere: Path, tmp_path: Path) -> Path:
    """The tree, as links; a test may damage the copy of `TEST/DR1` in it."""
    tree = tmp_path / "TIMIT"
    (tree / "TEST").mkdir(parents=True)
    (tree / "TRAIN").symlink_to(sphere / "TRAIN")
    for dialect in (sphere / "TEST").iterdir():
        if dialect.name != "DR1":
            (tree / "TEST" / dialect.name).symlink_to(dialect)
    shutil.copytree(
        sphere / "TEST" / "DR1", tree / "TEST" / "DR1", copy_function=os.link
    )
    return tree


def test_the_lists_have_their_sizes() -> None:
    assert (len(DEV_SPEAKERS), len(CORE_SPEAKERS)) == (50, 24)
    assert not DEV_SPEAKERS & CORE_SPEAKERS
    assert set(" ".join(CORE_OF_DIALECT).split()) == CORE_SPEAKERS


@pytest.mark.parametrize(
    ("name", "utterances", "speakers"),
    [("train", 3696, 462), ("dev", 400, 50), ("test", 192, 24)],
)
def test_the_sets_have_their_sizes(
    data: Path, name: str, utterances: int, speakers: int
) -> None:
    tables = read_datadir(data / name)
    assert len(tables.utterances) == utterances
    assert len(tables.spk2utt) == speakers
    assert not [utt for utt in tables.utterances if "_SA" in utt]


def test_phones_are_folded_and_timed(data: Path) -> None:
    tables = read_datadir(data / "test")
    assert tables.text is not None
    assert tables.text["FELC0_SX3"] == ("sil", "vcl", "b", "uw", "sil")
    marks = read_ctm(data / "test" / "phones.ctm")["FELC0_SX3"]
    assert [(m.phone, round(m.start, 4), round(m.end, 4)) for m in marks] == [
        ("sil", 0.0, 0.05),
        ("vcl", 0.05, 0.075),
        ("b", 0.075, 0.1),
        ("uw", 0.1, 0.15),
        ("sil", 0.1562, 0.2),
    ]
    lang = read_lang(data / "lang")
    assert lang.fold.fold(tables.text["FELC0_SX3"]) == ("sil", "sil", "b", "uw", "sil")


def test_speakers_are_described(data: Path) -> None:
    tables = read_datadir(data / "test")
    assert tables.spk2gender is not None
    assert (tables.spk2gender["FELC0"], tables.spk2gender["MDAB0"]) == ("f", "m")
    assert read_table(data / "test" / "spk2dialect")["MPAM0"] == "dr8"
    assert read_table(data / "test" / "words")["MPAM0_SI501"] == "boo"
    assert tables.utt2dur is not None and tables.utt2dur["MPAM0_SI501"] == 0.2
    assert Path(tables.wav["MPAM0_SI501"]).is_absolute()


def test_the_complete_test_is_an_option(sphere: Path, tmp_path: Path) -> None:
    sets = prepare_timit(sphere, tmp_path, complete_test=True)
    assert len(sets["test"].utterances) == 1344
    assert len(sets["test"].spk2utt) == 168


@pytest.mark.parametrize(
    ("lower", "suffixes"), [(True, [".wav"]), (False, [".WAV.wav", ".riff"])]
)
def test_other_trees_are_the_same_corpus(
    data: Path, tmp_path: Path, lower: bool, suffixes: list[str]
) -> None:
    tree = make_tree(tmp_path / "other", lower=lower, suffixes=suffixes, kind="WAV")
    prepare_timit(tree.parent, tmp_path / "data", complete_test=False)
    for name in ("text", "utt2spk", "phones.ctm", "utt2dur", "words", "spk2dialect"):
        made = (tmp_path / "data" / "train" / name).read_text()
        assert made == (data / "train" / name).read_text()


def test_riff_is_taken_where_both_are_there(damaged: Path, tmp_path: Path) -> None:
    """Some copies hold SPHERE `SX1.WAV` and RIFF `SX1.WAV.wav` side by side."""
    folder = damaged / "TEST" / "DR1" / "FELC0"
    write_audio(folder / "SX1.WAV.wav", "WAV")
    sets = prepare_timit(damaged, tmp_path / "data", complete_test=False)
    assert sets["test"].wav["FELC0_SX1"] == str(folder / "SX1.WAV.wav")


def test_what_is_missing_is_said(damaged: Path, tmp_path: Path) -> None:
    folder = damaged / "TEST" / "DR1"
    (folder / "FELC0" / "SX1.PHN").unlink()
    (folder / "FELC0" / "SX2.WAV").unlink()
    for path in (folder / "MDAB0").glob("SX3.*"):
        path.unlink()
    (folder / "MWBT0").rename(damaged / "MWBT0")
    with pytest.raises(DataError) as caught:
        prepare_timit(damaged, tmp_path / "data", complete_test=False)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert "FELC0/SX1: no PHN" in lines[0]
    assert "FELC0/SX2: no audio (.WAV" in lines[1]
    assert "TEST/DR1: 10 speakers, expected 11" in lines[2]
    assert "speaker MDAB0 has 7 sentences without SA, expected 8" in lines[3]
    assert "core test speakers missing: MWBT0" in lines[4]
    assert "check that it is complete" in lines[5]
    assert not (tmp_path / "data").exists()


def test_a_phone_that_is_not_timits_is_named(damaged: Path, tmp_path: Path) -> None:
    path = damaged / "TEST" / "DR1" / "FELC0" / "SX1.PHN"
    path.unlink()
    path.write_text("0 3200 silence\n")
    with pytest.raises(
        DataError, match="SX1.PHN: 'silence' is not one of TIMIT's 61 phones"
    ):
        prepare_timit(damaged, tmp_path / "data", complete_test=False)


def test_damaged_words_are_named(damaged: Path, tmp_path: Path) -> None:
    path = damaged / "TEST" / "DR1" / "FELC0" / "SX1.WRD"
    path.unlink()
    path.write_text("0 800 a\n800 boo\n")
    with pytest.raises(
        DataError, match="SX1.WRD:2: expected two sample numbers and a word"
    ):
        prepare_timit(damaged, tmp_path / "data", complete_test=False)


def test_a_folder_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "TRAIN").mkdir()
    with pytest.raises(
        DataError, match="no folders TRAIN and TEST; give the folder of LDC93S1"
    ):
        prepare_timit(tmp_path, tmp_path / "data", complete_test=False)
