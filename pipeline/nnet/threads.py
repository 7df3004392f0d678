"""How many threads TensorFlow takes."""

import tensorflow as tf


def one_thread_an_operation() -> None:
    """Runs every operation in the thread that calls the network.

    Several callers then use several cores, each on a batch of its own, which is faster than
    all on one: the products of a recurrence are too small to share. Where TensorFlow has
    already started it stays as it is.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return
