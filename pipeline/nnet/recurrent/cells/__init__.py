"""The cells: each a forward step, and its gradient derived by hand."""

from pipeline.nnet.recurrent.cells.base import Cell
from pipeline.nnet.recurrent.cells.gru import GRUCell
from pipeline.nnet.recurrent.cells.ligru import LiGRUCell
from pipeline.nnet.recurrent.cells.lstm import LSTMPCell
from pipeline.nnet.recurrent.cells.plain import SimpleRNNCell

__all__ = ["Cell", "GRUCell", "LSTMPCell", "LiGRUCell", "SimpleRNNCell"]
