"""Phones of a stream: those of the file, told early; what cannot stream; clean ends."""

import json
import os
import signal
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveWriter
from features.errors import ConfigError, DataError
from pipeline.__main__ import main
from pipeline.datadir.times import PhoneInterval
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.grammar import read_grammar
from pipeline.decoding.incremental import make_search
from pipeline.decoding.outputs import OutputLayer
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tokens import greedy_ctc
from pipeline.export import export
from pipeline.listening import follow, say
from pipeline.nnet.stream import NetworkStream
from pipeline.recogniser import Recogniser, Search
from pipeline.streaming import PhoneStream, known_stats


def pcm(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose colour changes ten times a second."""
    rng = np.random.default_rng(seed)
    parts = []
    for width in rng.integers(1, 40, round(seconds * 10)):
        white = rng.uniform(-1, 1, 1600 + width - 1)
        parts.append(np.convolve(white, np.ones(width) / width, mode="valid"))
    return (np.concatenate(parts) * 9000).astype("<i2")


@pytest.fixture(scope="module")
def model(forward_model):
    return Recogniser.load(forward_model)


def rows(phones):
    return [
        (p.phone, round(p.start, 4), round(p.end, 4), round(p.confidence, 3))
        for p in phones
    ]


def streamed(model, samples, *, piece=1600, settings=None, **options):
    """The phones of a stream, how much had been heard before each, and how many came early."""
    options = {"rate_hz": 16000, **options}
    search = Search(model.search.decoder, settings or DecodeSettings())
    stream = PhoneStream(model.runtime, search, **options)
    phones, when = [], []
    content = samples.tobytes()
    for start in range(0, len(content), 2 * piece):
        new = stream.hear(content[start : start + 2 * piece])
        phones += new
        when += [start / 32000 + piece / 16000] * len(new)
    early = len(phones)
    phones += stream.finish()
    return [(p.phone, p.start, p.end, p.confidence) for p in phones], when, early


@pytest.mark.parametrize(
    ("settings", "seconds", "piece"),
    [
        ({}, 6.0, 1600),
        ({"min_frames": 3, "insertion_penalty": 1.0}, 3.0, 77),
        ({"beam": None}, 3.0, 20000),
        ({"greedy": True}, 3.0, 1600),
        ({}, 0.1, 1600),
        ({"min_frames": 40}, 0.1, 1600),
    ],
)
def test_a_stream_ends_as_its_file(model, settings, seconds, piece):
    chosen = DecodeSettings(**settings)
    samples = pcm(seconds)
    whole = Recogniser(model.runtime, Search(model.search.decoder, chosen))
    found, when, early = streamed(model, samples, piece=piece, settings=chosen)
    assert found == rows(whole(samples, 16000))
    assert len(found) > 1 or seconds < 1
    for (_, _, end, _), heard in zip(found[:early], when, strict=True):
        assert end <= heard


def test_posteriors_of_pieces_are_those_of_the_whole_to_the_last_bit(model):
    network = model.runtime.recogniser
    width = network.model.input_dim
    frames = np.random.default_rng(1).normal(size=(59, width)).astype(np.float32)
    stream = NetworkStream(network)
    parts = [stream.hear(part) for part in np.array_split(frames, 9)]
    found = np.concatenate([*parts, stream.finish()])
    np.testing.assert_array_equal(found, network.batch([frames])[0])


def test_phones_are_told_soon(model):
    found, when, early = streamed(model, pcm(6.0))
    assert early > len(found) / 2
    ends = [row[2] for row in found[:early]]
    assert np.median(np.subtract(when, ends)) < 1.5


def test_other_rates_are_resampled_as_files_are(model):
    samples = pcm(3.0)
    found = streamed(model, samples, rate_hz=8000)[0]
    assert found == rows(model(samples, 8000))


@pytest.fixture
def statistics(tmp_path):
    with ArchiveWriter(tmp_path / "cmvn.ark", tmp_path / "cmvn.scp") as writer:
        stats = np.zeros((2, 13))
        stats[0, :-1], stats[1, :-1], stats[0, -1] = -450.0, 2800.0, 100.0
        writer.write("s", stats)
    return tmp_path / "cmvn.scp"


def test_standard_input_is_heard_as_its_file(
    forward_model, statistics, tmp_path, capsys, monkeypatch
):
    samples = pcm(2.0, seed=1)
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="PCM_16")
    words = ["transcribe", "--cmvn", str(statistics), "--model", str(forward_model)]
    out = tmp_path / "out"
    assert main([*words, str(tmp_path / "x.wav"), "--out", str(out)]) == 0
    capsys.readouterr()
    (tmp_path / "raw").write_bytes(samples.tobytes() + b"\1")
    with open(tmp_path / "raw", "rb") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main([*words, "--stream", "--rate", "16000"]) == 0
    said = capsys.readouterr()
    found = [line.split() for line in said.out.splitlines()]
    expected = json.loads((out / "phones.jsonl").read_text())["phones"]
    assert len(expected) > 1
    assert [
        {
            "phone": phone,
            "start": float(start),
            "end": float(end),
            "confidence": float(sure),
        }
        for start, end, phone, sure in found
    ] == expected
    # 25 ms, (2 + 1 + 2) frames, and 3 * 2 and 8 * 2 of 10 ms
    assert "295 ms (window 25 + frames ahead 50 + label delay 60" in said.err
    assert "the last byte is half of a sample" in said.err
    assert f"{len(expected)} phones in 2.00 s" in said.err


@pytest.fixture(scope="module")
def light(forward_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("light") / "out"
    export(str(forward_model), str(out), formats=("tflite",))
    return Recogniser.load(out / "model.tflite")


@pytest.mark.parametrize(("seconds", "piece"), [(6.0, 1600), (1.5, 77)])
def test_an_exported_model_streams_as_its_model_dir(model, light, seconds, piece):
    samples = pcm(seconds)
    found = streamed(light, samples, piece=piece)[0]
    expected = streamed(model, samples, piece=piece)[0]
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    sure = [[row[3] for row in rows] for rows in (found, expected)]
    assert sure[0] == pytest.approx(sure[1], abs=2e-3)


class Parrot:
    """A stream that makes one phone of every piece, and interrupts while it listens."""

    def __init__(self, interrupt: bool) -> None:
        self._interrupt = interrupt

    def hear(self, content):
        if self._interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        return [PhoneInterval("a", 0.0, len(content) / 10, 1.0)]

    def finish(self):
        return [PhoneInterval("b", 1.0, 2.0, 0.5)]


@pytest.mark.parametrize("when", ["hearing", "reading", "never"])
def test_an_interrupt_ends_it_as_the_end_of_input_does(when):
    end, begin = os.pipe()
    before = signal.getsignal(signal.SIGINT)
    os.write(begin, b"12345")
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    if when == "reading":
        timer.start()
    if when == "never":
        os.close(begin)
    lines = []
    assert follow(Parrot(when == "hearing"), end, lines.append) == 2
    assert lines == ["0.0000 0.5000 a 1.000\n", "1.0000 2.0000 b 0.500\n"]
    assert signal.getsignal(signal.SIGINT) is before
    os.close(end)
    if when != "never":
        os.close(begin)


def test_nothing_heard_is_told(model):
    with pytest.raises(DataError, match="300 samples, less than one frame"):
        streamed(model, np.ones(300, "<i2"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "16000"], "is bidirectional: it hears an utterance from its end"),
        ([], "raw samples do not say their rate; expected --rate in Hz, got none"),
        (["--rate", "1"], "--rate: 1 samples a second: expected at least 1000; mend"),
        (["x.wav", "--rate", "8000"], "leave out paths"),
        (["--rate", "8000", "--out", "x", "--nj", "2"], "leave out --out, --nj"),
    ],
)
def test_what_cannot_stream_is_refused(random_model, words, message, capsys):
    words = [*words, "--stream", "--model", str(random_model)]
    assert main(["transcribe", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("kind", ["speaker", "utterance"])
def test_statistics_of_the_end_are_refused(model, kind):
    description = model.runtime.description
    frontend = replace(description.recipe.frontend, cmvn=kind)
    recipe = replace(description.recipe, frontend=frontend)
    with pytest.raises(ConfigError, match=f"variance of a {kind} are known at its end"):
        known_stats(replace(description, recipe=recipe, stats=None))


def test_ctc_streams_greedily_only(model):
    recipe = model.runtime.description.recipe
    layer = OutputLayer.of(replace(recipe, objective="ctc", states=1, log_priors=[]))
    decoder = Decoder(layer, read_grammar(None, layer.table))
    with pytest.raises(ConfigError, match="the prefix beam of CTC finds the places"):
        make_search(decoder, DecodeSettings())
    scores = np.random.default_rng(2).normal(size=(200, layer.width))
    scores[:, -1] += 1.0
    search = make_search(decoder, DecodeSettings(greedy=True))
    parts = [search.hear(part) for part in np.array_split(scores, 31)]
    assert sum([*parts, search.finish()], []) == greedy_ctc(scores)


def test_a_full_disk_is_that_of_the_output(monkeypatch):
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OSError) as caught:
            say("AH 0.00 0.10\n")
        assert caught.value.filename == "standard output"
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
