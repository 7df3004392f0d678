"""A recurrent matrix times the few columns of a frame, in training by the kernel that suits them.

With AVX-512 oneDNN has two kernels for it. That behind `MatMul` works in blocks of 32 columns
and is as slow with fewer; that behind `BatchMatMulV2` takes 16 a fourth to a half faster, but
a single one five times slower. Elsewhere `MatMul` is the faster for any number.
"""

import functools
import os
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

_MOST_COLUMNS = 16


class Factor(NamedTuple):
    """A matrix that stands on the left of `@` alone."""

    matrix: tf.Tensor

    def __matmul__(self, columns: tf.Tensor) -> tf.Tensor:
        """[M, N] times [N, B]; where B is not known until the run it is asked there."""

        def by_batch() -> tf.Tensor:
            return tf.raw_ops.BatchMatMulV2(x=self.matrix, y=columns)  # a batch of one

        def by_matrix() -> tf.Tensor:
            return self.matrix @ columns

        count = columns.shape[1]
        if count is None:
            count = tf.shape(columns)[1]
            few = (count > 1) & (count <= _MOST_COLUMNS)
            return tf.cond(few, by_batch, by_matrix)
        return by_batch() if 1 < count <= _MOST_COLUMNS else by_matrix()


def suited(weight: tf.Tensor) -> Any:
    """A recurrent weight as the steps of training take it: a matrix [M, N > 1] as a factor."""
    matrix = weight.shape[1] > 1 and weight.dtype == tf.float32
    return Factor(weight) if matrix and _has_both_kernels() else weight


@functools.cache
def _has_both_kernels() -> bool:
    """Whether this process multiplies by oneDNN on a processor with AVX-512."""
    if tf.config.list_physical_devices("GPU"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False
    return " avx512f " in flags and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
