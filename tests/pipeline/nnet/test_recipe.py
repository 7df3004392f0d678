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
