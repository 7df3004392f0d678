"""How many processor cores TensorFlow uses, and how recurrent layers share them."""

import os

import tensorflow as tf

_FEWEST_ROWS = (
    8  # of a batch in a loop; with fewer a second loop costs more than it brings
)
_FEWEST_PRODUCTS = 1 << 17  # of a recurrent matrix: 256 cells with a projection of 128
_batches_are_dealt = True  # as TensorFlow's threads, a matter of the whole process


def use_cores(count: int | None = None) -> None:
    """Sets TensorFlow's threads as the recurrent layers like them best.

    A recurrence is many small products one after the other. Two loops side by side, each
    with half of the batch and one thread a product, run faster than one loop whose every
    product is split between threads that wait for each other. Call it before TensorFlow
    has run anything.

    Args:
        count: processor cores; None takes all that this process may use.

    Raises:
        RuntimeError: TensorFlow has run already (its own error).
    """
    count = count or len(os.sched_getaffinity(0))
    loops = min(count, 2)
    tf.config.threading.set_inter_op_parallelism_threads(loops)
    tf.config.threading.set_intra_op_parallelism_threads(max(1, count // loops))


def use_cores_unless_set() -> None:
    """`use_cores` for a command, where nothing else has settled the threads.

    Settled they are by `TF_NUM_INTRAOP_THREADS` or `TF_NUM_INTEROP_THREADS`, by a call of
    TensorFlow's own, by TensorFlow having run; a GPU does the products itself.
    """
    threading = tf.config.threading
    chosen = (
        "TF_NUM_INTRAOP_THREADS" in os.environ
        or "TF_NUM_INTEROP_THREADS" in os.environ
        or threading.get_intra_op_parallelism_threads()
        or threading.get_inter_op_parallelism_threads()
    )
    if chosen or tf.config.list_physical_devices("GPU"):
        return
    try:
        use_cores()
    except RuntimeError:  # TensorFlow has run, in a program that calls this stage
        return


def one_thread_an_operation(callers: int = 1) -> None:
    """Gives every caller of a network one thread, which runs its operations one by one.

    Several callers then use several cores, each on a batch of its own, which is faster than
    all on one: the products of a recurrence are too small to share. Where TensorFlow has
    already started it stays as it is.

    Args:
        callers: threads that call networks at a time. The operations of all run in
            TensorFlow's own threads, of which there must be as many.
    """
    global _batches_are_dealt
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(callers)
    except RuntimeError:
        return
    _batches_are_dealt = False


def shards_for(rows: int | None, products: int) -> int:
    """Into how many loops a batch is dealt: one on a GPU or a single core, else two.

    One as well after `one_thread_an_operation`: the cores have other batches.

    Args:
        rows: B where it is known.
        products: elements of the recurrent matrix; a small one is not worth a second graph.
    """
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    cores = threads or len(os.sched_getaffinity(0))
    if not _batches_are_dealt or cores < 2 or tf.config.list_physical_devices("GPU"):
        return 1
    if products < _FEWEST_PRODUCTS or (rows is not None and rows < 2 * _FEWEST_ROWS):
        return 1
    return 2
