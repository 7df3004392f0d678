"""The recurrent core: cells, the engine that runs them, and layers for Keras."""

from pipeline.nnet.recurrent.cells import (
    Cell,
    GRUCell,
    LiGRUCell,
    LSTMPCell,
    SimpleRNNCell,
)
from pipeline.nnet.recurrent.implementation import use_implementation
from pipeline.nnet.recurrent.layers import (
    GRU,
    LSTM,
    LSTMP,
    LiGRU,
    Recurrent,
    SimpleRNN,
)

__all__ = [
    "GRU",
    "LSTM",
    "LSTMP",
    "Cell",
    "GRUCell",
    "LiGRU",
    "LiGRUCell",
    "LSTMPCell",
    "Recurrent",
    "SimpleRNN",
    "SimpleRNNCell",
    "use_implementation",
]
