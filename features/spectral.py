"""Short-time spectra: log-mel filterbank and MFCC, librosa's way or Kaldi's."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from features import kaldi
from features.errors import ConfigError, DataError, counted
from features.kaldi import ENERGY_FLOOR

if TYPE_CHECKING:
    from features.kaldi_frames import Filterbank

# Beyond these is a slip of the pen.
Hertz = Annotated[int, Field(gt=0, le=1_000_000)]
Count = Annotated[int, Field(gt=0, le=1000)]
Milliseconds = Annotated[float, Field(gt=0, le=1000)]
# Frames transformed at once, at most: what is between stays in the processor's cache, and in
# memory that the allocator keeps (with 112 it fetches 240 pages anew for each second of audio).
_BLOCK = 80
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
    rate_hz: Hertz = 16000
    num_mels: Count = 40
    num_ceps: Count = 13
    frame_length_ms: Milliseconds = 25.0
    frame_shift_ms: Milliseconds = 10.0
    low_hz: Annotated[float, Field(ge=0)] = 20.0
    high_hz: Annotated[float, Field(ge=0)] = 0.0

    def __post_init__(self) -> None:
        top = self.top_hz
        if not self.low_hz < top <= self.rate_hz / 2:
            raise ConfigError(
                f"low_hz {self.low_hz:g}, high_hz {self.high_hz:g}: expected low_hz < high_hz "
                f"<= {self.rate_hz / 2:g}, half of rate_hz"
            )
        for name in ("frame_length", "frame_shift"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name}_ms: expected at least one sample at {self.rate_hz} Hz, got "
                    f"{getattr(self, f'{name}_ms'):g} ms"
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


def _kaldi_filters(options: FeatureOptions, bins: np.ndarray) -> np.ndarray:
    """Triangles on HTK's mel scale, [fft / 2 + 1, M]; the bin at half the rate is unused."""
    low, high = kaldi.mel_of(options.low_hz), kaldi.mel_of(options.top_hz)
    width = (high - low) / np.float32(options.num_mels + 1)
    edges = low + width * np.arange(options.num_mels + 2, dtype=np.float32)
    hertz = np.float32(options.rate_hz / options.fft_length) * bins.astype(np.float32)
    filters = _triangles(kaldi.mel_of(hertz), edges)
    filters[-1] = 0.0
    return filters


def _slaney_filters(options: FeatureOptions, bins: np.ndarray) -> np.ndarray:
    """What `librosa.filters.mel` gives, [fft / 2 + 1, M]: triangles in Hz, of equal area."""
    # Imported late, for it brings numba; librosa.filters would bring scipy.signal as well,
    # and wait a second for that.
    from librosa.core.convert import mel_frequencies

    edges = mel_frequencies(
        options.num_mels + 2, fmin=options.low_hz, fmax=options.top_hz
    )
    heights = 2.0 / (edges[2:] - edges[:-2])
    hertz = bins * options.rate_hz / options.fft_length
    return _triangles(hertz, edges).astype(np.float32) * heights


@functools.cache
def mel_filters(options: FeatureOptions) -> np.ndarray:
    """The filterbank [fft / 2 + 1, M] float32.

    Raises:
        ConfigError: a filter falls between two bins and would see nothing.
    """
    bins = np.arange(options.fft_length // 2 + 1)
    make = _kaldi_filters if options.preset == "kaldi" else _slaney_filters
    filters = make(options, bins)
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
        return kaldi.povey_window(length)
    periodic = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return periodic.astype(np.float32)


@functools.cache
def _filterbank(options: FeatureOptions) -> "Filterbank":
    """The filters as Kaldi's compiled code reads them."""
    from features.kaldi_frames import filterbank_of

    weights, window = mel_filters(options), analysis_window(options)
    return filterbank_of(weights, window, shift=options.frame_shift)


def _of_kaldi(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """Kaldi's features [T, F] of samples [S]."""
    from features.kaldi_frames import cepstra, log_filterbank  # late: brings numba

    # Every other kind of array would be compiled for anew.
    samples = np.require(samples, np.float32, ["C", "W"])
    log_mel, log_energy = log_filterbank(samples, _filterbank(options))
    if options.kind == "fbank":
        return log_mel
    table = kaldi.cosines(options.num_ceps, options.num_mels)
    return cepstra(log_mel, log_energy, table, kaldi.lifter(options.num_ceps))


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


def _of_frames(frames: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """librosa's features [T, F] of raw frames [T, N]."""
    import scipy.fft  # late: a third of a second that exported models do not need

    filled = np.zeros((len(frames), options.fft_length), np.float32)
    window = analysis_window(options)
    np.multiply(frames, window, out=filled[:, : options.frame_length])
    spectrum = scipy.fft.rfft(filled, axis=1)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    log_mel = np.log(np.maximum(_filtered(power, options), np.float32(ENERGY_FLOOR)))
    if options.kind == "fbank":
        return log_mel
    cepstra = scipy.fft.dct(log_mel, type=2, norm="ortho", axis=1)
    return cepstra[:, : options.num_ceps].astype(np.float32)


def _of_librosa(samples: np.ndarray, options: FeatureOptions) -> np.ndarray:
    """librosa's features [T, F] of samples [S]."""
    step = samples.strides[0]
    views = np.lib.stride_tricks.as_strided(
        samples,
        (options.num_frames(len(samples)), options.frame_length),
        (step * options.frame_shift, step),
        writeable=False,
    )
    outputs = np.empty((len(views), options.dim), np.float32)
    blocks = -(-len(views) // _BLOCK)
    width = -(-len(views) // blocks)
    for start in range(0, len(views), width):
        part = slice(start, start + width)
        outputs[part] = _of_frames(views[part], options)
    return outputs


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
        Kaldi's preset agrees with kaldi-native-fbank, without dither, within 1e-4 in every
        bin and coefficient: it rounds in the same order (`features.kaldi`, `features.fourier`).
        Against exact arithmetic both may be off by 1e-3 and more in bins 17 nats and more below
        the loudest of their frame, where a float32 transform leaves little but rounding.

    References:
        Davis & Mermelstein 1980; Povey et al. 2011 (Kaldi); McFee et al. 2015 (librosa).
    """
    num_frames = options.num_frames(len(samples))
    if num_frames == 0:
        raise DataError(
            f"{counted(len(samples), 'sample')}, less than one frame of {options.frame_length}; "
            "remove the utterance"
        )
    if options.preset == "kaldi":
        return _of_kaldi(samples, options)
    return _of_librosa(samples, options)
