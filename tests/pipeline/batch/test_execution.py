"""The order in which recordings are done."""

import pytest

from features.errors import ConfigError
from features.parts import WHOLE, Part
from pipeline.batch.execution import find_items, longest_first
from pipeline.batch.items import Item


@pytest.mark.parametrize(
    ("part", "size"),
    [
        (WHOLE, 90_000),
        (Part(1.0), 90_000),
        (Part(1.0, 2.0), 32_000),
        (Part(1, 9), 90_000),
        (Part(0, 1e308), 90_000),
    ],
)
def test_a_segment_is_as_large_as_it_is_long(tmp_path, part, size):
    (tmp_path / "x").write_bytes(bytes(90_000))
    assert Item("x", str(tmp_path / "x"), part).size == size
    assert Item("x", "sox x |", Part(1.0, 9.0)).size == 8 * 32_000


def test_long_recordings_come_first(tmp_path):
    sizes = {"short": 10_000, "long": 90_000, "middle": 50_000}
    items = []
    for name, size in sizes.items():
        path = tmp_path / name
        path.write_bytes(bytes(size))
        items.append(Item(name, str(path)))
    # two seconds of `long`, at 32,000 bytes a second
    items.append(Item("segment", str(tmp_path / "long"), part=Part(1.0, 3.0)))
    found = [item.id for item in longest_first(items)]
    assert found == ["long", "segment", "middle", "short"]


def test_results_do_not_go_into_the_data_dir_they_are_of(tmp_path):
    for name in ("wav.scp", "utt2spk"):
        (tmp_path / name).write_text("u x.wav\n")
    with pytest.raises(ConfigError, match="is where the recordings come from"):
        find_items("transcribe", [str(tmp_path)], out=f"{tmp_path}/../{tmp_path.name}")
    found = find_items("transcribe", [str(tmp_path)], out=str(tmp_path / "out"))
    assert [item.id for item in found] == ["u"]
