import pytest

from features.errors import ConfigError, DataError
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.decoding.arpa import read_arpa
from pipeline.decoding.smoothing import train_ngram
from pipeline.lm import lm, sentences_of


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phones = ("ah", "n", "t", "uw", "w")
    words = {"one": (("w", "ah", "n"), ("ah", "n")), "two": (("t", "uw"),)}
    fold = Fold({phone: phone for phone in phones})
    write_lang(Lang(PhoneTable(phones), fold, Lexicon(words), ()), "lang")
    text = {"u1": ("one", "two"), "u2": ("two", "one(2)")}
    wav, speakers = {"u1": "1.wav", "u2": "2.wav"}, {"u1": "u1", "u2": "u2"}
    data = DataDir(tmp_path / "train", wav, speakers, text=text)
    write_datadir(data, "train")
    return tmp_path


@pytest.mark.parametrize("smoothing", ["witten-bell", "kneser-ney"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_transcripts_become_phones_become_a_model(corpus, order, smoothing):
    lm("train", "lang/lm.arpa", lang="lang", order=order, smoothing=smoothing)
    phones = ["w ah n t uw".split(), "t uw ah n".split()]
    wanted = train_ngram(
        phones, order=order, symbols="ah n t uw w".split(), smoothing=smoothing
    )
    found = read_arpa("lang/lm.arpa")
    assert found.order == order
    assert found.log10_probs == pytest.approx(wanted.log10_probs, abs=1e-7)


def test_a_finished_model_is_not_made_again(corpus, capsys):
    lm("train", "lang/lm.arpa", lang="lang")
    made = (corpus / "lang/lm.arpa").stat().st_mtime_ns
    lm("train", "lang/lm.arpa", lang="lang")
    assert "up to date" in capsys.readouterr().err
    assert (corpus / "lang/lm.arpa").stat().st_mtime_ns == made
    lm("train", "lang/lm.arpa", lang="lang", order=3)
    assert read_arpa("lang/lm.arpa").order == 3


def test_unknown_words_are_listed_and_nothing_is_written(corpus):
    (corpus / "train/text").write_text("u1 one three\nu2 three four\n")
    with pytest.raises(DataError) as caught:
        lm("train", "lang/lm.arpa", lang="lang")
    assert "'three', 2 times" in str(caught.value)
    assert "'four', 1 time" in str(caught.value)
    assert not (corpus / "lang/lm.arpa").exists()


def test_what_is_missing_is_said(corpus):
    (corpus / "train/text").unlink()
    with pytest.raises(DataError, match="train/text: no such file"):
        lm("train", "lang/lm.arpa", lang="lang")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        lm("nowhere", "lang/lm.arpa", lang="lang")


@pytest.mark.parametrize("prob, wanted", [(0.0, "a b c"), (1.0, "sil a b sil c sil")])
def test_pauses_are_put_between_words_that_have_none(prob, wanted):
    phones = ("a", "b", "c", "sil")
    fold = Fold({phone: phone for phone in phones})
    words = {"x": (("a", "b"),), "y": (("c",),)}
    lang = Lang(PhoneTable(phones), fold, Lexicon(words), ("sil",))
    found = sentences_of({"u": ("x", "y")}, lang, silence_prob=prob)
    assert found == [wanted.split()]


def test_pauses_come_as_often_as_asked_and_the_same_each_time():
    fold = Fold({"a": "a", "sil": "sil"})
    lexicon = Lexicon({"a": (("a",),)})
    lang = Lang(PhoneTable(("a", "sil")), fold, lexicon, ("sil",))
    texts = {f"u{n}": ("a",) * 9 for n in range(200)}
    found = sentences_of(texts, lang, silence_prob=0.3)
    share = sum(line.count("sil") for line in found) / (200 * 10)
    assert share == pytest.approx(0.3, abs=0.05)  # of 2000 places, 5 deviations
    assert found == sentences_of(texts, lang, silence_prob=0.3)


def test_without_a_lexicon_pauses_stand_at_the_ends_only():
    fold = Fold({"a": "a", "sil": "sil"})
    lang = Lang(PhoneTable(("a", "sil")), fold, None, ("sil",))
    found = sentences_of({"u": ("a", "a")}, lang, silence_prob=1.0)
    assert found == ["sil a a sil".split()]


def test_written_silence_is_left_as_it_is():
    fold = Fold({"a": "a", "sil": "sil"})
    lang = Lang(PhoneTable(("a", "sil")), fold, None, ("sil",))
    texts = {"u1": ("sil", "a"), "u2": ("a", "a")}
    assert sentences_of(texts, lang, silence_prob=1.0) == [["sil", "a"], ["a", "a"]]


def test_silence_probabilities_out_of_range_are_refused(corpus):
    with pytest.raises(ConfigError, match="expected 0 to 1, got 2"):
        lm("train", "lang/lm.arpa", lang="lang", silence_prob=2.0)


def test_orders_out_of_range_are_refused(corpus):
    with pytest.raises(ConfigError, match="expected 1 to 5, got 9"):
        lm("train", "lang/lm.arpa", lang="lang", order=9)
