"""The embedded corpus as data dirs."""

import importlib.util
from pathlib import Path

import pytest

from features.errors import DataError
from pipeline.corpora import mini
from pipeline.corpora.mini_grammar import words_of
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import phones_of, read_ctm

SMALL = mini.Size({"train": 2, "dev": 1, "test": 1}, {"train": 3, "dev": 2, "test": 2})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader")
    out = tmp_path_factory.mktemp("mini")
    mini.prepare_mini(out, SMALL, seed=1, nj=2)
    return out


@pytest.mark.parametrize("size", [mini.FULL, mini.QUICK])
def test_sets_share_no_speaker_and_no_sentence(size: mini.Size) -> None:
    plan = mini.plan(size, seed=1)
    voices = [voice for prompts in plan.values() for voice in prompts]
    sentences = [
        words_of(p.sentence)
        for prompts in plan.values()
        for ps in prompts.values()
        for p in ps
    ]
    assert len(set(voices)) == len(voices) == sum(size.speakers.values())
    assert len(set(sentences)) == len(sentences)


def test_speakers_differ_and_vary() -> None:
    prompts = mini.plan(mini.FULL, seed=1)["train"]
    rates = {
        voice: [p.words_per_minute for p in said] for voice, said in prompts.items()
    }
    assert all(len(set(values)) > 5 for values in rates.values())
    means = [sum(values) / len(values) for values in rates.values()]
    assert max(means) - min(means) > 25


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_both_sexes_are_in_every_set(name: str) -> None:
    women = mini.FEMALE & set(mini.plan(mini.QUICK, seed=1)[name])
    assert 0 < len(women) < mini.QUICK.speakers[name]


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_text_is_the_phones_of_the_ctm(corpus: Path, name: str) -> None:
    data = read_datadir(corpus / name)
    marks = read_ctm(corpus / name / "phones.ctm")
    assert data.text == {utt: phones_of(line) for utt, line in marks.items()}
    assert set(read_table(corpus / name / "words")) == set(data.utterances)


def test_audio_is_named_where_it_is(corpus: Path) -> None:
    data = read_datadir(corpus / "train")
    assert len(data.wav) == 6
    assert all(Path(path).is_file() for path in data.wav.values())


def test_lang_has_phones_and_no_lexicon(corpus: Path) -> None:
    lang = read_lang(corpus / "lang")
    assert lang.lexicon is None
    assert lang.silence == ("sil",)
    assert lang.fold.fold(("ZH", "sil")) == ("ZH", "sil")
    text = read_datadir(corpus / "test").text
    assert text is not None
    lang.check_oov(text, source="test/text")


def test_the_same_seed_gives_the_same_bits(corpus: Path, tmp_path: Path) -> None:
    mini.prepare_mini(tmp_path, SMALL, seed=1, nj=1)
    files = sorted(p.relative_to(corpus) for p in corpus.rglob("*") if p.is_file())
    differing = [
        str(name)
        for name in files
        if name.name != "wav.scp"
        and (corpus / name).read_bytes() != (tmp_path / name).read_bytes()
    ]
    assert files == sorted(
        p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()
    )
    assert differing == []


def test_without_espeak_the_mend_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'keraldi\[mini\]'"):
        mini.prepare_mini(tmp_path, SMALL, seed=1, nj=1)
    assert list(tmp_path.iterdir()) == []
