import errno
import io
import json
import os
import re
import sys

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveReader, ArchiveWriter
from features.errors import DataError
from features.spectral import FeatureOptions
from pipeline.__main__ import main
from pipeline.batch import exported, meter, windows
from pipeline.batch.exported import WaveformListener
from pipeline.batch.items import Item
from pipeline.config import parse_yaml, save
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import read_ctm
from pipeline.decoding.settings import DecodeSettings
from pipeline.recogniser import Recogniser


def speech(seconds: float, seed: int, rate_hz: int = 16000) -> np.ndarray:
    """Noise whose colour changes ten times a second."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(round(seconds * 10)):
        width = rng.integers(1, 40)
        white = rng.uniform(-1, 1, rate_hz // 10 + width - 1)
        parts.append(np.convolve(white, np.ones(width) / width, mode="valid"))
    return np.concatenate(parts) * rng.uniform(0.1, 0.9)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Files of many lengths, rates and forms; six of them bad."""
    root = tmp_path_factory.mktemp("corpus")
    for number in range(30):
        seconds = 0.2 + 0.1 * (number * 7 % 23)
        soundfile.write(
            root / f"{number:02d}.flac", speech(seconds, seed=number), 16000
        )
    stereo = np.stack([speech(1, 50, 48000), speech(1, 51, 48000)], axis=1)
    soundfile.write(root / "stereo.wav", stereo, 48000)
    soundfile.write(root / "eight.wav", speech(1, 52), 16000, subtype="PCM_U8")
    (root / "short.wav").write_bytes(b"")
    soundfile.write(root / "shorter.wav", np.ones(300) * 0.1, 16000)
    soundfile.write(root / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(root / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    (root / "text.wav").write_text("This is no audio, whatever its name says.\n" * 9)
    whole = (root / "stereo.wav").read_bytes()
    (root / "cut.wav").write_bytes(whole[: len(whole) // 2])
    return root


PHONES = ["sil", *"abcd"]  # the model's
BAD = {"short", "shorter", "silent", "nan", "text", "cut"}


def run(*words) -> int:
    return main(["transcribe", *map(str, words)])


@pytest.fixture(scope="module")
def results(corpus, random_model, tmp_path_factory):
    """The corpus transcribed, with posteriors."""
    out = tmp_path_factory.mktemp("transcribe") / "out"
    assert run(corpus, "--model", random_model, "--out", out, "--posteriors") == 1
    return out


def test_good_audio_is_done_and_bad_audio_named(results):
    failed = map(json.loads, (results / "failed.jsonl").read_text().splitlines())
    assert {record["id"] for record in failed} == BAD
    good = set(read_table(results / "hyp"))
    assert good == {f"{n:02d}" for n in range(30)} | {"stereo", "eight"}
    summary = json.loads((results / "summary.json").read_text())
    assert (summary["found"], summary["done"], summary["failed"]) == (38, 32, 6)


def test_phones_cover_each_file(results, corpus):
    records = map(json.loads, (results / "phones.jsonl").read_text().splitlines())
    for record in records:
        phones = record["phones"]
        assert phones[0]["start"] == 0.0
        assert phones[-1]["end"] == pytest.approx(record["seconds"], abs=0.02)
        for one, two in zip(phones, phones[1:], strict=False):
            assert one["end"] == two["start"]
        assert all(0 < phone["confidence"] <= 1 for phone in phones)
        info = soundfile.info(record["source"])
        assert record["seconds"] == pytest.approx(info.duration, abs=1e-3)


def test_posteriors_are_those_of_the_network_alone(results, corpus, random_model):
    from features.audio import read_audio
    from features.frontend import transform
    from features.normalize import CmvnStats
    from features.spectral import compute_features
    from pipeline.nnet.recogniser import load_recogniser

    recogniser = load_recogniser(random_model)
    samples, _ = read_audio(corpus / "07.flac", rate_hz=16000)
    raw = compute_features(samples, recogniser.features)
    frames = transform(raw, CmvnStats.from_frames(raw), recogniser.frontend)
    ((_, expected),) = recogniser.log_posteriors([("x", frames)])
    found = ArchiveReader(results / "posteriors.scp")
    assert len(found) == 32
    np.testing.assert_allclose(found["07"], expected, atol=1e-4)
    best = [int(n) for n in found["07"].argmax(axis=1)]
    assert len(set(best)) > 1  # the model says more than one thing


def test_a_files_result_does_not_depend_on_the_others(
    results, corpus, random_model, tmp_path
):
    some = [corpus / name for name in ("03.flac", "eight.wav", "22.flac")]
    words = [*some, "--model", random_model, "--out", tmp_path, "--threads", 1]
    assert run(*words, "--posteriors") == 0
    alone = dict(
        line.split(maxsplit=1)
        for line in (tmp_path / "phones.jsonl").read_text().splitlines()
    )
    lines = (results / "phones.jsonl").read_text().splitlines()
    assert set((tmp_path / "phones.jsonl").read_text().splitlines()) <= set(lines)
    assert alone
    ours, theirs = (ArchiveReader(f / "posteriors.scp") for f in (tmp_path, results))
    for name in ("03", "eight", "22"):
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_long_file_keeps_its_times(
    results, corpus, random_model, tmp_path, monkeypatch
):
    samples = np.concatenate(
        [
            soundfile.read(corpus / f"{number:02d}.flac")[0]
            for number in (3, 22, 9, 16, 29)
        ]
    )
    soundfile.write(tmp_path / "long.flac", samples, 16000)
    monkeypatch.setattr(windows, "LONGEST_S", 2.0)
    words = [tmp_path / "long.flac", "--model", random_model, "--out", tmp_path / "cut"]
    assert run(*words, "--posteriors") == 0
    monkeypatch.undo()
    words[-1] = tmp_path / "whole"
    assert run(*words, "--posteriors") == 0
    cut, whole = (
        ArchiveReader(tmp_path / name / "posteriors.scp")["long"]
        for name in ("cut", "whole")
    )
    assert len(cut) == len(whole)
    # A second of context on both sides is more than this network remembers.
    np.testing.assert_allclose(cut, whole, atol=0.05)
    marks = read_ctm(tmp_path / "cut" / "ctm")["long"]
    assert marks[-1].end == pytest.approx(len(samples) / 16000, abs=0.01)


def test_a_list_on_standard_input(corpus, random_model, tmp_path, monkeypatch):
    listed = f"{corpus / '03.flac'}\n{corpus / '0[12].flac'}\n"
    stream = io.TextIOWrapper(io.BytesIO(listed.encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert run("-", "--model", random_model, "--out", tmp_path) == 0
    assert set(read_table(tmp_path / "hyp")) == {"01", "02", "03"}


def test_words_are_checked_first(corpus, random_model, tmp_path, capsys):
    lang = tmp_path / "lang"
    lang.mkdir()
    common = [corpus, "--model", random_model, "--out", tmp_path / "out"]
    assert run(*common, "--words", lang) == 2
    assert "lang/phones.txt: no such file; run keraldi" in capsys.readouterr().err
    fold = Fold({"a": "a"})
    write_lang(Lang(PhoneTable(("a",)), fold, Lexicon({"A": (("a",),)}), ()), lang)
    (lang / "lexicon.txt").write_text("A x\n")
    assert run(*common, "--words", lang) == 2
    assert "phone 'x' is not in phones.txt" in capsys.readouterr().err
    (lang / "lexicon.txt").write_text("A a\n")
    assert run(*common, "--words", lang) == 2
    assert "no transcript of any of 38 recordings; give data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_words_without_a_lexicon_must_be_phones(corpus, random_model, tmp_path, capsys):
    data, lang = tmp_path / "data", tmp_path / "lang"
    data.mkdir()
    (data / "wav.scp").write_text(f"x {corpus / '03.flac'}\n")
    (data / "utt2spk").write_text("x x\n")
    fold = Fold({phone: phone for phone in PHONES})
    write_lang(Lang(PhoneTable(tuple(PHONES)), fold, None, ("sil",)), lang)
    common = [data, "--model", random_model, "--out", tmp_path / "out"]
    (data / "text").write_text("x a you b they\n")
    assert run(*common, "--words", lang) == 2
    told = (
        "no lexicon.txt, and 2 words of the transcripts not in phones.txt (they, you)"
    )
    assert told in capsys.readouterr().err
    (data / "text").write_text("x a b c\n")
    assert run(*common, "--words", lang) == 0
    marks = read_ctm(tmp_path / "out" / "words.ctm")["x"]
    assert [mark.phone for mark in marks] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "absent"], "absent/final.keras: no such file"),
        (["--model", "EXPORTED"], "or a .tflite file (other exported forms are for"),
        (["--model", "EXPORTED"], "give EXPORTED/model.tflite"),
        (["--model", "EXPORTED/model.onnx"], "give EXPORTED/model.tflite"),
        (["--model", "EXPORTED/saved_model"], "give EXPORTED/model.tflite"),
        (["--model", "MODEL/final.keras"], "give MODEL"),
        (["--model", "ALONE/model.keras"], "export it with --formats tflite"),
        (["--model", "MODEL", "--threads", "-1"], "--threads: expected at least 1"),
        (["--model", "MODEL", "--arpa", "none.arpa"], "none.arpa: no such file"),
        (
            ["--model", "MODEL", "--settings", "GAPS"],
            "gaps.yaml: no acoustic_scale, prior",
        ),
    ],
)
def test_mistakes_are_told(words, message, corpus, random_model, tmp_path, capsys):
    gaps = tmp_path / "gaps.yaml"
    gaps.write_text("lm_weight: 2.0\n")
    for folder in ("exported/saved_model", "alone"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("saved_model/saved_model.pb", "model.onnx", "model.tflite"):
        (tmp_path / "exported" / name).write_text("")
    (tmp_path / "alone" / "model.keras").write_text("")
    places = {
        "MODEL": random_model,
        "GAPS": gaps,
        "EXPORTED": tmp_path / "exported",
        "ALONE": tmp_path / "alone",
    }
    pattern = re.compile("|".join(places))

    def named(text):
        return pattern.sub(lambda found: str(places[found[0]]), text)

    assert run(corpus, "--out", tmp_path, *map(named, words)) == 2
    assert named(message) in capsys.readouterr().err


def test_results_do_not_go_where_the_model_is(corpus, random_model, capsys):
    before = sorted(random_model.iterdir())
    out = random_model / "."
    assert run(corpus, "--model", random_model, "--out", out) == 2
    assert "is where the weights come from; give another" in capsys.readouterr().err
    assert sorted(random_model.iterdir()) == before


@pytest.mark.parametrize(
    "name",
    [
        *("hyp", "settings.yaml", "final.keras", "wav.scp", "phones.txt"),
        *("textgrid", "posteriors.ark", "phones.jsonl", "manifest.jsonl", "scoring"),
    ],
)
def test_what_others_put_into_a_folder_stays(
    name, corpus, random_model, tmp_path, capsys
):
    (tmp_path / name).write_text("precious\n")
    assert run(corpus, "--model", random_model, "--out", tmp_path) == 2
    told = f"{tmp_path}: holds {name}, not of a transcription that began here"
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_settings_say_what_they_were_used_with(corpus, random_model, tmp_path, capsys):
    given, out = tmp_path / "given.yaml", tmp_path / "out"
    words = ("--model", random_model, "--out", out, "--settings", given)
    save(given, DecodeSettings(insertion_penalty=0.5, posteriors="exp/x", decoded="a"))
    assert run(corpus / "00.flac", *words) == 0
    assert parse_yaml(out / "settings.yaml")["posteriors"] == str(random_model)
    capsys.readouterr()
    # where settings come from changes nothing; what they are does
    save(given, DecodeSettings(insertion_penalty=0.5, posteriors="exp/y", decoded="b"))
    assert run(corpus / "00.flac", *words) == 0
    assert "nothing new" in capsys.readouterr().err
    save(given, DecodeSettings(insertion_penalty=0.7, posteriors="exp/y", decoded="b"))
    assert run(corpus / "00.flac", *words) == 0
    assert "results of other settings (settings)" in capsys.readouterr().err


@pytest.fixture
def spoken(corpus, tmp_path):
    """A data dir of two files of a speaker, with statistics of other features than the model's."""
    folder = tmp_path / "data"
    folder.mkdir()
    names = ("00", "01")
    (folder / "wav.scp").write_text("".join(f"{n} {corpus}/{n}.flac\n" for n in names))
    (folder / "utt2spk").write_text("".join(f"{n} s\n" for n in names))
    stats = np.zeros((2, 13))
    stats[0, :-1], stats[1, :-1], stats[0, -1] = -500.0, 3000.0, 100.0
    with ArchiveWriter(folder / "cmvn.ark", folder / "cmvn.scp") as writer:
        writer.write("s", stats)
    save(folder / "features.yaml", FeatureOptions(num_mels=12, preset="kaldi"))
    return folder


def test_statistics_of_other_features_are_refused(
    spoken, corpus, random_model, tmp_path, capsys
):
    words = ("--model", random_model, "--out", tmp_path / "out")
    given = ("--cmvn", spoken / "cmvn.scp")
    message = (
        f"{spoken}/features.yaml: preset is 'kaldi' but {random_model} was trained"
    )
    for more in ((spoken,), (corpus / "00.flac", *given)):
        assert run(*more, *words) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(DataError, match="features.yaml: preset is 'kaldi'"):
        Recogniser.load(random_model, cmvn=spoken / "cmvn.scp")
    save(spoken / "features.yaml", FeatureOptions(num_mels=12))
    assert run(spoken, *words) == 0
    # Kaldi's own data dirs say nothing of their features
    (spoken / "features.yaml").unlink()
    assert run(spoken, *words, *given) == 0


def test_speakers_without_statistics_are_told_of(
    spoken, random_model, tmp_path, capsys
):
    words = ("--model", random_model, "--out", tmp_path / "out")
    (spoken / "cmvn.scp").unlink()
    assert run(spoken, *words) == 0
    said = (
        "transcribe: no cmvn.scp with the speakers of 2 recordings: each is normalised"
    )
    assert said in capsys.readouterr().err


def test_a_long_recording_shows_how_far_it_is(
    random_model, tmp_path, monkeypatch, capsys
):
    soundfile.write(tmp_path / "long.wav", speech(100, 1), 16000)
    monkeypatch.setattr(meter, "_PLAIN_S", 0.0)
    words = ["--model", random_model, "--out", tmp_path / "out", "--threads", 1]
    assert run(tmp_path / "long.wav", *words) == 0
    said = capsys.readouterr().err
    assert said.count("transcribe: 0 of 1, 0 failed") >= 1
    assert said.count("transcribe: 1 of 1, 0 failed") == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["audio_seconds"] == pytest.approx(100.0)


def test_results_need_a_folder(corpus, random_model, capsys):
    assert run(corpus, "--model", random_model, "--out", "") == 2
    assert "--out: expected a folder, got an empty name" in capsys.readouterr().err


@pytest.mark.parametrize("good", [True, False])
def test_a_file_that_is_replaced_while_it_is_read_is_done_again(
    good, random_model, tmp_path, monkeypatch, capsys
):
    path, other = tmp_path / "x.wav", tmp_path / "other"
    soundfile.write(path, speech(1, 1) if good else np.zeros(16000), 16000)
    soundfile.write(other, speech(2, 2), 16000, format="WAV")
    heard = windows.Listener.windows

    def replacing(self, item, speaker=None):
        try:
            yield from heard(self, item, speaker)
        finally:
            os.replace(other, item.source)

    monkeypatch.setattr(windows.Listener, "windows", replacing)
    words = ["--model", random_model, "--out", tmp_path / "out", "--threads", 1]
    assert run(path, *words) == (0 if good else 1)
    monkeypatch.undo()
    assert run(path, *words) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["audio_seconds"] == 2.0
    assert run(path, *words) == 0
    assert "nothing new" in capsys.readouterr().err


def test_settings_of_a_search_with_an_ngram_want_one(
    corpus, random_model, tmp_path, capsys
):
    settings = tmp_path / "settings.yaml"
    save(settings, DecodeSettings(insertion_penalty=-3.0, grammar="lang/lm.arpa"))
    words = [corpus, "--model", random_model, "--settings", settings]
    assert run(*words, "--out", tmp_path / "out") == 2
    told = f"{settings}: settings of a search with the n-gram lang/lm.arpa; give it too"
    assert told in capsys.readouterr().err


def test_no_form_at_all_is_refused(corpus, random_model, tmp_path, capsys):
    words = [corpus, "--model", random_model, "--out", tmp_path / "out"]
    assert run(*words, "--empty-formats") == 2
    assert "--formats: expected text, ctm, jsonl, textgrid" in capsys.readouterr().err


def test_a_command_that_may_run_later_costs_nothing_else(
    corpus, random_model, tmp_path
):
    table = tmp_path / "wav.scp"
    audio = corpus / "eight.wav"
    table.write_text(f"file {corpus}/stereo.wav\ncommand cat {audio} |\n")
    out = tmp_path / "out"
    words = [table, "--model", random_model, "--out", out]
    assert run(*words) == 1
    (failure,) = map(json.loads, (out / "failed.jsonl").read_text().splitlines())
    assert failure["id"] == "command"
    assert failure["mend"] == "--allow-pipes lets it run"
    for before in (1, 2):
        assert run(*words, "--allow-pipes") == 0
        summary = json.loads((out / "summary.json").read_text())
        assert (summary["done"], summary["done_before"]) == (2, before)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0.5 9", "1.000 s long, but a segment ends at 9.000 s; mend segments"),
        ("0.5 99", "1.000 s long, but a segment ends at 99.000 s; mend segments"),
        ("0.5 1e308", "1.000 s long, but a segment ends at 1e+308 s; mend segments"),
        ("0.8 0.5", "a segment of it goes from 0.800 s to 0.500 s; mend segments"),
        ("-0.5 1", "a segment of it goes from -0.500 s to 1.000 s; mend segments"),
        ("-0.5 99", "a segment of it goes from -0.500 s to 99.000 s; mend segments"),
    ],
)
def test_segments_outside_of_their_recordings_fail(
    times, message, corpus, random_model, tmp_path
):
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text(f"r {corpus}/stereo.wav\n")
    (data / "segments").write_text(f"other r {times}\nrounded r 0.5 1.05\n")
    (data / "utt2spk").write_text("other s\nrounded s\n")
    out = tmp_path / "out"
    assert run(data, "--model", random_model, "--out", out) == 1
    (failure,) = map(json.loads, (out / "failed.jsonl").read_text().splitlines())
    assert failure["id"] == "other"
    reason, _, mend = message.partition("; ")
    assert reason in failure["reason"] and failure["mend"] == mend


def test_a_full_disk_is_that_of_the_results(
    corpus, light_model, tmp_path, capsys, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipeline.batch.run.Journal.add", full)
    assert run(corpus, "--model", light_model, "--out", tmp_path / "out") == 2
    told = f"{tmp_path / 'out'}: disk full; free some space and run again"
    assert told in capsys.readouterr().err


def test_an_exported_model_transcribes_as_it_recognises(
    corpus, light_model, tmp_path, capsys
):
    words = ["--model", light_model, "--out", tmp_path / "out", "--threads", 2]
    assert run(corpus, *words) == 1
    lines = (tmp_path / "out" / "phones.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 32
    light = Recogniser.load(light_model)
    for record in records[::8]:
        phones = light(record["source"])
        assert [p["phone"] for p in record["phones"]] == [p.phone for p in phones]
        ends = [p["end"] for p in record["phones"]]
        assert ends == pytest.approx([p.end for p in phones], abs=1e-3)
    settings = (tmp_path / "out" / "settings.yaml").read_text()
    assert "model.tflite:lm.arpa" in settings
    assert "insertion_penalty: 0.5" in settings
    words += ["--cmvn", "x.scp"]
    assert run(corpus, *words) == 2
    assert (
        "was exported with CMVN utterance, which nothing changes later"
        in capsys.readouterr().err
    )


def test_windows_of_samples_are_those_of_the_frames(corpus, tmp_path, monkeypatch):
    names = [corpus / f"{number:02d}.flac" for number in (3, 22, 9, 16, 29)]
    samples = np.concatenate([soundfile.read(name)[0] for name in names])
    soundfile.write(tmp_path / "long.wav", samples, 16000, subtype="FLOAT")
    item = Item("long", str(tmp_path / "long.wav"))
    features = FeatureOptions()
    (whole,) = WaveformListener(features, 2).windows(item)
    monkeypatch.setattr(exported, "LONGEST_S", 2.0)
    parts = list(WaveformListener(features, 2).windows(item))
    assert len(parts) > 2
    assert sum(part.count for part in parts) == whole.count == whole.total
    place = 0
    for part in parts:
        assert part.first == place
        place += part.count
        begin = (part.first - part.skipped) * 320
        np.testing.assert_array_equal(
            part.frames, whole.frames[begin : begin + len(part.frames)]
        )
        heard = -(-features.num_frames(len(part.frames)) // 2)
        assert heard >= part.skipped + part.count
