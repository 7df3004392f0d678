import json
import zipfile

import pytest

from features.errors import DataError
from pipeline.nnet.recipe import stored_network


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_an_archive_that_unpacks_to_very_much_is_refused(tmp_path, name):
    path = tmp_path / "final.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as file:
            for _ in range(65):
                file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=f"{name} in it unpacks to 68157440 bytes"):
        stored_network(path)


def test_what_is_no_archive_is_told(tmp_path):
    path = tmp_path / "final.keras"
    path.write_text("x")
    with pytest.raises(DataError, match="not a model of Keraldi's .File is not a zip"):
        stored_network(path)


@pytest.mark.parametrize("kind", ["Lambda", "__lambda__"])
def test_code_in_a_model_is_named(tmp_path, kind):
    layer = {"class_name": kind, "config": {}}
    config = {"class_name": "AcousticModel", "config": {"layers": [layer]}}
    with zipfile.ZipFile(tmp_path / "final.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(
        DataError, match="holds a Lambda layer, unsafe code .* not load"
    ):
        stored_network(tmp_path / "final.keras")
