import pytest

from features.errors import ConfigError, DataError
from pipeline.config import save
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.decoding.settings import DecodeSettings
from pipeline.score import score
from pipeline.scoring.counts import Comparison, ErrorCounts
from pipeline.scoring.record import from_json, read_aligned, read_record
from pipeline.scoring.summary import read_per

PHONES = ("a", "ax", "b", "q", "sil")
FOLD = {"a": "a", "ax": "a", "b": "b", "q": None, "sil": "sil"}
TEXT = {
    "s1-u1": ("sil", "a", "b", "q", "sil"),
    "s1-u2": ("sil", "b", "sil"),
    "s2-u1": ("sil", "a", "sil"),
}
HYP = "s1-u1 sil ax b sil\ns1-u2 sil sil b\ns2-u1 q sil b sil\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lang(Lang(PhoneTable(PHONES), Fold(FOLD), None, ("sil",)), "lang")
    speakers = {utt: utt[:2] for utt in TEXT}
    wav = {utt: f"{utt}.wav" for utt in TEXT}
    write_datadir(DataDir(tmp_path / "test", wav, speakers, text=TEXT), "test")
    (tmp_path / "exp/decode_test").mkdir(parents=True)
    (tmp_path / "exp/decode_test/hyp").write_text(HYP)
    return tmp_path


def lines(folder, name="exp/decode_test/scoring/per"):
    return (folder / name).read_text().splitlines()


def test_the_first_line_is_the_headline_and_the_protocol_follows(folder):
    settings = DecodeSettings(
        search="viterbi", grammar="lm.arpa", tuned_on="dev", decoded="test"
    )
    save("exp/decode_test/settings.yaml", settings)
    score("test", "exp/decode_test", lang="lang")
    assert lines(folder) == [
        "%PER 30.00 [ 3 / 10, 1 ins, 1 del, 1 sub ]",
        "95 % interval 28.57 to 33.33, bootstrap over 2 speakers, 10000 replicates",
        "headline policy strict (the references hold silence)",
        "strict: %PER 30.00 [ 3 / 10, 1 ins, 1 del, 1 sub ]",
        "sil-forgiven: %PER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ]",
        "sil-collapsed: %PER 20.00 [ 2 / 10, 0 ins, 1 del, 1 sub ]",
        "fold: 5->3 phones, q deleted, repeats not merged; 10 reference tokens in 3 utterances",
        "alignment: fewest errors (jiwer)",
        "decoding: Viterbi, lm.arpa, lm_weight 1, insertion_penalty 0, acoustic_scale 1, "
        "prior_scale 1, min_frames 1, beam 15; tuned on dev",
    ]


def test_settings_that_say_nothing_are_not_believed(folder):
    (folder / "exp/decode_test/settings.yaml").write_text("")
    with pytest.raises(ConfigError, match="settings.yaml: no acoustic_scale.*again"):
        score("test", "exp/decode_test", lang="lang")
    assert not (folder / "exp/decode_test/scoring/per").exists()


def test_tables_hold_counts_and_all_policies(folder):
    score("test", "exp/decode_test", lang="lang")
    place = folder / "exp/decode_test/scoring"
    assert lines(folder, place / "per_spk") == [
        "# speaker tokens hit sub del ins (policy strict) "
        "%PER: strict sil-forgiven sil-collapsed",
        "s1 7 6 0 1 1 28.57 0.00 14.29",
        "s2 3 2 1 0 0 33.33 100.00 33.33",
    ]
    assert lines(folder, place / "per_utt")[1:] == [
        "s1-u1 4 4 0 0 0 0.00 0.00 0.00",
        "s1-u2 3 2 0 1 1 66.67 0.00 33.33",
        "s2-u1 3 2 1 0 0 33.33 100.00 33.33",
    ]
    assert lines(folder, place / "confusion") == [
        "# count reference hypothesis",
        "5 sil sil",
        "2 b b",
        "1 a a",
        "1 a b",
        "1 sil <del>",
        "1 <ins> sil",
    ]


def test_a_set_that_was_tuned_on_is_marked(folder):
    settings = DecodeSettings(search="viterbi", tuned_on="./test", decoded="test")
    save("exp/decode_test/settings.yaml", settings)
    score("test", "exp/decode_test", lang="lang")
    assert lines(folder)[-1].endswith("tuned on ./test -- TUNED ON THIS SET")
    per = read_per(folder / "exp/decode_test/scoring/per")
    assert per.tuned_on_itself


def test_references_without_silence_forgive_it_and_say_so(folder):
    (folder / "test/text").write_text("s1-u1 a b\ns1-u2 b\ns2-u1 a\n")
    score("test", "exp/decode_test", lang="lang")
    assert lines(folder)[0] == "%PER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ]"
    assert (
        lines(folder)[2]
        == "headline policy sil-forgiven (the references hold no silence)"
    )


def test_two_text_files_are_enough(folder):
    (folder / "ref.txt").write_text("u1 a b\nu2 c\n")
    (folder / "hyp.txt").write_text("u1 a x\nu2 c\n")
    score("ref.txt", "hyp.txt", out="scores")
    assert lines(folder, "scores/per")[0] == "%PER 33.33 [ 1 / 3, 0 ins, 0 del, 1 sub ]"
    assert "over 2 utterances" in lines(folder, "scores/per")[1]
    assert lines(folder, "scores/per")[-3].startswith("fold: none, phones as they are")
    (folder / "speakers").write_text("u1 s1\nu2 s2\n")
    score("ref.txt", "hyp.txt", out="scores", utt2spk="speakers")
    assert "over 2 speakers" in lines(folder, "scores/per")[1]


def test_sclites_counts_are_an_option(folder):
    (folder / "ref.txt").write_text("u 1 2 3 a a\n")
    (folder / "hyp.txt").write_text("u a a 4 5 6\n")
    score("ref.txt", "hyp.txt", out="scores")
    assert "[ 5 / 5," in lines(folder, "scores/per")[0]
    score("ref.txt", "hyp.txt", out="scores", alignment="sclite")
    assert lines(folder, "scores/per")[0].endswith("[ 6 / 5, 3 ins, 3 del, 0 sub ]")
    assert "sclite's weights" in lines(folder, "scores/per")[-2]


def test_a_score_of_the_same_files_is_not_made_again(folder, capsys):
    score("test", "exp/decode_test", lang="lang")
    score("test", "exp/decode_test", lang="lang")
    assert "up to date" in capsys.readouterr().err
    (folder / "exp/decode_test/hyp").write_text(HYP.replace("ax b", "ax"))
    score("test", "exp/decode_test", lang="lang")
    assert lines(folder)[0].startswith("%PER 40.00 ")


def test_missing_and_extra_utterances_are_listed(folder):
    (folder / "exp/decode_test/hyp").write_text("s1-u1 a\ns1-u2 b\nx b\n")
    with pytest.raises(DataError) as caught:
        score("test", "exp/decode_test", lang="lang")
    first, second = str(caught.value).splitlines()
    assert first.endswith("s2-u1")
    assert second.endswith(": x")
    assert not (folder / "exp/decode_test/scoring").exists()


DECODED = "exp/decode_test"


@pytest.mark.parametrize(
    "name, content, message",
    [
        (f"{DECODED}/hyp", HYP + "s1-u1 a\n", "hyp:4: key 's1-u1' comes twice"),
        (f"{DECODED}/hyp", HYP.replace("ax", "zz"), "unknown 'zz', 1 .* 's1-u1'"),
        ("test/text", "s1-u1 a zz\ns1-u2 zz\ns2-u1 a\n", "text: unknown 'zz', 2 "),
        ("test/text", "s1-u1\ns1-u2 q\ns2-u1\n", "no phone to count"),
        ("test/utt2spk", "s1-u1 s1\ns2-u1 s2\n", "no speaker of s1-u2"),
        (f"{DECODED}/settings.yaml", "lm_wieght: 2\n", "unknown key 'lm_wieght'"),
    ],
)
def test_bad_input_is_named(folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises((DataError, ConfigError), match=message):
        score("test", "exp/decode_test", lang="lang")
    assert not (folder / "exp/decode_test/scoring/per").exists()


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (("test", "nowhere"), {}, "nowhere: no such file"),
        (
            ("test", "exp"),
            {},
            "exp/hyp: no such file.*keraldi decode, or give a file of text",
        ),
        (("test", "exp/decode_test"), {"utt2spk": "x"}, "goes with a text file"),
    ],
)
def test_wrong_arguments_are_named(folder, arguments, options, message):
    with pytest.raises((DataError, ConfigError), match=message):
        score(*arguments, **options)


@pytest.mark.parametrize(
    "missing, line",
    [
        ("delete", "[ 4 / 4, 1 ins, 2 del, 1 sub ]"),
        ("ignore", "[ 2 / 2, 1 ins, 0 del, 1 sub ]"),
    ],
)
def test_missing_and_extra_are_counted_and_named(folder, capsys, missing, line):
    (folder / "ref.trn").write_text("a b (u1)\nc d (u2)\n")
    (folder / "hyp.trn").write_text("a x y (u1)\nc (u9)\n")
    score("ref.trn", "hyp.trn", out="scores", missing=missing, extra="ignore")
    assert lines(folder, "scores/per")[0].endswith(line)
    said = capsys.readouterr().err
    assert "1 utterance without a hypothesis" in said and "u2" in said
    assert "1 hypothesis without a reference left out: u9" in said


def test_empty_hypotheses_are_counted_and_named(folder, capsys):
    (folder / "ref.trn").write_text("a b (u1)\nc d (u2)\n")
    (folder / "hyp.trn").write_text("a x y (u1)\n(u2)\n")
    score("ref.trn", "hyp.trn", out="scores")
    said = capsys.readouterr().err
    assert "score: 1 hypothesis empty: u2" in said
    assert "warning" not in said


def test_words_against_phones_are_warned_of(folder, capsys):
    (folder / "ref.trn").write_text("HELLO A WORLD (u1)\n" + "NINE (u2)\n")
    (folder / "hyp.trn").write_text("h e l o (u1)\nn ai n (u2)\n")
    score("ref.trn", "hyp.trn", out="scores")
    said = capsys.readouterr().err
    assert "0 of 4 reference tokens are anywhere in the hypotheses" in said
    assert "give --lang" in said


def test_the_record_holds_what_the_tables_say(folder):
    (folder / "test/spk2gender").write_text("s1 f\ns2 m\n")
    times = "".join(
        f"{row.split()[0]} 1 {place / 10} 0.1 {phone} 0.5\n"
        for row in HYP.splitlines()
        for place, phone in enumerate(row.split()[1:])
    )
    (folder / "exp/decode_test/ctm").write_text(times)
    (folder / "test/phones.ctm").write_text(times)
    score("test", "exp/decode_test", lang="lang")
    place = folder / "exp/decode_test/scoring"
    record = read_record(place)
    total = from_json(record["policies"]["strict"])
    assert total.line() == lines(folder)[0]
    for part in ("speakers", "utterances", "phones"):
        counts = [from_json(c) for c in record[part].values()]
        assert sum(counts, ErrorCounts()) == total
    assert record["groups"]["sex"]["m"]["errors"] == 1
    assert record["classes"]["of"] == {"a": "other", "b": "stop", "sil": "silence"}
    assert record["times"]["boundaries"]["10"]["f_score"] == 1.0
    assert record["times"]["frame_accuracy"] == 100.0
    assert record["calibration"]["phones"] == 10
    assert record["calibration"]["correct"] == 0.8
    pairs = read_aligned(place / "aligned")
    assert Comparison(tuple(pairs["s1-u2"])).counts == ErrorCounts(2, 0, 1, 1)
    assert lines(folder, place / "deletions")[1:] == ["1 sil <del>"]
