"""The order in which recordings are done."""

from pipeline.batch.execution import longest_first
from pipeline.batch.items import Item


def test_long_recordings_come_first(tmp_path):
    sizes = {"short": 10_000, "long": 90_000, "middle": 50_000}
    items = []
    for name, size in sizes.items():
        path = tmp_path / name
        path.write_bytes(bytes(size))
        items.append(Item(name, str(path)))
    # two seconds of `long`, at 32,000 bytes a second
    items.append(Item("segment", str(tmp_path / "long"), start=1.0, end=3.0))
    found = [item.id for item in longest_first(items)]
    assert found == ["long", "segment", "middle", "short"]
