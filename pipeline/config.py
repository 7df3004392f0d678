"""Settings: YAML files checked against dataclasses, with the nearest name for a misspelt key."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from features.errors import ConfigError
from features.files import write_text

T = TypeVar("T")
Place = tuple[int | str, ...]


def _joined(keys: Place) -> str:
    """A place as a person writes it: `network.layers[0].cells`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return "".join(parts).removeprefix(".")


def _kind_at(schema: type, location: Place) -> Any:
    """What stands at `location`, where that is a dataclass."""
    kind: Any = schema
    for key in location:
        if isinstance(key, int):
            kind = typing.get_args(kind)[0] if typing.get_args(kind) else kind
        elif dataclasses.is_dataclass(kind):
            hints = typing.get_type_hints(kind)
            kind = hints.get(key, kind)
        options = [a for a in typing.get_args(kind) if dataclasses.is_dataclass(a)]
        if (
            not dataclasses.is_dataclass(kind)
            and len(options) == 1
            and not isinstance(key, int)
        ):
            origin = typing.get_origin(kind)
            kind = kind if origin in (list, tuple) else options[0]
    return kind


def _names_at(schema: type, location: Place) -> list[str]:
    """Lists the field names of the dataclass that holds the key at `location`."""
    kind = _kind_at(schema, location[:-1])
    known = dataclasses.is_dataclass(kind)
    return [f.name for f in dataclasses.fields(kind)] if known else []


def _describe(error: Any, schema: type, source: str) -> str:
    """Turns one pydantic fault into one line with place and mend."""
    place = _joined(error["loc"]) or "(top)"
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _names_at(schema, error["loc"])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        mend = (
            f"did you mean {near[0]!r}?"
            if near
            else f"known keys: {', '.join(sorted(known))}"
        )
        return f"{source}: unknown key {place!r}; {mend}"
    if error["type"] == "dataclass_type":
        return (
            f"{source}: {place}: expected a mapping of settings, got {error['input']!r}"
        )
    if error["type"] == "missing":
        return f"{source}: {place} is missing; add it"
    return f"{source}: {place}: {error['msg']}, got {error['input']!r}"


def _truths(values: Any, made: Any, place: Place = ()) -> list[str]:
    """Where `true` or `false` stands for a number, which pydantic would take as 1 or 0."""
    if isinstance(values, bool) and isinstance(made, int | float):
        return [] if isinstance(made, bool) else [_joined(place)]
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(values, dict) and dataclasses.is_dataclass(made):
        pairs = [(key, value, getattr(made, key)) for key, value in values.items()]
    elif isinstance(values, dict) and isinstance(made, dict):
        pairs = [(key, value, made[key]) for key, value in values.items()]
    elif isinstance(values, list | tuple) and isinstance(made, list | tuple):
        pairs = [(n, *both) for n, both in enumerate(zip(values, made, strict=True))]
    return [
        found
        for key, value, part in pairs
        for found in _truths(value, part, (*place, key))
    ]


def mappings(values: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All mappings in `values` and where they stand, what is inside of others first."""
    within: Iterable[tuple[int | str, Any]] = ()
    if isinstance(values, list):
        within = enumerate(values)
    elif isinstance(values, dict):
        within = values.items()
    for key, value in within:
        yield from mappings(value, (*place, key))
    if isinstance(values, dict):
        yield place, values


def _refused(values: Any, schema: type, source: str) -> list[str]:
    """What dataclasses say of settings that pydantic finds well each by itself."""
    lines: list[str] = []
    told: list[Place] = []
    for place, mapping in mappings(values):
        kind = _kind_at(schema, place)
        inner = any(deeper[: len(place)] == place for deeper in told)
        if inner or not dataclasses.is_dataclass(kind):
            continue
        try:
            TypeAdapter(kind).validate_python(mapping)
        except ConfigError as error:
            told.append(place)
            lines.append(": ".join(filter(None, [source, _joined(place), str(error)])))
        except ValidationError:
            continue
    return lines


def check(values: Any, schema: type[T], *, source: str) -> T:
    """Makes a `schema` from plain values.

    Args:
        values: what YAML or JSON gave: a mapping of names to values.
        schema: a dataclass (its `__pydantic_config__` should forbid extra keys).
        source: the file to name in messages.

    Raises:
        ConfigError: listing every unknown key (with the nearest known one) and wrong value.
    """
    try:
        made = TypeAdapter(schema).validate_python(values)
    except ValidationError as error:
        lines = [_describe(fault, schema, source) for fault in error.errors()]
        meant = {
            name for line in lines for name in re.findall("did you mean '(.+?)'", line)
        }
        missing = {f"{source}: {name} is missing; add it" for name in meant}
        lines = [line for line in lines if line not in missing]
        raise ConfigError("\n".join(lines)) from None
    except ConfigError:  # out of range, or two settings that exclude each other
        raise ConfigError("\n".join(_refused(values, schema, source))) from None
    truths = _truths(values, made)
    if truths:
        raise ConfigError(
            "\n".join(
                f"{source}: {place}: expected a number, got true or false"
                for place in truths
            )
        )
    return made


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key may come only once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Makes a mapping; refuses a key that comes twice, which YAML would let win."""
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} comes twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def parse_yaml(path: str | Path) -> Any:
    """Reads a YAML file into plain values; an empty file gives an empty mapping.

    Raises:
        ConfigError: the file is missing or is not YAML; names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; give the path of a YAML file"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a folder; give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8; save it as UTF-8") from None
    return parse_yaml_text(text, source=str(path))


def parse_yaml_text(text: str, *, source: str) -> Any:
    """The plain values of YAML; see `parse_yaml`."""
    try:
        values = yaml.load(text, Loader=_Loader)  # a safe loader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise ConfigError(
            f"{source}{line}: not YAML: {problem}; mend that line"
        ) from None
    return {} if values is None else values


def load(path: str | Path, schema: type[T]) -> T:
    """Reads a YAML file into a `schema`; see `check` and `parse_yaml` for the errors."""
    return check(parse_yaml(path), schema, source=str(path))


def save(path: str | Path, settings: Any) -> None:
    """Writes a dataclass or mapping as YAML, keys in their order of definition."""
    values = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
