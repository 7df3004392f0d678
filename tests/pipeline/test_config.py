"""Settings files: what is wrong in them is told in one line each."""

import re
from dataclasses import dataclass, field

import pytest

from features.errors import ConfigError
from pipeline.config import load, save


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings in settings."""

    __pydantic_config__ = {"extra": "forbid"}

    rate: float = 0.5
    loud: bool = False

    def __post_init__(self) -> None:
        if self.loud and self.rate > 1:
            raise ConfigError(f"loud: expected a rate of at most 1, got {self.rate:g}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Settings of a stage."""

    __pydantic_config__ = {"extra": "forbid"}

    epochs: int
    inner: list[Inner] = field(default_factory=list)
    other: Inner | None = None

    def __post_init__(self) -> None:
        if self.epochs < len(self.inner):
            raise ConfigError("epochs: expected one for each of inner")


@pytest.fixture
def told(tmp_path):
    """The message of a file's fault."""

    def read(text: str) -> str:
        path = tmp_path / "x.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(path, Outer)
        return str(caught.value).replace(str(path), "x.yaml")

    return read


def test_written_then_read_is_the_same(tmp_path):
    settings = Outer(epochs=3, inner=[Inner(loud=True), Inner(rate=1.0)])
    save(tmp_path / "x.yaml", settings)
    assert load(tmp_path / "x.yaml", Outer) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: true\n", "x.yaml: epochs: expected a number, got true or false"),
        (
            "epochs: 2\ninner: [{rate: false}]\n",
            "x.yaml: inner[0].rate: expected a number, got true or false",
        ),
        ("epoch: 3\n", "x.yaml: unknown key 'epoch'; did you mean 'epochs'?"),
        (
            "epochs: 3\nepochs: 4\n",
            "x.yaml:2: not YAML: key 'epochs' comes twice; mend that line",
        ),
        ("inner: []\n", "x.yaml: epochs is missing; add it"),
    ],
)
def test_a_fault_is_one_line(told, text, message):
    assert told(text) == message
    assert not re.search("\n", told(text))


def test_settings_that_exclude_each_other_are_told_with_their_places(told):
    loud = "{rate: 2, loud: true}"
    assert told(f"epochs: 9\ninner: [{{}}, {loud}, {loud}]\nother: {loud}\n") == (
        "x.yaml: inner[1]: loud: expected a rate of at most 1, got 2\n"
        "x.yaml: inner[2]: loud: expected a rate of at most 1, got 2\n"
        "x.yaml: other: loud: expected a rate of at most 1, got 2"
    )
    assert told("epochs: 0\ninner: [{}]\n") == (
        "x.yaml: epochs: expected one for each of inner"
    )
