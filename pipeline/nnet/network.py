"""The network that settings describe: a stack of layers over frames, log-posteriors out."""

from typing import Any

import keras
import tensorflow as tf

from pipeline.nnet import recurrent
from pipeline.nnet.config import LayerOptions, NetworkOptions

_RECURRENT = {
    "rnn": recurrent.SimpleRNN,
    "lstm": recurrent.LSTM,
    "lstmp": recurrent.LSTMP,
    "gru": recurrent.GRU,
    "ligru": recurrent.LiGRU,
}


def make_recurrent(
    options: LayerOptions, *, name: str, reverse: bool = False
) -> keras.layers.Layer:
    """Makes one recurrent layer, one direction, that returns its sequence and state."""
    arguments: dict[str, Any] = {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": reverse,
        "name": name,
        **options.options,
    }
    if options.type == "gru":
        arguments["projection"] = options.projection
    if options.type == "lstmp":
        arguments["projection"] = options.projection or -(-options.cells // 2)
    if options.type == "rnn":
        arguments["activation"] = options.activation
    return _RECURRENT[options.type](options.cells, **arguments)


@keras.saving.register_keras_serializable(package="keraldi")
class Block(keras.layers.Layer):
    """One layer of the stack with what stands around it.

    H = dropout(norm(layer(x))), joined with x when residual: x + H, [x; H], or the highway
    T ⊙ H + (1 − T) ⊙ x with T = σ(W x + b), which starts nearly open for x (b = −1). Where
    widths differ a linear map of x stands for it, as in He et al. 2016. Padded frames come
    out as whatever the layers make of zeros: the mask keeps them from every real frame.

    Args:
        options: a `LayerOptions` as plain values (`repeat` is the stack's affair).

    References:
        He et al. 2016 (residual); Srivastava, Greff & Schmidhuber 2015 (highway).
    """

    def __init__(self, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = LayerOptions(**options)
        self._config = dict(options)
        self.supports_masking = True
        kind = self.options
        self.layer: keras.layers.Layer
        self.backward: keras.layers.Layer | None = None
        if kind.type == "dense":
            self.layer = keras.layers.Dense(
                kind.cells, activation=kind.activation, name="dense"
            )
        else:
            self.layer = make_recurrent(kind, name="forward")
            if kind.bidirectional != "none":
                self.backward = make_recurrent(kind, name="backward", reverse=True)
        cell = getattr(self.layer, "cell", None)
        self.layer_width = None if cell is None else cell.output_size
        self.norm = (
            keras.layers.LayerNormalization(name="norm") if kind.layer_norm else None
        )
        self.match: keras.layers.Layer | None = None
        self.gate: keras.layers.Layer | None = None
        self.dropout = keras.layers.Dropout(kind.dropout, name="dropout")

    @property
    def is_recurrent(self) -> bool:
        """Whether the block carries a state from frame to frame."""
        return self.options.type != "dense"

    @property
    def loops(self) -> int:
        """Into how many loops the layer deals the rows of a large batch."""
        return self.layer.shards(None) if self.is_recurrent else 1

    @property
    def width(self) -> int:
        """Units at the output, before a residual connection appends its input."""
        kind = self.options
        one = kind.cells if self.layer_width is None else self.layer_width
        return 2 * one if kind.bidirectional == "concat" else one

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights for frames [B, T, F]."""
        inside = (None, None, self.width)
        self.layer.build(input_shape)
        if self.backward is not None:
            self.backward.build(input_shape)
        if self.norm is not None:
            self.norm.build(inside)
        joined = self.options.residual in ("add", "highway")
        if joined and input_shape[-1] != self.width:
            self.match = keras.layers.Dense(self.width, use_bias=False, name="match")
            self.match.build(input_shape)
        if self.options.residual == "highway":
            self.gate = keras.layers.Dense(
                self.width,
                activation="sigmoid",
                bias_initializer=keras.initializers.Constant(-1.0),
                name="gate",
            )
            self.gate.build(input_shape)
        self.dropout.build(inside)
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor | None = None,
        initial_state: list[tf.Tensor] | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Applies the block.

        Args:
            inputs: [B, T, F].
            mask: [B, T] bool, True on real frames; None takes all.
            initial_state: of a unidirectional recurrent layer; zeros when None.
            training: whether dropout is on.

        Returns:
            [B, T, F'] and the forward layer's final state (empty for a dense layer).
        """
        states: list[tf.Tensor] = []
        if self.is_recurrent:
            outputs, *states = self.layer(
                inputs, mask=mask, initial_state=initial_state, training=training
            )
            if self.backward is not None:
                # From last frame to first: padding comes first and leaves the state at zero.
                turned = self.backward(inputs, mask=mask, training=training)[0]
                outputs = self._join(outputs, tf.reverse(turned, axis=[1]))
        else:
            outputs = self.layer(inputs)
        if self.norm is not None:
            outputs = self.norm(outputs)
        outputs = self.dropout(outputs, training=training)
        return self._with_input(inputs, outputs), states

    def _with_input(self, inputs: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The layer's outputs [B, T, F'] joined with its inputs [B, T, F] as asked."""
        if self.options.residual == "none":
            return outputs
        if self.options.residual == "concat":
            return tf.concat([inputs, outputs], axis=-1)  # [B, T, F + F']
        passed = inputs if self.match is None else self.match(inputs)
        if self.gate is None:
            return passed + outputs
        return passed + self.gate(inputs) * (outputs - passed)

    def _join(self, forward: tf.Tensor, backward: tf.Tensor) -> tf.Tensor:
        if self.options.bidirectional == "sum":
            return forward + backward
        return tf.concat([forward, backward], axis=-1)

    def compute_mask(self, inputs: tf.Tensor, previous_mask: Any = None) -> None:
        """The mask is handed on by the model, not attached to tensors."""
        return None

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """[B, T, F] to [B, T, F']; the state is not part of it."""
        width = self.width + (input_shape[-1] or 0) * (
            self.options.residual == "concat"
        )
        return (*input_shape[:-1], width)

    def get_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes the block again."""
        return {**super().get_config(), "options": self._config}


@keras.saving.register_keras_serializable(package="keraldi")
class AcousticModel(keras.Model):
    """Frames to log-posteriors, with all that inference needs to know beside the weights.

    `model(frames)` takes one utterance or several of equal length; `model(frames, mask=m)`
    takes padded ones. Load it with `keras.models.load_model` after `import pipeline`.

    Args:
        layers: the stack, first to last: `LayerOptions` as plain values.
        input_dim: F, after the front end.
        num_outputs: V, phones times states; one more, the blank, for CTC.
        recipe: what else inference needs: phones, features, front end, priors (see
            `pipeline.nnet.recipe`); kept with the model, not looked at here.
    """

    def __init__(
        self,
        layers: list[dict[str, Any]],
        input_dim: int,
        num_outputs: int,
        recipe: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "layers": layers,
            "input_dim": input_dim,
            "num_outputs": num_outputs,
        }
        self.input_dim = input_dim
        self.recipe = recipe or {}
        self.supports_masking = True
        self.blocks = [
            Block(options, name=f"block{number}")
            for number, options in enumerate(layers, start=1)
        ]
        self.output_layer = keras.layers.Dense(num_outputs, name="output")
        self.build((None, None, input_dim))

    @classmethod
    def from_options(
        cls, options: NetworkOptions, *, input_dim: int, num_outputs: int
    ) -> "AcousticModel":
        """Builds the network that a configuration describes, `repeat` spelled out."""
        layers = []
        for layer in options.layers:
            values = {**vars(layer), "repeat": 1}
            layers += [values] * layer.repeat
        return cls(layers, input_dim, num_outputs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes all weights, so that they exist before the first batch."""
        shape = input_shape
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.output_layer.build(shape)
        self.built = True

    def run(
        self,
        frames: tf.Tensor,
        mask: tf.Tensor | None = None,
        states: list[list[tf.Tensor]] | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, list[list[tf.Tensor]]]:
        """Applies the network from given states, and gives them back.

        Args:
            frames: [B, T, F].
            mask: [B, T] bool or None.
            states: of every block, as returned before; None starts at zero.
            training: whether dropout is on.

        Returns:
            [B, T, V] float32 log-posteriors, and every block's state after its last frame.
        """
        outputs = frames
        after = []
        for number, block in enumerate(self.blocks):
            state = states[number] if states and block.is_recurrent else None
            outputs, new = block(
                outputs, mask=mask, initial_state=state, training=training
            )
            after.append(new)
        logits = tf.cast(self.output_layer(outputs), tf.float32)
        return tf.nn.log_softmax(logits), after

    def call(
        self, inputs: tf.Tensor, mask: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Log-posteriors [B, T, V] float32 of frames [B, T, F]; `mask` [B, T] marks real ones."""
        return self.run(inputs, mask, training=training)[0]

    def get_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes the model again."""
        return {**super().get_config(), **self._config, "recipe": self.recipe}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "AcousticModel":
        """Makes the model from `get_config`'s values."""
        return cls(**config)


def is_unidirectional(network: AcousticModel) -> bool:
    """Whether no layer hears the future."""
    return all(block.backward is None for block in network.blocks)
