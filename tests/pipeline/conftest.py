"""A small model with random weights, for stages that only need one that runs."""

from pathlib import Path

import numpy as np
import pytest

PHONES = ["sil", "a", "b", "c", "d"]


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    """A model dir: bidirectional, every second frame, statistics of the speaker."""
    import keras

    from features.frontend import FrontendOptions
    from features.spectral import FeatureOptions
    from pipeline.nnet.config import LayerOptions
    from pipeline.nnet.network import AcousticModel
    from pipeline.nnet.recipe import Recipe

    keras.utils.set_random_seed(7)
    features = FeatureOptions(num_mels=12)
    frontend = FrontendOptions(stack=2, skip=2)
    recipe = Recipe(
        phones=PHONES,
        features=features,
        frontend=frontend,
        objective="framewise",
        states=1,
        label_delay=0,
        log_priors=np.full(5, np.log(0.2)).tolist(),
        global_cmvn=None,
    )
    layer = LayerOptions(type="lstmp", cells=16, projection=8, bidirectional="concat")
    model = AcousticModel(
        [vars(layer)] * 2,
        frontend.output_dim(features.dim),
        5,
        recipe=recipe.to_values(),
    )
    # Random weights say little that is certain: larger ones make phones change.
    model.output_layer.kernel.assign(model.output_layer.kernel * 6)
    folder = tmp_path_factory.mktemp("random_model")
    model.save(folder / "final.keras")
    return folder
