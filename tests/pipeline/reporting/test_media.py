import base64
import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipeline.reporting.media import (
    audio,
    posteriorgram,
    spectrogram,
    spectrogram_pixels,
)


def decoded(uri):
    return io.BytesIO(base64.b64decode(uri.partition(";base64,")[2]))


def tone(hertz, rate_hz, seconds=0.5):
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize(
    ("hertz", "rate_hz"), [(1000, 16000), (3000, 16000), (900, 8000)]
)
def test_a_tone_is_a_line_at_its_frequency(hertz, rate_hz):
    pixels = spectrogram_pixels(tone(hertz, rate_hz), rate_hz)
    loudest = pixels[:, 20:-20].mean(axis=1).argmax()
    found = (len(pixels) - 1 - loudest) / (len(pixels) - 1) * rate_hz / 2
    assert found == pytest.approx(hertz, abs=rate_hz / 2 / 64)  # half a window's lobe
    assert pixels.max() == 255


def test_columns_are_4_ms_and_silence_is_empty():
    samples = np.concatenate([np.zeros(8000, np.float32), tone(1000, 16000)])
    pixels = spectrogram_pixels(samples, 16000)
    assert pixels.shape[1] == pytest.approx(250, abs=2)
    assert pixels[:, :120].max() == 0
    assert Image.open(decoded(spectrogram(samples, 16000))).size == pixels.shape[::-1]


def test_a_signal_shorter_than_a_window_is_drawn():
    assert spectrogram_pixels(tone(1000, 16000, 0.002), 16000).shape[0] == 129


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000])
def test_sound_comes_back_in_time(rate_hz):
    rng = np.random.default_rng(1)
    samples = np.zeros(rate_hz, np.float32)
    samples[rate_hz // 2 : rate_hz // 2 + 200] = 0.3 * rng.standard_normal(200)
    content, rate = soundfile.read(decoded(audio(samples, rate_hz)))
    assert rate == rate_hz
    assert len(content) == pytest.approx(len(samples), abs=rate_hz * 0.05)
    centre = (np.arange(len(content)) * content**2).sum() / (content**2).sum()
    assert centre / rate_hz == pytest.approx(0.5 + 100 / rate_hz, abs=0.01)


def test_rows_are_those_that_matter_in_the_order_of_time():
    posteriors = np.array(
        [[0.0, 0.95, 0.02, 0.03], [0.9, 0.05, 0.02, 0.03], [0.5, 0.4, 0.07, 0.03]]
    )
    image, rows = posteriorgram(posteriors, ["a", "b", "c", "d"], ["d"])
    assert rows == ["b", "d", "a"]
    pixels = np.array(Image.open(decoded(image)))
    np.testing.assert_array_equal(pixels[0], np.round(255 * posteriors[:, 1]))
    assert pixels.shape == (3, 3)
