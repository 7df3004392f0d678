"""Where numba keeps compiled code: importing `features` finds a place that can be written."""

import os

import pytest

import features


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it goes again after the test
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return monkeypatch


def find() -> str | None:
    features._find_place_for_compiled_code()
    return os.environ.get("NUMBA_CACHE_DIR")


def test_a_home_is_left_to_numba(environment):
    assert find() is None


@pytest.mark.parametrize("home", ["/dev/null/nobody", "~"])
def test_without_a_home_it_is_a_folder_of_the_users_own(environment, tmp_path, home):
    environment.setenv("HOME", home)
    environment.setattr("os.access", lambda place, mode: False)
    place = tmp_path / "tmp" / f"keraldi-{os.getuid()}"
    assert find() == str(place)
    assert place.stat().st_mode & 0o077 == 0
    environment.delenv("NUMBA_CACHE_DIR")
    assert find() == str(place)


def test_a_folder_that_is_not_the_users_own_is_not_trusted(environment, tmp_path):
    environment.setattr("os.access", lambda place, mode: False)
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "tmp" / f"keraldi-{os.getuid()}"
    place.symlink_to(tmp_path / "elsewhere")
    found = find()
    assert found is not None and found != str(place)
    assert os.path.isdir(found)


def test_what_the_user_chose_stays(environment):
    environment.setenv("NUMBA_CACHE_DIR", "chosen")
    assert find() == "chosen"
