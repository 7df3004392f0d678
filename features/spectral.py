"""Short-time spectra: log-mel filterbank and MFCC, librosa's way or Kaldi's."""

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from features.errors import ConfigError, DataError, counted

Positive = Annotated[int, Field(gt=0)]
ENERGY_FLOOR = (
    1.1920928955078125e-07  # FLT_EPSILON, under which Kaldi takes no logarithm
)
INT16_RANGE = 32768.0  # Kaldi's samples are 16-bit integers
PREEMPHASIS = 0.97
LIFTER = 22.0
_BLOCK = (
    128  # frames transformed at once: what is between stays in the processor's cache
)
_TOGETHER = 8  # frames in a product, see `_filtered`


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How features are made of samples.

    Frame t covers the samples from t * shift on; only whole frames are made (Kaldi's
    `snip-edges=true`), no dither is added.

    Attributes:
        kind: log-mel filterbank energies, or cepstra of them.
        preset: `librosa`: Hann window, Slaney's mel scale with area-normalised filters;
            `kaldi`: offset removed, pre-emphasis, Povey window, HTK's mel scale, 16-bit
            sample range, and for MFCC the lifter and log energy in place of C0.
        rate_hz: sampling rate; audio of other rates is resampled.
        num_mels: mel filters.
        num_ceps: cepstra kept of an MFCC.
        frame_length_ms, frame_shift_ms: of the analysis window.
        low_hz, high_hz: edges of the filterbank; a `high_hz` of 0 is half the rate.
    """

    __pydantic_config__ = {"extra": "forbid"}

    kind: Literal["fbank", "mfcc"] = "fbank"
    preset: Literal["librosa", "kaldi"] = "librosa"
    rate_hz: Positive = 16000
    num_mels: Positive = 40
    num_ceps: Positive = 13
    frame_length_ms: Annotated[float, Field(gt=0)] = 25.0
    frame_shift_ms: Annotated[float, Field(gt=0)] = 10.0
    low_hz: Annotated[float, Field(ge=0)] = 20.0
    high_hz: Annotated[float, Field(ge=0)] = 0.0

    def __post_init__(self) -> None:
        top = self.top_hz
        if not self.low_hz < top <= self.rate_hz / 2:
            raise ConfigError(
                f"low_hz {self.low_hz:g}, high_hz {self.high_hz:g}: expected low_hz < high_hz "
                f"<= {self.rate_hz / 2:g}, half of rate_hz"
            )
        if self.kind == "mfcc" and self.num_ceps > self.num_mels:
            raise ConfigError(
                f"num_ceps {self.num_ceps}: at most num_mels, {self.num_mels}"
            )

    @property
    def top_hz(self) -> float:
        """The upper edge of the filterbank in Hz."""
        return self.high_hz or self.rate_hz / 2

    @property
    def dim(self) -> int:
        """F, the coefficients of a frame."""
        return self.num_mels if self.kind == "fbank" else self.num_ceps

    @property
    def frame_length(self) -> int:
        """Samples of a frame."""
        return int(self.rate_hz * self.frame_length_ms / 1000)

    @property
    def frame_shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.rate_hz * self.frame_shift_ms / 1000)

    @property
    def fft_length(self) -> int:
        """The power of two that holds a frame."""
        return 1 << (self.frame_length - 1).bit_length()

    def num_frames(self, num_samples: int) -> int:
        """Whole frames in so many samples."""
        if num_samples < self.frame_length:
            return 0
        return 1 + (num_samples - self.frame_length) // self.frame_shift


def _triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Filters [N, M] that rise and fall over `bins` [N] between every three `edges` [M + 2]."""
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _kaldi_filters(options: FeatureOptions, hertz: np.ndarray) -> np.ndarray:
    """Triangles on HTK's mel scale, [fft / 2 + 1, M]; the bin at half the rate is unused."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)

    edges = np.linspace(mel(options.low_hz), mel(options.top_hz), options.num_mels + 2)
    filters = _triangles(mel(hertz), edges)
    filters[-1] = 0.0
    return filters


def _slaney_filters(options: FeatureOptions, hertz: np.ndarray) -> np.ndarray:
    """What `librosa.filters.mel` gives, [fft / 2 + 1, M]: triangles in Hz, of equal area."""
    # Imported late, for it brings numba; librosa.filters would bring scipy.signal as well,
    # and wait a second for that.
    from librosa.core.convert import mel_frequencies

    edges = mel_frequencies(
        options.num_mels + 2, fmin=options.low_hz, fmax=options.top_hz
    )
    heights = 2.0 / (edges[2:] - edges[:-2])
    return _triangles(hertz, edges).astype(np.float32) * heights


@functools.cache
def mel_filters(options: FeatureOptions) -> np.ndarray:
    """The filterbank [fft / 2 + 1, M] float32.

    Raises:
        ConfigError: a filter falls between two bins and would see nothing.
    """
    bins = np.arange(options.fft_length // 2 + 1)
    hertz = bins * options.rate_hz / options.fft_length
    make = _kaldi_filters if options.preset == "kaldi" else _slaney_filters
    filters = make(options, hertz)
    if not filters.any(axis=0).all():
        raise ConfigError(
            f"num_mels {options.num_mels}: too many for frames of {options.frame_length_ms:g} ms "
            f"at {options.rate_hz} Hz, some filters would be empty; lower num_mels"
        )
    return np.ascontiguousarray(filters, np.float32)


@functools.cache
def analysis_window(options: FeatureOptions) -> np.ndarray:
    """The analysis window [N] float32."""
    length = options.frame_length
    if options.preset == "kaldi":
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
        return (hann**0.85).astype(
            np.float32
        )  # Povey's, which does not reach zero as fast
    periodic = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return periodic.astype(np.float32)


def lifter(options: FeatureOptions) -> np.ndarray:
    """What Kaldi multiplies cepstra with, [C] float64."""
    places = np.arange(options.num_ceps)
    return 1.0 + 0.5 * LIFTER * np.sin(np.pi * places / LIFTER)


def _log_energy(frames: np.ndarray) -> np.ndarray:
    energy = np.einsum("tn,tn->t", frames, frames, dtype=np.float64)
    return np.log(np.maximum(energy, ENERGY_FLOOR)).astype(np.float32)


def _emphasised(frames: np.ndarray) -> np.ndarray:
    """Each sample of frames [T, N] less a share of the one before, the first less its own.

    One run over all samples takes an eighth of the time of one over every frame.
    """
    samples = frames.ravel()
    outputs = np.empty_like(samples)
    np.multiply(samples[:-1], np.float32(PREEMPHASIS), out=outputs[1:])
    np.subtract(samples[1:], outputs[1:], out=outputs[1:])
    outputs = outputs.reshape(frames.shape)
    np.multiply(frames[:, 0], np.float32(1.0 - PREEMPHASIS), out=outputs[:, 0])
    return outputs


def _conditioned(
    frames: np.ndarray, options: FeatureOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Windowed frames, filled up with zeros for the transform, and their log energies.

    Args:
        frames: [T, N] raw.
        options: kind and settings.

    Returns:
        [T, fft] float32; and [T] float32 from before the window, for Kaldi's MFCC, else [0].
    """
    energy = np.zeros(0, np.float32)
    if options.preset == "kaldi":
        frames = frames * np.float32(INT16_RANGE)
        means = frames.mean(axis=1, keepdims=True, dtype=np.float64)
        frames -= means.astype(np.float32)
        if options.kind == "mfcc":
            energy = _log_energy(frames)
        frames = _emphasised(frames)
    filled = np.zeros((len(frames), options.fft_length), np.float32)
    window = analysis_window(options)
    np.multiply(frames, window, out=filled[:, : options.frame_length])
    return filled, energy


def _filtered(power: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """Filterbank energies [T, M] of power spectra [T, fft / 2 + 1].

    BLAS takes other ways through a sum for the last rows of a product, and other products for
    few rows or many threads. Eight rows at a time go one way all: what a frame gives does not
    depend, to the last bit, on the frames that it comes with.
    """
    count = len(power)
    short = -count % _TOGETHER
    if short:
        power = np.concatenate([power, np.zeros((short, power.shape[1]), power.dtype)])
    groups = power.reshape(-1, _TOGETHER, power.shape[1])
    return (groups @ mel_filters(options)).reshape(-1, options.num_mels)[:count]


def _features_of(frames: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """Features [T, F] of raw frames [T, N]."""
    import scipy.fft  # late: a third of a second that exported models do not need

    windowed, energy = _conditioned(frames, options)
    spectrum = scipy.fft.rfft(windowed, axis=1)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    log_mel = np.log(np.maximum(_filtered(power, options), np.float32(ENERGY_FLOOR)))
    if options.kind == "fbank":
        return log_mel
    cepstra = scipy.fft.dct(log_mel, type=2, norm="ortho", axis=1)[
        :, : options.num_ceps
    ]
    if options.preset == "kaldi":
        cepstra = cepstra * lifter(options)
        cepstra[:, 0] = energy
    return cepstra.astype(np.float32)


def compute_features(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """Makes features of a waveform.

    Args:
        samples: [S] float32 in [-1, 1] at `options.rate_hz`.
        options: kind and settings.

    Returns:
        [T, F] float32, T = 1 + (S - N) // shift for frames of N samples.

    Raises:
        DataError: the signal is shorter than one frame.

    Notes:
        Kaldi's preset conditions frames by the same float32 operations as Kaldi, and agrees
        with kaldi-native-fbank within 1e-3 in every bin less than 16 nats below the loudest
        of its frame. Further down float32 transforms round: kaldi-native-fbank itself is up
        to 5e-3 from the same equations in float64 (1 in 40,000 bins of real speech is over
        1e-3), as are we, and a transform without rounding would be as far from it.
        tests/features/test_kaldi.py holds each side to that.

    References:
        Davis & Mermelstein 1980; Povey et al. 2011 (Kaldi); McFee et al. 2015 (librosa).
    """
    num_frames = options.num_frames(len(samples))
    if num_frames == 0:
        raise DataError(
            f"{counted(len(samples), 'sample')}, less than one frame of {options.frame_length}; "
            "remove the utterance"
        )
    step = samples.strides[0]
    views = np.lib.stride_tricks.as_strided(
        samples,
        (num_frames, options.frame_length),
        (step * options.frame_shift, step),
        writeable=False,
    )
    outputs = np.empty((num_frames, options.dim), np.float32)
    for start in range(0, num_frames, _BLOCK):
        outputs[start : start + _BLOCK] = _features_of(
            views[start : start + _BLOCK], options
        )
    return outputs
