import json
import zipfile

import pytest

from features.errors import ConfigError, DataError
from features.frontend import FrontendOptions
from features.spectral import FeatureOptions
from pipeline.nnet.recipe import Recipe, stored_network

VALUES = {
    "phones": ["sil", "a"],
    "features": FeatureOptions(num_mels=2),
    "frontend": FrontendOptions(),
    "objective": "framewise",
    "states": 3,
    "label_delay": 0,
    "log_priors": [-1.8] * 6,
    "global_cmvn": [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]],
}


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_an_archive_that_unpacks_to_very_much_is_refused(tmp_path, name):
    path = tmp_path / "final.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as file:
            for _ in range(65):
                file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=f"{name} in it unpacks to 68157440 bytes"):
        stored_network(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a": [' + "[]," * 400_000 + "[]]}", "config.json in it unpacks to 1200011"),
        ("[" * 200_000, "not a model of Keraldi's .maximum recursion"),
    ],
)
def test_a_configuration_of_megabytes_or_without_end_is_refused(
    tmp_path, content, told
):
    with zipfile.ZipFile(
        tmp_path / "final.keras", "w", zipfile.ZIP_DEFLATED
    ) as archive:
        archive.writestr("config.json", content)
    with pytest.raises(DataError, match=told):
        stored_network(tmp_path / "final.keras")


def test_what_is_no_archive_is_told(tmp_path):
    path = tmp_path / "final.keras"
    path.write_text("x")
    with pytest.raises(DataError, match="not a model of Keraldi's .File is not a zip"):
        stored_network(path)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ({"class_name": "Lambda"}, "a Lambda layer"),
        ({"class_name": "__lambda__"}, "a Lambda layer"),
        ({"module": "os", "class_name": "system"}, "os.system"),
        ({"module": "builtins", "class_name": "exec"}, "builtins.exec"),
    ],
)
def test_code_in_a_model_is_named(tmp_path, kind, told):
    layer = {**kind, "config": {}}
    config = {"class_name": "AcousticModel", "config": {"layers": [layer]}}
    with zipfile.ZipFile(tmp_path / "final.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(DataError, match=f"holds {told}, unsafe code .* not load"):
        stored_network(tmp_path / "final.keras")


@pytest.mark.parametrize("name", ["../config.json", "/config.json", "a/../../b"])
def test_what_would_leave_the_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "final.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(name, "{}")
    with pytest.raises(DataError, match=f"'{name}' in it would unpack beside it"):
        stored_network(tmp_path / "final.keras")


def test_a_recipe_counts_what_goes_in_and_comes_out():
    recipe = Recipe.from_values(VALUES, source="x")
    assert (recipe.input_dim, recipe.num_outputs) == (2, 6)
    ctc = {**VALUES, "objective": "ctc", "states": 1, "log_priors": []}
    assert Recipe.from_values(ctc, source="x").num_outputs == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phones": ["sil", "a\nb"]}, "x: phones: 'a\\\\nb': expected a name without"),
        ({"phones": ["sil", ""]}, "x: phones: '': expected a name"),
        ({"log_priors": [-1.8] * 5}, "x: log_priors: expected 6 finite numbers"),
        ({"log_priors": [float("nan")] * 6}, "x: log_priors: expected 6 finite"),
        ({"objective": "ctc", "states": 1}, "x: log_priors: expected 0 finite"),
        ({"global_cmvn": [[0.0, 1.0]]}, "x: global_cmvn: expected two rows of 3"),
        ({"states": 0}, "x: states: .*greater than 0"),
        ({"label_delay": -1}, "x: label_delay: .*greater than or equal to 0"),
        ({"label_delay": 10**9}, "x: label_delay: .*less than or equal to 10000"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Recipe.from_values({**VALUES, **changes}, source="x")


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "lstm", "cells": 10_000_000},
        {"type": "lstmp", "cells": 100_000, "projection": 1000},
        {"units": 100_000_000},
        {
            "type": "gru",
            "cells": 100_000_000,
            "projection": "x",
            "more": {"units": -1_000_000_000_000_000_000},
        },
    ],
)
def test_layers_larger_than_the_file_are_refused(tmp_path, layer):
    check_too_large({"layers": [layer]}, tmp_path)


def check_too_large(config: dict, folder) -> None:
    values = {"class_name": "AcousticModel", "config": config}
    with zipfile.ZipFile(folder / "final.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(values))
        archive.writestr("model.weights.h5", bytes(100_000))
    with pytest.raises(DataError, match="its layers have [0-9]+ weights or more, of"):
        stored_network(folder / "final.keras")


@pytest.mark.parametrize("end", ["input_dim", "num_outputs"])
@pytest.mark.parametrize("kind", ["dense", "gru", "lstmp"])
def test_ends_larger_than_the_file_are_refused(tmp_path, end, kind):
    layer = {"type": kind, "cells": 16}
    sizes = {"input_dim": 40, "num_outputs": 40, end: 100_000_000}
    check_too_large({"layers": [layer, layer], **sizes}, tmp_path)
