"""Posteriors of several models as those of one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

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
    return np.asarray(total - norm, np.float32)
