import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from features.parts import Part
from pipeline.batch.discovery import discover
from pipeline.batch.items import safe_id


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return str(root)


def ids(*paths: str) -> list[str]:
    return [item.id for item in discover(paths).items]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_ids_fit_a_table_and_a_folder_and_differ(names):
    one, two = (safe_id(name) for name in names)
    assert one != two
    assert len(f"{one} x".split()) == 2 and one.isprintable()
    parts = one.split("/")
    assert not any(part in ("", ".", "..") for part in parts)


def test_folders_are_searched_and_other_files_are_counted(tmp_path):
    root = touch(tmp_path, "a/1.wav", "a/b/2.FLAC", "a/notes.pdf", "3.mp3")
    found = discover([root])
    assert [item.id for item in found.items] == ["3", "a/1", "a/b/2"]
    assert found.passed_over.total() == 1


def test_equal_names_are_told_apart(tmp_path):
    root = touch(tmp_path, "x.wav", "x.flac", "y.wav", "sub/y.wav")
    assert ids(root) == ["sub/y", "x.flac", "x.wav", "y"]
    files = [os.path.join(root, name) for name in ("y.wav", "sub/y.wav")]
    assert ids(*files) == sorted(safe_id(f.lstrip("/")) for f in files)


def test_a_path_from_here_and_the_same_from_the_root_are_told_apart(
    tmp_path, monkeypatch
):
    absolute = os.path.join(touch(tmp_path / "a", "q.wav"), "q.wav")
    relative = absolute.lstrip("/")
    touch(tmp_path / "here", relative)
    monkeypatch.chdir(tmp_path / "here")
    paths = {item.id: item.source for item in discover([absolute, relative]).items}
    here = safe_id(os.path.join(os.getcwd(), relative))
    assert paths == {safe_id(absolute): absolute, here: relative}


def test_a_recording_named_like_a_path_is_told_apart_from_the_file(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a/q.wav", "b/q.wav", "c.wav")
    (tmp_path / "wav.scp").write_text("a/q.wav c.wav\nq c.wav\n")
    found = discover(["a/q.wav", "wav.scp"])
    assert {i.id: i.source for i in found.items} == {
        "a/q.wav": "c.wav",
        "q": "c.wav",
        "q.wav": "a/q.wav",
    }
    names = ids("a/q.wav", "b/q.wav", "wav.scp")
    whole = safe_id(os.path.join(os.getcwd(), "a/q.wav"))
    assert names == sorted(["a/q.wav", "b/q.wav", "q", whole])


def test_a_file_given_twice_is_done_once(tmp_path):
    root = touch(tmp_path, "x.wav")
    found = discover([root, os.path.join(root, "x.wav")])
    assert len(found.items) == 1 and found.repeated == 1


def test_names_that_are_not_utf8_and_odd_ones(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9 1.wav"
    with open(raw, "wb"):
        pass
    (item,) = discover([str(tmp_path)]).items
    assert item.id == "caf%E9%201"
    assert os.fsencode(item.source) == raw


def test_a_folder_named_like_audio_is_an_item_that_fails(tmp_path):
    root = touch(tmp_path, "x.wav")
    (tmp_path / "y.wav").mkdir()
    one, two = discover([root]).items
    assert (one.fault, two.id) == ("", "y")
    assert "a folder, not a file" in two.fault


def test_an_empty_folder_named_like_audio_fails_when_it_is_given_itself(tmp_path):
    (tmp_path / "y.wav").mkdir()
    (item,) = discover([str(tmp_path / "y.wav")]).items
    assert item.id == "y" and "a folder, not a file" in item.fault


def test_links_to_folders_are_followed_once(tmp_path):
    root = touch(tmp_path / "root", "b/1.wav", "z/2.wav")
    touch(tmp_path / "elsewhere", "3.wav", "deep/4.wav")
    for link, target in (("a", "b"), ("b/up", ".."), ("z/far", "../../elsewhere")):
        os.symlink(target, os.path.join(root, link))
    os.symlink("..", tmp_path / "elsewhere" / "back")
    found = discover([root])
    assert [i.id for i in found.items] == ["b/1", "z/2", "z/far/3", "z/far/deep/4"]
    assert found.repeated == 0


def test_folders_in_lists_and_globs_are_searched(tmp_path):
    root = touch(tmp_path, "one/a.wav", "one/notes.pdf", "two/b/c.wav")
    assert ids(f"{root}/*") == ["a", "b/c"]
    listed = touch(tmp_path / "lists", "some.lst") + "/some.lst"
    with open(listed, "w", encoding="utf-8") as file:
        file.write(f"{root}/one\n{root}/two/b/c.wav\n")
    found = discover([listed])
    assert ([i.id for i in found.items], found.passed_over.total()) == (["a", "c"], 1)


def test_lists_globs_and_standard_input(tmp_path, monkeypatch):
    root = touch(tmp_path, "a.wav", "b.wav", "c.wav")
    listed = tmp_path / "some.lst"
    listed.write_text(f"{root}/a.wav\n\n{root}/[bc].wav\n{root}/absent.wav\n")
    assert ids(str(listed)) == ["a", "absent", "b", "c"]
    assert ids(f"{root}/?.wav") == ["a", "b", "c"]
    absent = discover([str(listed)]).items[1]
    assert absent.fault == f"{listed}:4: {root}/absent.wav: no such file; mend the path"
    listed.write_text(f"# mine\nu1 {root}/a.wav\n")
    comment, table = (item.fault for item in discover([str(listed)]).items)
    assert "no such file; a list holds no comments: remove the line" in comment
    assert "paths only: leave the id out, or name the file wav.scp" in table
    touch(tmp_path, "other.lst", "d/wav.scp")
    listed.write_text(f"{root}/other.lst\n{root}/*/wav.scp\n")
    for item in discover([str(listed)]).items:
        assert "a table or list, not audio; give it as a path of its own" in item.fault
    (item,) = discover([f"{root}/oth*"]).items  # of no line
    assert item.fault.startswith(f"{root}/oth*: {root}/other.lst: a table or list")
    (tmp_path / "caf\udce9.wav").write_bytes(b"x")
    listed.write_bytes(os.fsencode(f"{root}/caf\udce9.wav\r\n"))
    (latin,) = discover([str(listed)]).items
    assert (latin.id, latin.fault) == ("caf%E9", "")
    listed.write_text("\n")
    with pytest.raises(DataError, match="some.lst: empty; give it paths"):
        discover([str(listed)])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        discover(["-"])
    stream = io.TextIOWrapper(io.BytesIO(f"{root}/c.wav\r\n".encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert ids("-") == ["c"]


def test_data_dirs_bring_speakers_segments_and_words(tmp_path):
    (tmp_path / "wav.scp").write_text("r /r.wav\n")
    (tmp_path / "segments").write_text("u1 r 0.5 1.5\nu2 r 2 -1 1\n")
    (tmp_path / "utt2spk").write_text("u1 s\nu2 s\nu3 s\n")
    (tmp_path / "text").write_text("u1 a b\n")
    one, two, three = discover([str(tmp_path)]).items
    assert (one.source, one.part) == ("/r.wav", Part(0.5, 1.5))
    assert (one.speaker, one.text, one.fault) == ("s", ("a", "b"), "")
    assert (two.part, two.text) == (Part(2.0, None, 1), None)
    assert "segments: nothing of utterance 'u3'" in three.fault
    assert [i.source for i in discover([str(tmp_path / "wav.scp")]).items] == ["/r.wav"]


def test_zero_bytes_are_told(tmp_path, monkeypatch):
    listed = tmp_path / "some.lst"
    listed.write_text("a.wav\nb.wav\0c.wav\0")
    with pytest.raises(DataError, match="some.lst:2: a zero byte; .*without -print0"):
        discover([str(listed)])
    (tmp_path / "wav.scp").write_text("u a\0b.wav\nv c.wav\n")
    one, two = discover([str(tmp_path / "wav.scp")]).items
    assert (one.id, one.fault) == ("u", "'a\\x00b.wav': a zero byte in a path; mend it")
    assert two.fault == ""


def test_recordings_that_are_not_there_are_named(tmp_path):
    (tmp_path / "wav.scp").write_text("r /r.wav\n")
    (tmp_path / "segments").write_text("u r 0 1\nv q 0 1\n")
    (tmp_path / "utt2spk").write_text("u s\nv s\n")
    _, absent = discover([str(tmp_path)]).items
    assert "wav.scp: no recording 'q' of utterance 'v'; add it" in absent.fault


def test_data_dirs_within_folders_are_told(tmp_path):
    root = touch(tmp_path, "a.wav", "data/b.wav")
    for table in ("wav.scp", "utt2spk"):
        (tmp_path / "data" / table).write_text("u x\n")
    found = discover([root])
    assert ([i.id for i in found.items], found.data_dirs) == (["a", "data/b"], 1)
    assert discover([f"{root}/data"]).data_dirs == 0


def test_a_table_of_a_data_dir_is_no_audio(tmp_path):
    (tmp_path / "feats.scp").write_text("u feats.ark:2\n")
    told = "feats.scp: a table of a data dir, not audio; give .*[^/]$"
    with pytest.raises(DataError, match=told):
        discover([str(tmp_path / "feats.scp")])


@pytest.mark.parametrize("segments", [False, True])
def test_utterances_without_a_speaker_fail(segments, tmp_path):
    (tmp_path / "wav.scp").write_text("u1 /1.wav\nu2 /2.wav\nunused /3.wav\n")
    (tmp_path / "utt2spk").write_text("u1 s\nunused s\n")
    if segments:
        (tmp_path / "segments").write_text("u1 u1 0 1\nu2 u1 1 2\n")
        (tmp_path / "utt2spk").write_text("u1 s\n")
    items = {item.id: item for item in discover([str(tmp_path)]).items}
    assert items["u1"].fault == ""
    assert "utt2spk: no speaker of utterance 'u2'; add it" in items["u2"].fault


def test_of_two_ways_to_a_file_the_one_that_tells_more_counts(tmp_path):
    table = touch(tmp_path, "1.wav") + "/wav.scp"
    (tmp_path / "wav.scp").write_text(f"u {tmp_path}/1.wav\n")
    (tmp_path / "utt2spk").write_text("u s\n")
    (tmp_path / "text").write_text("u a b\n")
    for paths in ([str(tmp_path), table], [table, str(tmp_path)]):
        found = discover(paths)
        assert [item.text for item in found.items] == [("a", "b")]
        assert found.repeated == 1


def test_a_wav_scp_without_speakers_is_given_itself(tmp_path):
    touch(tmp_path, "1.wav")
    (tmp_path / "wav.scp").write_text(f"u {tmp_path}/1.wav\n")
    with pytest.raises(
        DataError, match="wav.scp without utt2spk; give .*wav.scp itself"
    ):
        discover([str(tmp_path)])


@pytest.mark.parametrize("given", ["wav.scp", ""])
def test_a_recording_without_a_path_is_told(given, tmp_path):
    (tmp_path / "wav.scp").write_text("r1 /r.wav\nr2\n")
    (tmp_path / "utt2spk").write_text("r1 s\nr2 s\n")
    one, two = discover([str(tmp_path / given)]).items
    assert one.fault == ""
    assert "wav.scp: no" in two.fault and "'r2'; add it" in two.fault


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["absent"], "absent: no such file or folder"),
        (["absent/*.wav"], r"'absent/\*.wav' matches nothing"),
        (["empty"], "empty: no audio found"),
    ],
)
def test_nothing_to_do_is_an_error(tmp_path, monkeypatch, paths, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        discover(paths)
