"""The cells: each a forward step, and its gradient derived by hand."""

from pipeline.nnet.recurrent.cells.base import Cell
from pipeline.nnet.recurrent.cells.gru import GRUCell, LiGRUCell
from pipeline.nnet.recurrent.cells.lstm import LSTMPCell
from pipeline.nnet.recurrent.cells.plain import SimpleRNNCell

__all__ = ["Cell", "GRUCell", "LSTMPCell", "LiGRUCell", "SimpleRNNCell"]
