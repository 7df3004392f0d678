import os

import numpy as np
import pytest
import soundfile

from features import pieces
from features.audio import read_audio
from features.errors import AudioError, DataError
from features.parts import WHOLE, Part
from features.pieces import feature_pieces, read_pieces
from features.spectral import FeatureOptions, compute_features

FLOAT32_FILTER = 2e-6  # a resampler in pieces adds up the same terms in another order
FLOAT32_LOG = 1e-5  # so does the product with the filters, under a logarithm


def noise(seconds: float, rate_hz: int, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.uniform(-0.5, 0.5, (round(seconds * rate_hz), channels))


@pytest.fixture
def short_pieces(monkeypatch):
    """Pieces of a tenth of a second, so that a second is a long recording."""
    monkeypatch.setattr(pieces, "_PIECE_S", 0.1)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 8000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("part", [WHOLE, Part(0.25, 0.75), Part(0.25, None, 0)])
def test_pieces_make_the_whole(tmp_path, short_pieces, rate_hz, channels, part):
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(1.01, rate_hz, channels), rate_hz)
    found = list(read_pieces(path, part, rate_hz=16000))
    whole, _ = read_audio(path, part, rate_hz=16000)
    assert len(found) > 3
    np.testing.assert_allclose(np.concatenate(found), whole, atol=FLOAT32_FILTER)


@pytest.mark.parametrize("sizes", [[4000], [399, 1, 7, 3593], [160] * 25])
def test_features_of_pieces_are_those_of_the_whole(sizes):
    options = FeatureOptions()
    samples = noise(0.25, 16000)[:, 0].astype(np.float32)
    cuts = np.cumsum([0, *sizes])
    parts = [samples[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    found = np.concatenate(list(feature_pieces(parts, options)))
    whole = compute_features(samples, options)
    np.testing.assert_allclose(found, whole, atol=FLOAT32_LOG)


def test_too_short_for_a_frame_is_an_error():
    with pytest.raises(DataError, match="399 samples, less than one frame of 400"):
        list(feature_pieces([np.zeros(399, np.float32)], FeatureOptions()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: np.zeros_like(s), "silent, every sample is zero"),
        (lambda s: np.where(np.arange(len(s))[:, None] > 9000, np.nan, s), "NaN"),
        (lambda s: 1e38 * s, "floats up to .*: expected -1 to 1"),
    ],
)
def test_bad_signals_are_found_in_long_files_too(
    tmp_path, short_pieces, spoil, message
):
    path = tmp_path / "x.wav"
    soundfile.write(path, spoil(noise(1, 16000)), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=message):
        list(read_pieces(path, rate_hz=16000))


def test_names_need_not_be_utf8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    with open(path, "wb") as file:
        soundfile.write(file, noise(0.1, 16000), 16000, format="WAV")
    (found,) = read_pieces(path, rate_hz=16000)
    assert len(found) == 1600
