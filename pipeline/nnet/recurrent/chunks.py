"""Time in chunks: as many frames as the products over them like best, all of one length.

Equal chunks need one graph where a shorter last one would need a second, and their length
is known to XLA wherever T and B are. The last is filled up with zeros, fewer frames than
there are chunks, which no loop over frames visits.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import tensorflow as tf

# Columns of a chunk at most: frames times rows of the batch. Weights' gradients are products
# along them, each added to what the chunks before gave: the more columns, the fewer sums.
COLUMNS = 800


class Chunks(NamedTuple):
    """T frames in chunks; every number is an int where T is known, else a scalar tensor.

    Attributes:
        length: T.
        count: how many chunks.
        size: frames a chunk, those that fill up the last one counted.
    """

    length: Any
    count: Any
    size: Any

    @classmethod
    def of(cls, length: Any, batch: Any) -> Self:
        """Chunks for `length` frames, at least one, of `batch` rows."""
        if isinstance(batch, int):
            most = max(COLUMNS // max(batch, 1), 1)
        else:
            most = tf.maximum(COLUMNS // tf.maximum(batch, 1), 1)
        count = (length - 1) // most + 1
        return cls(length, count, (length - 1) // count + 1)

    @property
    def whole(self) -> bool:
        """Whether it is known that no chunk is filled up."""
        filled = self.count * self.size - self.length
        return isinstance(filled, int) and filled == 0

    def cut(self, frames: tf.Tensor) -> tf.Tensor:
        """[T, B, F] to the rows of every chunk, [count, size * B, F]."""
        if not self.whole:
            filled = self.count * self.size - self.length
            frames = tf.pad(frames, [[0, filled], [0, 0], [0, 0]])
        width = frames.shape[-1]
        return tf.reshape(frames, [self.count, -1, width])

    def frames_in(self, number: Any) -> Any:
        """How many of chunk `number`'s frames are real."""
        if self.whole:
            return self.size
        return tf.minimum(self.size, self.length - number * self.size)

    def run(
        self, body: Callable[[Any, Any], Any], values: Any, *, reverse: bool = False
    ) -> Any:
        """`body(number, values) -> values` over all chunks, from the last with `reverse`."""
        if isinstance(self.count, int) and self.count == 1:
            return body(0, values)
        return tf.while_loop(
            lambda number, _: number < self.count,
            lambda number, values: (
                number + 1,
                body(self.count - 1 - number if reverse else number, values),
            ),
            (tf.constant(0), values),
            maximum_iterations=self.count,
            parallel_iterations=2,  # the products of one beside the frames of the next
        )[1]


def at(sequence: tf.Tensor, index: Any) -> tf.Tensor:
    """`sequence[index]` in fewer operations, for an index that is counted up in a loop."""
    place = tf.stack([index])
    return tf.raw_ops.StridedSlice(
        input=sequence, begin=place, end=place, strides=[1], shrink_axis_mask=1
    )


def arrays_of(
    sizes: Sequence[int], length: Any, like: tf.Tensor
) -> tuple[tf.TensorArray, ...]:
    """For each size an array [length] of [size, B], B and the type those of `like`'s columns."""
    return tuple(
        tf.TensorArray(
            like.dtype,
            size=length,
            element_shape=[size, like.shape[1]],
            clear_after_read=False,
        )
        for size in sizes
    )


def write_all(
    arrays: Sequence[tf.TensorArray], index: Any, values: Sequence[tf.Tensor]
) -> tuple[tf.TensorArray, ...]:
    """Each value written into its array."""
    return tuple(a.write(index, v) for a, v in zip(arrays, values, strict=True))


def read_all(arrays: Sequence[tf.TensorArray], index: Any) -> list[tf.Tensor]:
    """What each array holds at `index`."""
    return [array.read(index) for array in arrays]
