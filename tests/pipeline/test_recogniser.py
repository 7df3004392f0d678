"""The API: a model in, phones of files and arrays out; what is refused."""

import json
import os
import subprocess
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from features.archive import ArchiveWriter
from features.errors import AudioError, ConfigError, DataError
from pipeline import Recogniser
from pipeline.__main__ import main
from pipeline.config import save
from pipeline.datadir.times import read_ctm
from pipeline.decoding.settings import DecodeSettings


def speech(seconds: float = 1.0, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise in bursts, so that phones change."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal(int(rate * seconds))
    bursts = np.repeat(random.uniform(0.001, 0.3, 20), -(-len(samples) // 20))
    return (0.3 * samples * bursts[: len(samples)]).astype(np.float32)


@pytest.fixture(scope="module")
def recogniser(random_model) -> Recogniser:
    return Recogniser.load(random_model)


def test_a_file_is_heard_as_its_samples_are(recogniser, tmp_path):
    samples = speech()
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    phones = recogniser(tmp_path / "a.wav")
    assert phones == recogniser(samples, 16000)
    assert len(phones) > 1
    assert phones[0].start == 0.0
    assert phones[-1].end == 1.0
    for left, right in zip(phones, phones[1:], strict=False):
        assert left.end == right.start
    assert {phone.phone for phone in phones} <= set(recogniser.phones)
    assert all(0.0 < phone.confidence <= 1.0 for phone in phones)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: (x * 32768).round().astype(np.int16),
        lambda x: (x * 2**31).round().astype(np.int32),
        lambda x: x.astype(np.float64),
        lambda x: np.stack([x, x], axis=1),
    ],
    ids=["int16", "int32", "float64", "stereo"],
)
def test_arrays_of_other_kinds_are_heard_alike(recogniser, convert):
    samples = (speech() * 32768).round().astype(np.float32) / 32768
    expected = recogniser.log_posteriors(samples, 16000)
    found = recogniser.log_posteriors(convert(samples), 16000)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_other_rates_are_resampled(recogniser):
    time = np.arange(48000) / 48000
    fast = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    slow = recogniser.log_posteriors(fast[::3], 16000)
    found = recogniser.log_posteriors(fast, 48000)
    assert found.shape == slow.shape


def test_threads_share_a_tflite_model(light_model):
    recogniser = Recogniser.load(light_model)
    arrays = [speech(0.5 + 0.1 * (number % 4), seed=number) for number in range(24)]
    alone = [recogniser(array, 16000) for array in arrays]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda array: recogniser(array, 16000), arrays))
    assert together == alone


def test_settings_with_an_ngram_are_not_used_without(random_model, tmp_path):
    settings = tmp_path / "settings.yaml"
    save(settings, DecodeSettings(insertion_penalty=-3.0, grammar="lm.arpa"))
    with pytest.raises(ConfigError, match="with the n-gram lm.arpa; give it too"):
        Recogniser.load(random_model, settings=settings)


def test_a_tenth_of_a_second_is_enough(recogniser):
    phones = recogniser(speech(0.1), 16000)
    assert phones[-1].end == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("array", "rate", "error", "message"),
    [
        (np.zeros(0, np.float32), 16000, AudioError, "array: no samples"),
        (np.zeros(4000, np.float32), 16000, AudioError, "array: silent"),
        (speech(0.02), 16000, DataError, "320 samples, less than one frame of 400"),
        (np.full(4000, np.nan), 16000, AudioError, "NaN or infinity"),
        (32000 * speech(), 16000, AudioError, "divide 16-bit samples by 32768"),
        (np.full(4000, 1e300), 16000, AudioError, r"floats up to 1e\+300: expected"),
        (np.ones((2, 4000)), 16000, AudioError, "transpose it"),
        (np.ones((2, 2, 2)), 16000, AudioError, r"expected \[samples\] or"),
        (np.ones(4000, int), 16000, AudioError, "type int64, of which no audio is"),
        (np.ones(4000, complex), 16000, AudioError, "values of type complex128"),
        (speech(), None, ConfigError, "an array of samples needs its rate"),
        (speech(), 0, ConfigError, "got 0; give rate_hz"),
        (
            speech(),
            "16k",
            ConfigError,
            "needs its rate, got '16k'; give rate_hz, a num",
        ),
        (speech(), True, ConfigError, "got True; give rate_hz"),
        (speech(), float("nan"), ConfigError, "got nan; give rate_hz"),
        (speech(), 1, AudioError, "array: 1 samples a second: expected at least"),
        ("a.wav", 16000, ConfigError, "a file knows its rate"),
        ("/absent.wav", None, AudioError, "/absent.wav: no such file"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
def test_what_is_no_audio_is_told(recogniser, array, rate, error, message):
    with pytest.raises(error, match=message):
        recogniser(array, rate)


@pytest.fixture
def statistics(tmp_path):
    """CMVN statistics of two speakers."""
    with ArchiveWriter(tmp_path / "cmvn.ark", tmp_path / "cmvn.scp") as writer:
        for spk in ("s0", "s1"):
            stats = np.zeros((2, 13))
            stats[0, :-1], stats[1, :-1], stats[0, -1] = -500.0, 3000.0, 100.0
            writer.write(spk, stats)
    return tmp_path / "cmvn.scp"


def test_statistics_of_others_can_be_given(random_model, recogniser, statistics):
    given = Recogniser.load(random_model, cmvn=statistics)
    assert recogniser.runtime.description.cmvn == "utterance"
    assert given.runtime.description.cmvn == "given"
    both = [r.log_posteriors(speech(), 16000) for r in (recogniser, given)]
    assert not np.allclose(*both, atol=0.1)


def test_the_file_of_a_model_dir_stands_for_it(random_model, recogniser):
    named = Recogniser.load(random_model / "final.keras")
    both = [r.log_posteriors(speech(), 16000) for r in (recogniser, named)]
    assert np.array_equal(*both)


def test_settings_with_gaps_are_refused(random_model, tmp_path):
    (tmp_path / "settings.yaml").write_text("insertion_penalty: 1000.0\n")
    with pytest.raises(
        ConfigError, match="settings.yaml: no acoustic_scale, prior_scale"
    ):
        Recogniser.load(random_model, settings=tmp_path / "settings.yaml")


def test_what_a_model_carries_is_named_by_the_model(light_model, tmp_path):
    path = tmp_path / "x.tflite"
    for name, content, told in (
        ("lm.arpa", "\\data\\\n", "lm.arpa: no counts of n-grams"),
        ("settings.yaml", "a: [\n", "settings.yaml:2: not YAML"),
    ):
        path.write_bytes(light_model.read_bytes())
        with zipfile.ZipFile(path, "a") as companions, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file is there already
            companions.writestr(name, content)
        with pytest.raises((ConfigError, DataError), match=f"x.tflite:{told}"):
            Recogniser.load(path)


def test_commands_are_not_for_the_api(recogniser):
    with pytest.raises(
        AudioError, match=r"'cat a.wav \|' is a command; give a file, or"
    ):
        recogniser("cat a.wav |")


def test_settings_are_used(random_model, recogniser, tmp_path):
    save(tmp_path / "settings.yaml", DecodeSettings(insertion_penalty=1000.0))
    strict = Recogniser.load(random_model, settings=tmp_path / "settings.yaml")
    assert len(strict(speech(), 16000)) == 1


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(DataError, match="no final.keras and no exported model"):
        Recogniser.load(tmp_path)
    with pytest.raises(DataError, match="absent: no such file or folder"):
        Recogniser.load(tmp_path / "absent")


def test_a_lambda_layer_is_refused_by_its_name(light_model, tmp_path):
    import keras

    layers = [keras.Input((3,)), keras.layers.Lambda(lambda x: 2 * x)]
    keras.Sequential(layers).save(tmp_path / "final.keras")
    with pytest.raises(DataError, match="final.keras: holds a Lambda layer, unsafe"):
        Recogniser.load(tmp_path)
    exported = tmp_path / "model.keras"
    (tmp_path / "final.keras").rename(exported)
    with (
        zipfile.ZipFile(exported, "a") as archive,
        zipfile.ZipFile(light_model) as other,
    ):
        archive.writestr("keraldi.json", other.read("keraldi.json"))
    with pytest.raises(DataError, match="model.keras: holds a Lambda layer, unsafe"):
        Recogniser.load(exported)


@pytest.mark.parametrize("offset", [20, 4000, -3000])
def test_a_damaged_tflite_file_is_told(light_model, tmp_path, offset, capsys):
    whole = light_model.read_bytes()
    with zipfile.ZipFile(light_model) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    size = int(texts.pop("crc32").split()[0])
    damaged = bytearray(whole)
    place = offset % size
    damaged[place : place + 1000] = bytes(1000)
    (tmp_path / "x.tflite").write_bytes(damaged)
    with pytest.raises(
        DataError, match="x.tflite: damaged .*checksum.*export it again"
    ):
        Recogniser.load(tmp_path / "x.tflite")
    # Exported before there were checksums, damage shows only when the model is run.
    (tmp_path / "x.tflite").write_bytes(damaged[:size])
    with zipfile.ZipFile(tmp_path / "x.tflite", "a") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    soundfile.write(tmp_path / "x.wav", speech(), 16000)
    words = ["transcribe", tmp_path / "x.wav", "--model", tmp_path / "x.tflite"]
    assert main([*map(str, words), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "x.tflite: damaged (" in error and error.endswith("; export it again")


IMPORTED = """
import sys
from pipeline import Recogniser
from pipeline.__main__ import main
Recogniser.load(sys.argv[1])
words = ["x.wav", "--model", sys.argv[1], "--out", "out"]
assert main(["transcribe", *words]) == 0
print([m for m in ("tensorflow", "keras", "librosa", "scipy.fft") if m in sys.modules])
"""


def test_tensorflow_is_loaded_quietly(random_model, tmp_path):
    soundfile.write(tmp_path / "x.wav", speech(), 16000)
    program = (
        "import gc, sys; gc.disable(); from pipeline import Recogniser as R; "
        "R.load(sys.argv[1])(sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(random_model), str(tmp_path / "x.wav")],
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert done.stderr == ""


def test_tflite_is_run_without_tensorflow(
    light_model, recogniser, statistics, tmp_path
):
    light = Recogniser.load(light_model.parent)
    np.testing.assert_allclose(
        light.log_posteriors(speech(), 16000),
        recogniser.log_posteriors(speech(), 16000),
        atol=2e-3,
    )
    with pytest.raises(ConfigError, match="its CMVN was fixed when it was exported"):
        Recogniser.load(light_model, cmvn=statistics)
    soundfile.write(tmp_path / "x.wav", speech(), 16000, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(light_model)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    (said,) = done.stderr.splitlines()  # nothing of the libraries'
    assert "1 done + 0 failed = 1 found" in said
    found = read_ctm(tmp_path / "out" / "ctm")["x"]
    expected = light(tmp_path / "x.wav")
    assert [mark.phone for mark in found] == [phone.phone for phone in expected]


def test_a_model_whose_recipe_is_anothers_is_refused(random_model, tmp_path):
    path = tmp_path / "final.keras"
    with zipfile.ZipFile(random_model / "final.keras") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    config = json.loads(parts["config.json"])
    recipe = config["config"]["recipe"]
    recipe["phones"].append("more")
    recipe["log_priors"].append(-1.0)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in parts.items():
            changed.writestr(name, content)
    count = len(recipe["phones"])
    with pytest.raises(
        DataError, match=f"and {count} outputs, its network has .* and {count - 1};"
    ):
        Recogniser.load(tmp_path)
