import json

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveWriter
from pipeline.__main__ import main
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import read_ctm
from pipeline.score_corpus import one_word
from pipeline.scoring.counts import count_errors

PHONES = ("sil", "a", "b", "c", "d")  # of `random_model`


def make_audio(folder, names):
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        path = folder / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, 16000 + 800 * number), 16000)


@pytest.fixture
def lang(tmp_path):
    """A lang dir with words of two phones."""
    table = PhoneTable(PHONES)
    words = Lexicon({"AB": (("a", "b"),), "CD": (("c", "d"), ("c",))})
    fold = Fold({phone: phone for phone in PHONES})
    write_lang(Lang(table, fold, words, ("sil",)), tmp_path / "lang")
    return tmp_path / "lang"


@pytest.fixture
def data(tmp_path):
    """A data dir: four good recordings of two speakers, and one that is empty."""
    names = ("s1/u1", "s1/u2", "s2/u3", "s2/u4")
    make_audio(tmp_path / "audio", names)
    (tmp_path / "audio" / "u5.wav").write_bytes(b"")
    folder = tmp_path / "data"
    folder.mkdir()
    wav = [f"u{n[-1]} {tmp_path}/audio/{n}.flac" for n in names]
    wav.append(f"u5 {tmp_path}/audio/u5.wav")
    (folder / "wav.scp").write_text("\n".join(wav) + "\n")
    speakers = zip(("u1", "u2", "u3", "u4", "u5"), ("a", "a", "b", "b", "b"))
    (folder / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in speakers))
    (folder / "text").write_text("u1 AB CD\nu2 CD\nu3 AB\nu5 AB\n")
    return folder


def test_rates_by_file_speaker_and_folder(data, lang, random_model, tmp_path, capsys):
    out = tmp_path / "out"
    words = [
        "score-corpus",
        data,
        "--model",
        random_model,
        "--out",
        out,
        "--lang",
        lang,
    ]
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert "4 done + 1 failed = 5 found" in said
    assert "no reference of 1 recording (u4)" in said
    assert (out / "unscored").read_text() == "u4\n"
    references = {"u1": "a b c d", "u2": "c d", "u3": "a b"}
    hyp = read_table(out / "hyp")
    counts = {
        utt: count_errors(line.split(), hyp[utt].replace("sil", "").split())
        for utt, line in references.items()
    }
    total = counts["u1"] + counts["u2"] + counts["u3"]
    rates = (out / "scoring" / "per").read_text()
    assert total.line() in rates
    lost = "not scored: 1 of 4 references, whose recordings failed (u5)"
    assert lost in said and rates.endswith(f"{lost}\n")
    rows = [
        r.split() for r in (out / "scoring" / "per_folder").read_text().splitlines()
    ][1:]
    assert len(rows) == 6  # two folders under three policies
    one = counts["u1"] + counts["u2"]
    assert [str(tmp_path / "audio" / "s1"), "sil-forgiven", "6", str(one.hits)] in [
        row[:4] for row in rows
    ]
    speakers = (out / "scoring" / "per_spk").read_text().splitlines()
    assert [line.split()[0] for line in speakers[1:]] == ["a", "b"]


@pytest.mark.parametrize(
    ("folder", "word"),
    [
        ("/data/s1/(Été)_#2", "/data/s1/(Été)_#2"),
        ("../a b", "../a%20b"),
        ("../a%20b", "../a%2520b"),
        ("a\tb\nc\u2028\x1b", "a%09b%0Ac%E2%80%A8%1B"),
        ("caf\udce9", "caf%E9"),
    ],
)
def test_any_folder_is_one_column(folder, word):
    assert one_word(folder) == word


def test_a_folder_with_a_line_break_is_one_row(random_model, tmp_path):
    make_audio(tmp_path / "a\tb\nc", ("x",))
    (tmp_path / "refs").write_text("x a b\n")
    words = [tmp_path / "a\tb\nc", "--model", random_model, "--out", tmp_path / "out"]
    words += ["--text", tmp_path / "refs"]
    assert main(["score-corpus", *map(str, words)]) == 0
    table = (tmp_path / "out" / "scoring" / "per_folder").read_text()
    rows = [line.split() for line in table.splitlines()[1:]]
    assert {(row[0], len(row)) for row in rows} == {(f"{tmp_path}/a%09b%0Ac", 8)}


def test_statistics_are_used_as_transcribe_uses_them(
    data, lang, random_model, tmp_path
):
    with ArchiveWriter(tmp_path / "cmvn.ark", tmp_path / "cmvn.scp") as writer:
        stats = np.zeros((2, 13))
        stats[0, :-1], stats[1, :-1], stats[0, -1] = -450.0, 2800.0, 100.0
        writer.write("s", stats)
    common = [str(data), "--model", str(random_model), "--posteriors", "--out"]
    given = ["--cmvn", str(tmp_path / "cmvn.scp")]
    outs = [str(tmp_path / name) for name in ("own", "given", "transcribed")]
    text = ["--text", str(data / "text"), "--lang", str(lang)]
    assert main(["score-corpus", *common, outs[0], *text]) == 1
    assert main(["score-corpus", *common, outs[1], *text, *given]) == 1
    assert main(["transcribe", *common, outs[2], *given]) == 1
    arks = [(tmp_path / out / "posteriors.ark").read_bytes() for out in outs]
    assert arks[1] == arks[2]
    assert arks[0] != arks[1]


def test_references_by_id_for_plain_audio(random_model, tmp_path, capsys):
    make_audio(tmp_path / "audio", ("x", "y"))
    (tmp_path / "refs").write_text("x a b\ny c\nz b\n")
    words = ["score-corpus", tmp_path / "audio", "--model", random_model]
    words += ["--out", tmp_path / "out", "--text", tmp_path / "refs"]
    assert main([str(word) for word in words]) == 0
    assert "3 reference tokens in 2" in (tmp_path / "out/scoring/per").read_text()
    assert "refs: 1 reference of no recording here (z)" in capsys.readouterr().err


def test_no_reference_at_all_is_a_mistake(random_model, tmp_path, capsys):
    make_audio(tmp_path / "audio", ("x",))
    words = ["score-corpus", tmp_path / "audio", "--model", random_model]
    assert main([str(w) for w in [*words, "--out", tmp_path / "out"]]) == 2
    assert "no reference of any recording; give data dirs" in capsys.readouterr().err


def test_words_need_a_lang_dir(random_model, tmp_path, capsys):
    make_audio(tmp_path / "audio", ("x", "y"))
    words = ["score-corpus", tmp_path / "audio", "--model", random_model]
    words += ["--out", tmp_path / "out", "--text", tmp_path / "refs"]
    (tmp_path / "refs").write_text("x AB CD a\ny CD\n")
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert "3 of 4 tokens no phones of the model (AB, CD); give --lang" in said
    assert not (tmp_path / "out" / "hyp").exists()
    (tmp_path / "refs").write_text("x a b\ny b CD\n")
    assert main([str(word) for word in words]) == 0
    assert (
        "1 token of references no phones of the model (CD)" in capsys.readouterr().err
    )


def test_words_are_aligned(data, lang, random_model, tmp_path):
    out = tmp_path / "out"
    words = ["transcribe", data, "--model", random_model, "--out", out, "--words", lang]
    assert main([str(word) for word in words]) == 1
    found = read_ctm(out / "words.ctm")
    assert [mark.phone for mark in found["u1"]] == ["AB", "CD"]
    for one, two in zip(found["u1"], found["u1"][1:], strict=False):
        assert one.end <= two.start + 1e-4
    failed = [
        json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()
    ]
    assert [record["id"] for record in failed] == ["u4", "u5"]
    assert "--words needs a transcript" in failed[0]["reason"]


def test_where_all_fails_no_older_rates_stay(random_model, tmp_path, capsys):
    make_audio(tmp_path / "audio", ("x", "y"))
    (tmp_path / "refs").write_text("x a b\n")
    out = tmp_path / "out"
    words = ["score-corpus", tmp_path / "audio", "--model", random_model]
    words = [str(w) for w in [*words, "--out", out, "--text", tmp_path / "refs"]]
    assert main(words) == 1  # `y` has no reference
    assert (out / "scoring" / "per").exists() and (out / "unscored").exists()
    (tmp_path / "audio" / "x.flac").write_bytes(b"")
    capsys.readouterr()
    assert main(words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("no recording with a reference is done, so there are no rates")
    assert not {"scoring", "scored", "unscored"} & {p.name for p in out.iterdir()}


@pytest.mark.parametrize("given", [True, False])
def test_unknown_words_are_told_before_the_work(
    data, lang, random_model, tmp_path, capsys, given
):
    (data / "text").write_text("u1 AB QQQ CD\nu2 QQQ\nu3 AB\n")
    own = tmp_path / "refs"
    own.write_text("u1 AB QQQ CD\nu2 QQQ\nu3 AB\nelsewhere ZZZ\n")
    words = ["score-corpus", data, "--model", random_model, "--lang", lang]
    words += ["--out", tmp_path / "out", *(["--text", own] if given else [])]
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    place = own if given else data / "text"
    assert (
        f"{place}: unknown 'QQQ', 2 times, first in utterance 'u1'; add it to" in said
    )
    assert "ZZZ" not in said
    assert not (tmp_path / "out").exists()


def words_of(out) -> dict[str, list[str]]:
    marks = read_ctm(out / "words.ctm")
    return {name: [mark.phone for mark in found] for name, found in marks.items()}


def test_what_tables_say_anew_is_done_anew(data, lang, random_model, tmp_path):
    out = tmp_path / "out"
    words = ["transcribe", data, "--model", random_model, "--out", out, "--words", lang]
    words = [str(word) for word in words]
    assert main(words) == 1
    times = (out / "phones.jsonl").read_text().splitlines()
    (data / "text").write_text("u1 CD\nu2 CD\nu3 AB\nu4 AB AB\nu5 AB\n")
    (data / "segments").write_text(
        "u1 u1 0 -1\nu2 u2 0 -1\nu3 u3 0.2 0.7\nu4 u4 0 -1\nu5 u5 0 -1\n"
    )
    assert main(words) == 1
    # u2 and the empty u5 are as they were
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["done_before"], summary["failed_before"]) == (1, 1)
    assert words_of(out) == {"u1": ["CD"], "u2": ["CD"], "u3": ["AB"], "u4": ["AB"] * 2}
    records = [json.loads(r) for r in (out / "phones.jsonl").read_text().splitlines()]
    assert [r["seconds"] for r in records] == [1.0, 1.05, 0.5, 1.15]
    assert (out / "phones.jsonl").read_text().splitlines()[1] == times[1]
