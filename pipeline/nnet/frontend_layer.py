"""The front end as a Keras layer: waveform in, what the network sees out.

It computes what `features.spectral`, `features.normalize` and `features.dynamics` compute, in
operations that every converter knows (gather, matrix product, sums): no Fourier transform and
no ragged shapes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import scipy.fft
import tensorflow as tf

from features.dynamics import delta_filters
from features.errors import ConfigError
from features.frontend import FrontendOptions
from features.kaldi import ENERGY_FLOOR, INT16_RANGE, PREEMPHASIS, lifter
from features.normalize import VARIANCE_FLOOR, CmvnStats
from features.spectral import FeatureOptions, analysis_window, mel_filters
from pipeline.config import check


def _fourier(length: int, fft_length: int) -> np.ndarray:
    """Cosines and sines of every bin, [N, fft + 2] float32, made in float64."""
    bins = np.arange(fft_length // 2 + 1)
    # Reduced before the cosine is taken, whose argument stays small and exact.
    turns = np.outer(np.arange(length), bins) % fft_length
    angles = 2.0 * np.pi * turns / fft_length
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _cepstral(options: FeatureOptions) -> np.ndarray:
    """The cosine transform of log mel energies, [M, C] float32, the lifter in it."""
    matrix = scipy.fft.dct(np.eye(options.num_mels), type=2, norm="ortho", axis=1)
    matrix = matrix[:, : options.num_ceps]
    if options.preset == "kaldi":
        matrix = matrix * lifter(options.num_ceps)
    return matrix.astype(np.float32)


def _in_float(matrix: np.ndarray, inputs: tf.Tensor) -> tf.Tensor:
    """A matrix that TFLite's converter leaves in float when it makes weights int8.

    The converter quantises every constant matrix in a product, and quiet bands would drown in
    the rounding of loud ones. A matrix that hangs on the input, if only by a factor of one, is
    no constant.
    """
    return matrix * tf.cast(tf.size(inputs) > 0, tf.float32)


def _product(rows: tf.Tensor, matrix: np.ndarray, inputs: tf.Tensor) -> tf.Tensor:
    """[B, T, N] times [N, M]."""
    flat = tf.reshape(rows, [-1, matrix.shape[0]])
    shape = tf.shape(rows)
    product = tf.matmul(flat, _in_float(matrix, inputs))
    return tf.reshape(product, [shape[0], shape[1], matrix.shape[1]])


def _shifted(frames: tf.Tensor, offset: int) -> tf.Tensor:
    """Frame t + offset at place t of [B, T, F], edge frames repeated."""
    length = tf.shape(frames)[1]
    places = tf.clip_by_value(tf.range(length) + offset, 0, length - 1)
    return tf.gather(frames, places, axis=1)


def _normalise(frames: tf.Tensor, *, norm_vars: bool) -> tf.Tensor:
    """Mean, and variance when asked, taken over each utterance of [B, T, F]."""
    # Taken from a frame of its own first: sums of large numbers lose what is small, and a
    # coefficient that never varies must come out as zero.
    moved = frames - frames[:, :1]
    centred = moved - tf.reduce_mean(moved, axis=1, keepdims=True)
    if not norm_vars:
        return centred
    variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    return centred / tf.sqrt(tf.maximum(variance, VARIANCE_FLOOR))


@keras.saving.register_keras_serializable(package="keraldi")
class WaveformFrontend(keras.layers.Layer):
    """Waveforms [B, S] in [-1, 1] to network inputs [B, T, F], all S at least one frame.

    Statistics of `cmvn: speaker` cannot be known from one waveform: unless they are given, they
    are taken over the utterance, as for `cmvn: utterance`.

    Args:
        features: a `FeatureOptions` as plain values.
        frontend: a `FrontendOptions` as plain values.
        stats: CMVN statistics [2, F + 1] used for every utterance; needed for `cmvn: global`.
    """

    def __init__(
        self,
        features: dict[str, Any],
        frontend: dict[str, Any],
        stats: Sequence[Sequence[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.features = check(features, FeatureOptions, source="front end")
        self.frontend = check(frontend, FrontendOptions, source="front end")
        self.stats = None if stats is None else np.array(stats, np.float64)
        if self.frontend.cmvn == "global" and stats is None:
            raise ConfigError("cmvn: global needs statistics; give them as `stats`")
        if self.frontend.cmvn == "none" and stats is not None:
            raise ConfigError("cmvn: none uses no statistics; leave out `stats`")
        options = self.features
        self._window = analysis_window(options)
        self._fourier = _fourier(options.frame_length, options.fft_length)
        self._filters = mel_filters(options)
        self._cepstral = _cepstral(options) if options.kind == "mfcc" else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Has no weights."""
        self.built = True

    def _frames(self, waveform: tf.Tensor) -> tf.Tensor:
        """[B, S] to [B, T, N]."""
        length, shift = self.features.frame_length, self.features.frame_shift
        count = 1 + (tf.shape(waveform)[1] - length) // shift
        places = tf.range(count)[:, None] * shift + tf.range(length)[None, :]
        return tf.gather(waveform, places, axis=1)

    def _conditioned(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Windowed frames, and frames without offset; see `features.spectral`."""
        if self.features.preset == "librosa":
            return frames * self._window, frames
        scaled = frames * INT16_RANGE
        scaled -= tf.reduce_mean(scaled, axis=-1, keepdims=True)
        before = tf.concat([scaled[..., :1], scaled[..., :-1]], axis=-1)
        return (scaled - PREEMPHASIS * before) * self._window, scaled

    def spectra(self, waveform: tf.Tensor) -> tf.Tensor:
        """The features of waveforms [B, S] before CMVN: [B, T, F]."""
        windowed, scaled = self._conditioned(self._frames(waveform))
        parts = _product(windowed, self._fourier, waveform)
        half = self._fourier.shape[1] // 2
        power = tf.square(parts[..., :half]) + tf.square(parts[..., half:])
        energies = _product(power, self._filters, waveform)
        log_mel = tf.math.log(tf.maximum(energies, ENERGY_FLOOR))
        if self._cepstral is None:
            return log_mel
        cepstra = _product(log_mel, self._cepstral, waveform)
        if self.features.preset == "librosa":
            return cepstra
        energy = tf.reduce_sum(tf.square(scaled), axis=-1, keepdims=True)
        log_energy = tf.math.log(tf.maximum(energy, ENERGY_FLOOR))
        return tf.concat([log_energy, cepstra[..., 1:]], axis=-1)

    def _normalised(self, frames: tf.Tensor) -> tf.Tensor:
        options = self.frontend
        if options.cmvn == "none":
            return frames
        if self.stats is None:
            return _normalise(frames, norm_vars=options.norm_vars)
        stats = CmvnStats(self.stats)
        centred = frames - stats.mean.astype(np.float32)
        if not options.norm_vars:
            return centred
        return centred / np.sqrt(stats.variance).astype(np.float32)

    def _in_context(self, frames: tf.Tensor) -> tf.Tensor:
        """Deltas, splicing, stacking and skipping; see `features.frontend.transform`."""
        options = self.frontend
        parts = [frames]
        for taps in delta_filters(order=options.deltas):
            reach = len(taps) // 2
            terms = [
                float(tap) * _shifted(frames, place - reach)
                for place, tap in enumerate(taps)
                if tap
            ]
            parts.append(tf.add_n(terms))
        frames = tf.concat(parts, axis=-1)
        near = range(-options.splice_left, options.splice_right + 1)
        frames = tf.concat([_shifted(frames, offset) for offset in near], axis=-1)
        length = tf.shape(frames)[1]
        starts = tf.range((length + options.skip - 1) // options.skip) * options.skip
        stacked = [
            tf.gather(frames, tf.minimum(starts + offset, length - 1), axis=1)
            for offset in range(options.stack)
        ]
        return tf.concat(stacked, axis=-1)

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        """Network inputs [B, T, F] float32 of waveforms [B, S]."""
        return self._in_context(self._normalised(self.spectra(waveform)))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """[B, S] to [B, T, F]."""
        width = self.frontend.output_dim(self.features.dim)
        return (input_shape[0], None, width)

    def get_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes the layer again."""
        return {
            **super().get_config(),
            "features": asdict(self.features),
            "frontend": asdict(self.frontend),
            "stats": None if self.stats is None else self.stats.tolist(),
        }
