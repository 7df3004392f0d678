"""Layer normalisation of columns, and its gradient."""

import tensorflow as tf

EPSILON = 1e-5  # as in Ba, Kiros & Hinton's code


def normalize(columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Columns [N, B] at mean 0 and variance 1, and what they were multiplied by, [1, B]."""
    centred = columns - tf.reduce_mean(columns, 0, keepdims=True)
    variance = tf.reduce_mean(centred * centred, 0, keepdims=True)
    factor = tf.math.rsqrt(variance + EPSILON)
    return centred * factor, factor


def normalize_gradient(
    grad: tf.Tensor, normal: tf.Tensor, factor: tf.Tensor
) -> tf.Tensor:
    """The gradient of the columns from that of `normal`; both as `normalize` gave them."""
    along = tf.reduce_mean(grad * normal, 0, keepdims=True)
    return factor * (grad - tf.reduce_mean(grad, 0, keepdims=True) - normal * along)


def normalize_rows(rows: tf.Tensor) -> tf.Tensor:
    """Rows [..., N] at mean 0 and variance 1, for TensorFlow to find the gradient of."""
    mean, variance = tf.nn.moments(rows, [-1], keepdims=True)
    return (rows - mean) * tf.math.rsqrt(variance + EPSILON)


def total(columns: tf.Tensor) -> tf.Tensor:
    """Columns [N, B] summed, [N, 1]: the gradient of what is the same in all of them."""
    return tf.reduce_sum(columns, 1, keepdims=True)
