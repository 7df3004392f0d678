"""The tree is what the README says, and imports go one way."""

import ast
import re
from pathlib import Path

import pytest

from features.spectral import FeatureOptions
from pipeline.align import FlatOptions
from pipeline.config import load
from pipeline.nnet.config import TrainConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MACHINERY = {"corpora", "nnet", "decoding", "scoring"}
SHARED = {"datadir", "config"}


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {
                f"{node.module}.{alias.name}" for alias in node.names
            }
    return found


def rooms(names: set[str]) -> set[str]:
    """The parts of the pipeline among module names."""
    return {name.split(".")[1] for name in names if name.startswith("pipeline.")}


@pytest.mark.parametrize("path", sorted((ROOT / "features").glob("*.py")), ids=str)
def test_features_import_neither_pipeline_nor_tensorflow(path):
    tops = {name.split(".")[0] for name in imports_of(path)}
    assert not tops & {"pipeline", "tensorflow", "keras"}


@pytest.mark.parametrize("room", sorted(MACHINERY | {"datadir"}))
def test_machinery_imports_only_what_is_below_it(room):
    allowed = {room} | (SHARED if room in MACHINERY else set())
    if room == "corpora":
        allowed |= {"stage"}  # shows the progress of its own processes
    for path in (ROOT / "pipeline" / room).rglob("*.py"):
        assert rooms(imports_of(path)) <= allowed, path


def test_reporting_uses_scores_and_data_and_no_network():
    allowed = {"reporting", "scoring", "decoding"} | SHARED
    for path in (ROOT / "pipeline" / "reporting").rglob("*.py"):
        assert rooms(imports_of(path)) <= allowed, path


def test_only_nnet_needs_tensorflow():
    for path in (ROOT / "pipeline").rglob("*.py"):
        if "nnet" not in path.parts:
            tops = {name.split(".")[0] for name in imports_of(path)}
            assert not tops & {"tensorflow", "keras"}, path


def test_the_map_names_every_folder():
    shown = README[README.index("## The map") : README.index("## Recipes")]
    for top in ("features", "pipeline", "recipes", "tests"):
        assert f"\n{top}/ " in shown
    folders = [
        p for p in (ROOT / "pipeline").iterdir() if p.is_dir() and p.name[0] != "_"
    ]
    for folder in folders:
        assert f"  {folder.name}/ " in shown
    named = re.findall(r"^ {2}(\w+)/ ", shown, flags=re.M)
    known = {folder.name for folder in folders} | {"utils"}
    assert set(named) <= known


def test_every_recipe_is_in_the_readme_and_whole():
    for folder in (ROOT / "recipes").iterdir():
        if folder.is_dir() and folder.name != "utils":
            assert f"recipes/{folder.name}/run.sh" in README
            for name in ("run.sh", "README.md", "RESULTS", "conf"):
                assert (folder / name).exists(), folder / name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "recipes").glob("*/conf/*.yaml")), ids=str
)
def test_every_configuration_is_valid(path):
    schema = {"features": FeatureOptions, "flat": FlatOptions}.get(
        path.stem, TrainConfig
    )
    load(path, schema)


LAYERS = (ROOT / "pipeline" / "nnet" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "code", re.findall(r"```python\n(.*?)```", README + LAYERS, flags=re.S)
)
def test_the_readme_runs(code, capsys):
    if code.startswith("# needs: "):
        compile(code, "README.md", "exec")
        return
    exec(compile(code, "README.md", "exec"), {})
    expected = re.search(r"print\(.*# (.+)", code)
    assert expected is not None
    assert expected[1] in capsys.readouterr().out
