"""Posteriors of several models as those of one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from features.errors import DataError

Pool = Literal["mean", "product"]


def pool(
    log_probs: Sequence[np.ndarray], weights: Sequence[float], how: Pool
) -> np.ndarray:
    """The weighted mean, or the weighted product, of distributions.

        mean: p = sum w_i p_i;  product: p proportional to prod p_i ** w_i

    A mean is high where any model is sure; a product is low where any model is.

    Args:
        log_probs: natural logs of equal shape [..., S], each a distribution over S.
        weights: of each, not negative, with a sum of 1.
        how: mean or product.

    Returns:
        [..., S] float32, a distribution again.

    Raises:
        DataError: no output of a frame has a probability above 0.

    References:
        Genest & Zidek 1986, of linear and logarithmic opinion pools.
    """
    scaled = [
        matrix.astype(np.float64) for matrix, w in zip(log_probs, weights, strict=True)
    ]
    used = [(m, w) for m, w in zip(scaled, weights, strict=True) if w > 0.0]
    if how == "mean":
        total = np.logaddexp.reduce([matrix + np.log(w) for matrix, w in used])
    else:
        total = np.sum([matrix * w for matrix, w in used], axis=0)
    norm = np.logaddexp.reduce(total, axis=-1, keepdims=True)
    if (norm == -np.inf).any():
        raise DataError(
            "a frame has no output that the systems hold possible; they differ too much for "
            f"a {how}, or are damaged (votes can: --how rover)"
        )
    return np.asarray(total - norm, np.float32)
