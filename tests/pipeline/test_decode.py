import json
import os
import shutil
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from features.archive import ArchiveReader
from features.errors import ConfigError, DataError
from pipeline.config import load
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import read_table, write_table
from pipeline.datadir.textgrid import read_textgrid
from pipeline.datadir.times import read_ctm
from pipeline.decode import decode
from pipeline.decoding.settings import DecodeSettings
from pipeline.lm import lm

PHONES = PhoneTable(("a", "b", "sil"))
TEXT = {
    "s1-u1": "sil a b sil",
    "s1-u2": "sil b a b sil",
    "s2-u1": "a a b sil",
    "s2-u2": "sil a b a sil",
}


class FakeRecogniser:
    """Stands for a network: the posteriors of each utterance are made by hand."""

    def __init__(self, posteriors, *, objective="framewise", states=1):
        self.posteriors = posteriors
        width = next(iter(posteriors.values())).shape[1]
        self.recipe = SimpleNamespace(
            phones=list(PHONES.symbols),
            objective=objective,
            states=states,
            log_priors=[-np.log(width)] * width,
            features=SimpleNamespace(frame_shift_ms=10.0, frame_length_ms=25.0),
            frontend=SimpleNamespace(skip=1),
        )
        self.runs = 0

    def check_data(self, path, phones):
        if phones != PHONES:
            raise DataError("phone table differs")

    def inputs(self, data):
        return ((utt, np.zeros((1, 1))) for utt in data.utterances)

    def log_posteriors(self, utterances):
        self.runs += 1
        return ((utt, self.posteriors[utt]) for utt, _ in utterances)


def noisy(line, rng, *, width=3, frames=6):
    """Posteriors in which the phones of a line stand, each for some frames, under noise."""
    labels = np.repeat(PHONES.indices(line.split()), frames)
    scores = rng.normal(scale=1.5, size=(len(labels), width))
    scores[np.arange(len(labels)), labels] += 2.5
    return (scores - np.logaddexp.reduce(scores, axis=1)[:, None]).astype(np.float32)


def put_set(folder):
    text = {utt: tuple(line.split()) for utt, line in TEXT.items()}
    paths = {utt: f"{utt}.wav" for utt in TEXT}
    data = DataDir(
        folder, paths, {utt: utt[:2] for utt in TEXT}, text=text, feats=paths
    )
    write_datadir(data, folder)


@pytest.fixture
def recogniser(tmp_path, monkeypatch):
    """A recogniser behind `exp/x`, two sets and a lang dir; the working directory holds all."""
    monkeypatch.chdir(tmp_path)
    fold = Fold({phone: phone for phone in PHONES.symbols})
    write_lang(Lang(PHONES, fold, None, ("sil",)), "lang")
    put_set(tmp_path / "dev")
    put_set(tmp_path / "test")
    (tmp_path / "exp/x").mkdir(parents=True)
    (tmp_path / "exp/x/final.keras").write_text("a network")
    rng = np.random.default_rng(0)
    fake = FakeRecogniser({utt: noisy(line, rng) for utt, line in TEXT.items()})
    module = ModuleType("pipeline.nnet.recogniser")
    module.load_recogniser = lambda path: fake
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return fake


def certain(line, frames=6, width=3):
    labels = np.repeat(PHONES.indices(line.split()), frames)
    probs = np.full((len(labels), width), 0.01 / (width - 1))
    probs[np.arange(len(labels)), labels] = 0.99
    return np.log(probs).astype(np.float32)


def test_hypotheses_times_and_settings_are_written(recogniser):
    recogniser.posteriors["s1-u1"] = certain("sil a b sil")
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", insertion_penalty=2.0)
    hyp = read_table("exp/x/decode_test/hyp")
    assert sorted(hyp) == sorted(TEXT)
    assert hyp["s1-u1"] == "sil a b sil"
    marks = read_ctm("exp/x/decode_test/ctm")
    assert {utt: " ".join(m.phone for m in ms) for utt, ms in marks.items()} == hyp
    # Phones of six frames: borders half-way between frame centres, 12.5 ms + 10 ms * frame.
    starts = [mark.start for mark in marks["s1-u1"]]
    assert starts == pytest.approx([0.0, 0.0675, 0.1275, 0.1875])
    assert marks["s1-u1"][-1].end == pytest.approx(0.2475)
    with open("exp/x/decode_test/ctm", encoding="utf-8") as file:
        first = file.readline().split()
    assert first == ["s1-u1", "1", "0.0000", "0.0675", "sil", "0.990"]
    settings = load("exp/x/decode_test/settings.yaml", DecodeSettings)
    assert settings == DecodeSettings(
        insertion_penalty=2.0, search="viterbi", decoded="test", posteriors="exp/x"
    )


def test_a_finished_decoding_is_not_done_again(recogniser, capsys):
    for _ in range(2):
        decode("exp/x", "test", "exp/x/decode_test", lang="lang")
    assert recogniser.runs == 1
    assert "up to date" in capsys.readouterr().err
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", min_frames=2)
    assert recogniser.runs == 2


def test_error_rates_of_old_hypotheses_do_not_outlive_them(recogniser, tmp_path):
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", posteriors=True)
    scoring = tmp_path / "exp/x/decode_test/scoring"
    scoring.mkdir()
    (scoring / "per").write_text("%PER of before")
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", min_frames=2)
    assert not (scoring / "per").exists()
    assert not (scoring.parent / "posteriors.scp").exists()


def test_tuning_takes_the_lowest_rate_and_test_uses_it_frozen(recogniser, capsys):
    lm("dev", "lang/lm.arpa", lang="lang")
    decode("exp/x", "dev", "exp/x/decode_dev", lang="lang", tune=True)
    tuned = load("exp/x/decode_dev/settings.yaml", DecodeSettings)
    assert (tuned.tuned_on, tuned.tuned_on_itself) == ("dev", True)
    assert tuned.grammar == "lang/lm.arpa"
    rows = np.loadtxt("exp/x/decode_dev/tuning").tolist()
    lowest = min(row[0] for row in rows)
    assert rows[0] == [lowest, tuned.lm_weight, tuned.insertion_penalty]
    assert rows[0][0] < rows[-1][0]
    frozen = "exp/x/decode_dev/settings.yaml"
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", settings=frozen)
    used = load("exp/x/decode_test/settings.yaml", DecodeSettings)
    assert (used.lm_weight, used.insertion_penalty) == (rows[0][1], rows[0][2])
    assert (used.tuned_on, used.decoded, used.tuned_on_itself) == ("dev", "test", False)
    assert read_table("exp/x/decode_test/hyp") == read_table("exp/x/decode_dev/hyp")
    assert "tuned on dev itself" not in capsys.readouterr().err
    decode("exp/x", "dev", "exp/x/decode_dev2", lang="lang", settings=frozen)
    assert "tuned on dev itself" in capsys.readouterr().err


def test_settings_of_another_model_of_speech_are_warned_of(recogniser, capsys):
    decode("exp/x", "dev", "exp/x/decode_dev", lang="lang", tune=True)
    assert "without a language model" in capsys.readouterr().err
    lm("dev", "lang/lm.arpa", lang="lang")
    frozen = "exp/x/decode_dev/settings.yaml"
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", settings=frozen)
    assert "warning: the settings were chosen for viterbi with no language model" in (
        capsys.readouterr().err
    )


def test_posteriors_are_kept_on_request(recogniser):
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", posteriors=True)
    stored = ArchiveReader("exp/x/decode_test/posteriors.scp")
    assert sorted(stored) == sorted(TEXT)
    for utt in TEXT:
        np.testing.assert_array_equal(stored[utt], recogniser.posteriors[utt])


def test_stored_posteriors_are_decoded_as_the_model_was(recogniser, tmp_path):
    lm("dev", "lang/lm.arpa", lang="lang", order=3)
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", posteriors=True)
    shutil.move(tmp_path / "exp/x/final.keras", tmp_path / "gone")
    decode("exp/x/decode_test", "test", "again", lang="lang")
    for name in ("hyp", "ctm", "settings.yaml"):
        first = (tmp_path / "exp/x/decode_test" / name).read_text()
        assert (tmp_path / "again" / name).read_text() == first
    assert recogniser.runs == 1
    with pytest.raises(ConfigError, match="is where the posteriors come from"):
        store = "exp/x/decode_test"
        decode(store, "test", f"{store}/", lang="lang", posteriors=True)


def test_stored_posteriors_are_decoded_without_tensorflow(recogniser):
    decode("exp/x", "test", "store", lang="lang", posteriors=True)
    code = (
        "import sys; from pipeline.decode import decode; "
        "decode('store', 'test', 'again', lang='lang', nbest=2); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read_table("again/hyp") == read_table("store/hyp")


@pytest.mark.parametrize(
    "damage, message",
    [
        ("utterance", "nothing of 1 utterance of test: s2-u2"),
        ("phones", "other phones than the lang dir's"),
        ("record", "posteriors.yaml: no such file; run keraldi decode --posteriors"),
    ],
)
def test_stored_posteriors_of_something_else_are_refused(
    recogniser, tmp_path, damage, message
):
    decode("exp/x", "test", "store", lang="lang", posteriors=True)
    record = tmp_path / "store/posteriors.yaml"
    if damage == "utterance":
        index = tmp_path / "store/posteriors.scp"
        index.write_text("".join(index.read_text().splitlines(True)[:-1]))
    elif damage == "phones":
        record.write_text(record.read_text().replace("- sil", "- pau"))
    else:
        record.unlink()
    with pytest.raises(DataError, match=message):
        decode("store", "test", "again", lang="lang")


def test_every_form_of_hypotheses_is_written_and_removed(recogniser, tmp_path):
    decode(
        "exp/x",
        "test",
        "out",
        lang="lang",
        nbest=4,
        formats=("textgrid", "jsonl"),
        phone_posteriors=True,
        exact=True,
    )
    hyp, marks = read_table("out/hyp"), read_ctm("out/ctm")
    for line in (tmp_path / "out/nbest.jsonl").read_text().splitlines():
        record = json.loads(line)
        several = record["nbest"]
        assert " ".join(several[0]["phones"]) == hyp[record["utterance"]]
        assert len({tuple(h["phones"]) for h in several}) == 4
        assert several[0]["score"] >= several[3]["score"]
        wanted = [[m.start, m.end] for m in marks[record["utterance"]]]
        assert np.array(several[0]["spans"]) == pytest.approx(
            np.array(wanted), abs=2e-4
        )
    for line in (tmp_path / "out/phones.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert " ".join(p["phone"] for p in record["phones"]) == hyp[record["id"]]
    for utt, found in marks.items():
        grid = read_textgrid(f"out/textgrid/{utt}.TextGrid")
        assert [m.phone for m in grid] == [m.phone for m in found]
        assert grid[-1].end == pytest.approx(found[-1].end, abs=1e-3)
    phones = ArchiveReader("out/phone_posteriors.scp")
    np.testing.assert_array_equal(phones["s1-u1"], recogniser.posteriors["s1-u1"])
    decode("exp/x", "test", "out", lang="lang")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"hyp", "ctm", "settings.yaml", ".stamps"}


@pytest.fixture
def ctc(recogniser):
    """Posteriors of a CTC model, with which a phone is heard every third frame."""
    recogniser.recipe.objective = "ctc"
    blank = len(PHONES)
    for utt, line in TEXT.items():
        scores = np.log(np.full((40, 4), 0.01, np.float32))
        scores[:, blank] = np.log(0.97)
        for place, phone in enumerate(PHONES.indices(line.split())):
            scores[3 * place] = np.log(0.01)
            scores[3 * place, phone] = np.log(0.97)
        recogniser.posteriors[utt] = scores
    return recogniser


def test_greedy_ctc_has_nothing_to_tune(ctc, capsys):
    decode("exp/x", "test", "exp/x/decode_test", lang="lang", tune=True, greedy=True)
    assert read_table("exp/x/decode_test/hyp") == TEXT
    assert "a greedy search has no settings to tune" in capsys.readouterr().err
    settings = load("exp/x/decode_test/settings.yaml", DecodeSettings)
    assert settings.describe() == "best output of every frame, nothing to tune"
    assert not settings.tuned_on_itself


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exact": True}, "--exact: a CTC model is searched by prefix beam"),
        ({"beam": 3.0, "min_frames": 2}, "--beam, --min-frames: a CTC model"),
    ],
)
def test_options_of_the_other_search_are_refused(ctc, options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        decode("exp/x", "test", "out", lang="lang", **options)
    assert not (tmp_path / "out/hyp").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefixes": 4}, "--prefixes: a framewise model is searched by Viterbi"),
        ({"tune": True, "lm_weight": 2.0}, "--tune chooses --lm-weight"),
        ({"greedy": True, "beam": 3.0}, "--greedy: heeds no setting; leave out --beam"),
        ({"greedy": True, "exact": True}, "--greedy: .*leave out --exact, or it"),
    ],
)
def test_options_without_effect_are_refused(recogniser, options, message):
    with pytest.raises(ConfigError, match=message):
        decode("exp/x", "test", "out", lang="lang", **options)


def test_fewer_sequences_than_asked_for_are_told(recogniser, capsys):
    recogniser.posteriors["s1-u2"] = np.log(np.full((1, 3), 1 / 3, np.float32))
    decode("exp/x", "test", "out", lang="lang", nbest=4, exact=True)
    assert (
        "1 utterance with fewer than 4 sequences within the beam (a wider --beam, or more "
        "--prefixes, finds more): s1-u2"
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "steps"),
    [({"exact": True}, 3), ({"exact": True, "nbest": 3}, 9), ({}, 0)],
)
def test_a_long_exact_search_is_told_beforehand(
    recogniser, monkeypatch, capsys, options, steps
):
    """One history and 3 phones at every frame, for every sequence that is kept."""
    frames = {utt: len(m) for utt, m in recogniser.posteriors.items()}
    write_table("test/utt2num_frames", {u: str(n) for u, n in frames.items()})
    total = sum(frames.values())
    monkeypatch.setattr("pipeline.decode._STEPS_A_MINUTE", 3 * total)
    decode("exp/x", "test", "out", lang="lang", **options)
    said = f"{total} frames x 1 history x 3 phones"
    assert (said in capsys.readouterr().err) == (steps > 0)
    monkeypatch.setattr("pipeline.decode._STEPS_A_MINUTE", steps * total + 1)
    decode("exp/x", "test", "again", lang="lang", **options)
    assert "histories" not in capsys.readouterr().err


def test_stored_posteriors_of_other_frames_are_refused(recogniser):
    decode("exp/x", "test", "store", lang="lang", posteriors=True)
    frames = {utt: len(m) for utt, m in recogniser.posteriors.items()}
    frames["s1-u2"] += 1
    write_table("test/utt2num_frames", {u: str(n) for u, n in frames.items()})
    with pytest.raises(DataError, match="'s1-u2': 30 frames, where 31 of features"):
        decode("store", "test", "again", lang="lang")


def test_ctc_is_searched_with_an_ngram_and_tuned(ctc):
    lm("dev", "lang/lm.arpa", lang="lang", order=3)
    decode("exp/x", "dev", "exp/x/decode_dev", lang="lang", tune=True)
    assert read_table("exp/x/decode_dev/hyp") == TEXT
    settings = load("exp/x/decode_dev/settings.yaml", DecodeSettings)
    assert (settings.search, settings.grammar) == ("prefix beam", "lang/lm.arpa")
    assert settings.tuned_on == "dev"
    starts = [mark.start for mark in read_ctm("exp/x/decode_dev/ctm")["s1-u1"]]
    # Phones in frames 0, 3, 6, 9: borders 7.5 ms + 10 ms * frame.
    assert starts == pytest.approx([0.0, 0.0375, 0.0675, 0.0975])


def test_the_lang_dirs_ngram_can_be_left_out(recogniser, capsys):
    lm("dev", "lang/lm.arpa", lang="lang")
    decode("exp/x", "test", "out", lang="lang", arpa="none")
    assert load("out/settings.yaml", DecodeSettings).grammar is None
    assert "without a language model" in capsys.readouterr().err


def test_a_failed_run_leaves_the_old_hypotheses(recogniser):
    decode("exp/x", "test", "exp/x/decode_test", lang="lang")
    before = read_table("exp/x/decode_test/hyp")
    recogniser.posteriors["s2-u2"] = np.full((4, 3), np.nan, np.float32)
    with pytest.raises(
        DataError, match="exp/x: utterance 's2-u2': its posteriors hold NaN"
    ):
        decode("exp/x", "test", "exp/x/decode_test", lang="lang", min_frames=3)
    assert read_table("exp/x/decode_test/hyp") == before


def test_a_model_of_speech_over_other_phones_is_named(recogniser, tmp_path):
    lm("dev", "lang/lm.arpa", lang="lang")
    arpa = tmp_path / "lang/lm.arpa"
    arpa.write_text(arpa.read_text().replace("\ta", "\tzz").replace(" a", " zz"))
    with pytest.raises(DataError) as caught:
        decode("exp/x", "test", "exp/x/decode_test", lang="lang")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["lang/lm.arpa"] * 2
    assert ": a; run" in lines[0]
    assert ": zz; run" in lines[1]


def test_utterances_without_features_are_listed(recogniser, tmp_path):
    (tmp_path / "test/feats.scp").write_text("s1-u1 x\ns1-u2 x\n")
    with pytest.raises(DataError, match="of 2 utterances: s2-u1, s2-u2"):
        decode("exp/x", "test", "exp/x/decode_test", lang="lang")


def test_tuning_needs_transcripts_of_all(recogniser, tmp_path):
    (tmp_path / "dev/text").write_text("s1-u1 a\n")
    with pytest.raises(DataError, match="3 utterances not in the reference"):
        decode("exp/x", "dev", "exp/x/decode_dev", lang="lang", tune=True)
    (tmp_path / "dev/text").unlink()
    with pytest.raises(DataError, match="tuning needs transcripts"):
        decode("exp/x", "dev", "exp/x/decode_dev", lang="lang", tune=True)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lm_weight": -1.0}, "lm_weight.*got -1.0"),
        ({"insertion_penalty": float("inf")}, "insertion_penalty.*finite.*got inf"),
        ({"settings": "s.yaml", "tune": True}, "leave out --tune"),
        ({"settings": "s.yaml", "lm_weight": 1.0}, "leave out --lm-weight"),
        ({"settings": "absent.yaml"}, "absent.yaml: no such file"),
        ({"settings": "s.yaml", "exact": True}, "leave out --exact"),
        ({"beam": 5.0, "exact": True}, "leave out --beam or --exact"),
        ({"nbest": -1}, "--nbest: expected 0 to 10000, got -1"),
        ({"nbest": 1_000_000}, "--nbest: expected 0 to 10000, got 1000000"),
        ({"nbest": 3, "greedy": True}, "--nbest: a greedy search finds one"),
        ({"arpa": "absent.arpa"}, "absent.arpa: no such file.*keraldi lm"),
    ],
)
def test_wrong_options_are_named(recogniser, tmp_path, options, message):
    (tmp_path / "s.yaml").write_text("lm_weight: 2.0\n")
    with pytest.raises((ConfigError, DataError), match=message):
        decode("exp/x", "test", "exp/x/decode_test", lang="lang", **options)


def test_utterances_shorter_than_a_phone_are_named(recogniser, tmp_path, capsys):
    decode("exp/x", "test", "out", lang="lang", min_frames=1000, nbest=2)
    said = capsys.readouterr().err
    assert "warning: 4 utterances shorter than a phone may be" in said
    assert all(len(line.split()) == 1 for line in read_table("out/hyp").values())
    assert "Infinity" not in (tmp_path / "out/nbest.jsonl").read_text()


def test_posteriors_are_not_decoded_over_themselves(recogniser, tmp_path):
    decode("exp/x", "test", "store", lang="lang", posteriors=True)
    with pytest.raises(ConfigError, match="store: is where the posteriors come from"):
        decode("store", "test", "store", lang="lang")
    assert (tmp_path / "store/posteriors.ark").exists()


@pytest.mark.parametrize(("out", "what"), [("test", "features"), ("lang", "phones")])
def test_nothing_is_decoded_into_what_is_read(recogniser, tmp_path, out, what):
    before = set(os.listdir(out))
    with pytest.raises(ConfigError, match=f"{out}: is where the {what} come from"):
        decode("exp/x", "test", out, lang="lang")
    with pytest.raises(ConfigError, match=f"{out}/.: is where the {what} come from"):
        decode("exp/x", "test", f"{tmp_path}/{out}/.", lang="lang")
    assert set(os.listdir(out)) == before
