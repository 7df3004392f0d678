"""Alignments from time marks: what is refused, and what is told."""

import pytest

from features.errors import ConfigError
from pipeline.align import align


@pytest.mark.parametrize(("out", "what"), [("data", "features"), ("lang", "phones")])
def test_nothing_is_aligned_into_what_is_read(out, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "lang"):
        (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match=f"{out}/.: is where the {what} come from"):
        align("data", f"{out}/.", lang="lang")
