"""Features and network frames in pieces: the same, to the last bit, as of the whole."""

import numpy as np
import pytest

from features.audio import resample
from features.errors import AudioError
from features.frontend import FrontendOptions, transform
from features.normalize import CmvnStats
from features.spectral import FeatureOptions, compute_features
from features.streams import FeatureStream, FrontendStream, PcmStream

RNG = np.random.default_rng(4)
PCM = RNG.integers(-9000, 9000, 9000).astype("<i2")
SAMPLES = PCM / np.float32(32768)


def pieces(values, size):
    return [values[i : i + size] for i in range(0, len(values), size)]


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("rate_hz", [16000, 8000])
def test_bytes_become_the_samples_of_a_file(size, rate_hz):
    stream = PcmStream(rate_hz, 16000)
    found = [stream.hear(part) for part in pieces(PCM.tobytes(), size)]
    found = np.concatenate([*found, stream.finish()])
    np.testing.assert_array_equal(found, resample(SAMPLES, rate_hz, 16000))


def test_half_a_sample_waits():
    stream = PcmStream(16000, 16000)
    assert len(stream.hear(b"\1\0\2")) == 1
    assert stream.pending == 1


def test_a_header_is_refused():
    with pytest.raises(AudioError, match="a file's header; give raw samples"):
        PcmStream(16000, 16000).hear(b"RIFF\0\0\0\0WAVE")


@pytest.mark.parametrize("kind", [{}, {"kind": "mfcc", "preset": "kaldi"}])
@pytest.mark.parametrize("size", [100, 161, 3000])
def test_features_in_pieces_are_those_of_the_whole(size, kind):
    options = FeatureOptions(num_mels=23, **kind)
    stream = FeatureStream(options)
    found = np.concatenate([stream.hear(part) for part in pieces(SAMPLES, size)])
    np.testing.assert_array_equal(found, compute_features(SAMPLES, options))


@pytest.mark.parametrize("size", [1, 4, 50])
@pytest.mark.parametrize("count", [1, 2, 8, 53])
@pytest.mark.parametrize(
    "options",
    [
        FrontendOptions(cmvn="none"),
        FrontendOptions(deltas=2),
        FrontendOptions(stack=3, skip=3),
        FrontendOptions(deltas=1, splice_left=5, splice_right=2, stack=4, skip=3),
    ],
)
def test_network_frames_in_pieces_are_those_of_the_whole(options, count, size):
    frames = RNG.normal(size=(count, 3)).astype(np.float32)
    stats = None if options.cmvn == "none" else CmvnStats.from_frames(3 * frames + 1)
    stream = FrontendStream(options, stats, dim=3)
    found = [stream.hear(part) for part in pieces(frames, size)]
    found = np.concatenate([*found, stream.finish()])
    np.testing.assert_array_equal(found, transform(frames, stats, options))


def test_no_frame_waits_longer_than_it_must():
    options = FrontendOptions(deltas=1, splice_right=1, stack=3, skip=3)
    stream = FrontendStream(options, None, dim=1)
    assert stream.ahead == 2 + 1 + 2
    made = [len(stream.hear(np.zeros((1, 1), np.float32))) for _ in range(9)]
    assert made == [0, 0, 0, 0, 0, 1, 0, 0, 1]
