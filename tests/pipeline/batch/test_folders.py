"""Patterns over folders: as glob has them, and each file once however links go."""

import glob
import os

import pytest

from pipeline.batch.folders import expanded


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in (
        "a.wav",
        "d/b.wav",
        "d/e/c.wav",
        "d/[x]/f.wav",
        ".h/g.wav",
        "d/.i.wav",
    ):
        path = tmp_path / "t" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    open(os.fsencode(tmp_path / "t/d") + b"/\xff.wav", "w").close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        "t/**/*.wav",
        "t/**",
        "**/*.wav",
        "**",
        "*/**/e/*.wav",
        "t/**/d/**/*.wav",
        "t/**/.h/*.wav",
        "t/*.wav",
        "absent/**/*.wav",
        "{root}/**/*.wav",
        "./t/**/*.wav",
        "t/d/**/*.wav",
        "t/**/[[]x]/*",
    ],
)
def test_patterns_match_what_glob_matches(tree, pattern):
    pattern = pattern.format(root=tree)
    wanted = {
        path.rstrip("/") if path.count("/") > 1 else path
        for path in glob.glob(pattern, recursive=True)
    }
    found = expanded(pattern)
    assert {os.path.normpath(p) for p in found} == {os.path.normpath(p) for p in wanted}
    assert found == sorted(set(found))


def test_loops_of_links_end_and_files_are_found_once(tree):
    for link in ("l1", "l2"):
        (tree / "t" / link).symlink_to(".")
        (tree / "t/d" / link).symlink_to("..")
    found = expanded("t/**/*.wav")
    assert [os.fsencode(name) for name in found] == [
        b"t/a.wav",
        b"t/d/[x]/f.wav",
        b"t/d/b.wav",
        b"t/d/e/c.wav",
        b"t/d/\xff.wav",
    ]
