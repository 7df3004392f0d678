"""The recurrent core: cells, the engine that runs them, and layers for Keras."""

from pipeline.nnet.recurrent.cells import Cell, GRUCell, LSTMPCell, SimpleRNNCell
from pipeline.nnet.recurrent.layers import GRU, LSTM, LSTMP, Recurrent, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "LSTMP",
    "Cell",
    "GRUCell",
    "LSTMPCell",
    "Recurrent",
    "SimpleRNN",
    "SimpleRNNCell",
]
