import math

import pytest

from features.errors import ConfigError, DataError
from pipeline.datadir.datadir import DataDir, read_datadir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.lm import lm
from pipeline.perplexity import perplexity


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phones = ("a", "b")
    write_lang(Lang(PhoneTable(phones), Fold({p: p for p in phones}), None, ()), "lang")
    for name, lines in (("train", ["a b", "a"]), ("dev", ["b b b"])):
        text = {f"u{k}": tuple(line.split()) for k, line in enumerate(lines)}
        wav = {utt: f"{utt}.wav" for utt in text}
        write_datadir(
            DataDir(tmp_path / name, wav, dict.fromkeys(wav, "s"), text=text), name
        )
    return tmp_path


def test_every_set_has_its_perplexity(corpus, capsys):
    lm("train", "lm.arpa", lang="lang", order=1)
    perplexity("lm.arpa", "train", "dev", lang="lang")
    # a 2, b 1, </s> 2 of 5 tokens; 3 kinds over 3 symbols: (2 + 1) / 8, (1 + 1) / 8, (2 + 1) / 8
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    train, dev = ([r for r in rows if r[:1] == [name]][0] for name in ("train", "dev"))
    log10 = 4 * math.log10(3 / 8) + math.log10(2 / 8)
    assert train[1:] == ["2", "5", f"{log10:.4f}", f"{10 ** (-log10 / 5):.4f}"]
    log10 = 3 * math.log10(2 / 8) + math.log10(3 / 8)
    assert dev[1:] == ["1", "4", f"{log10:.4f}", f"{10 ** (-log10 / 4):.4f}"]


def test_a_long_path_is_shown_whole(corpus, capsys):
    lm("train", "lm.arpa", lang="lang", order=1)
    place = corpus / ("long" * 20) / "set"
    write_datadir(read_datadir("dev"), place)
    perplexity("lm.arpa", str(place), lang="lang")
    rows = capsys.readouterr().out.splitlines()
    assert str(place) in "".join(row[2:].split(" ")[0] for row in rows)


def test_what_is_missing_is_said(corpus):
    lm("train", "lm.arpa", lang="lang")
    with pytest.raises(ConfigError, match="at least one data dir"):
        perplexity("lm.arpa", lang="lang")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        perplexity("lm.arpa", "nowhere", lang="lang")
    (corpus / "dev/text").unlink()
    with pytest.raises(DataError, match="dev/text: no such file"):
        perplexity("lm.arpa", "dev", lang="lang")
