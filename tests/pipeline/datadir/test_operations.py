"""Data dirs: read, written, validated, mended, cut and joined."""

import dataclasses

import pytest

from features.errors import ConfigError, DataError
from pipeline.data import split
from pipeline.datadir import operations
from pipeline.datadir.datadir import DataDir, read_datadir, write_datadir
from pipeline.datadir.lang import Lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.segments import Segment
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import read_ctm
from pipeline.datadir.validation import check_datadir

LANG = Lang(PhoneTable(("sil", "a", "b")), Fold({}), None, ("sil",))


def test_a_data_dir_comes_back(data):
    assert read_datadir(data.path) == data
    assert check_datadir(data.path, lang=LANG) == []
    assert data.spk2utt["bob"] == ("bob-0", "bob-1", "bob-2")


def test_segments_name_recordings(data):
    cut = DataDir(
        path=data.path, wav={"rec": "x.wav"}, utt2spk={"u": "s"},
        segments={"u": Segment("rec", 0.5, 1.25)},
    )  # fmt: skip
    write_datadir(cut, data.path / "seg")
    back = read_datadir(data.path / "seg")
    assert back.segments == cut.segments
    assert back.recording_of("u") == "rec"


def replace_in(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# file, what is replaced by what, and the message with its line
FAULTS = [
    ("text", "ann-1 a b\n", "", "utt2spk:2: utterance 'ann-1' is absent from text"),
    ("text", "ann-1 a b", "ann-1 a zz", "text:2: unknown 'zz', 1 time"),
    ("text", "ann-1 a b", "ann-1", "text:2: 'ann-1' has no value"),
    ("text", "ann-1 a b", " ann-1 a b", "text:2: space at an end"),
    ("text", "ann-1 a b", "ann-1 a b\r", "text:2: ends in a carriage return"),
    ("text", "ann-1 a b", "\nann-1 a b", "text:2: empty line"),
    ("text", "ann-0 a b\nann-1 a b", "ann-1 a b\nann-0 a b", "text:2: .*not sorted"),
    (
        "text",
        "ann-1 a b\n",
        "ann-1 a b\nann-1 a b\n",
        "text:3: key 'ann-1' comes twice",
    ),
    ("text", "eve-2 a b\n", "eve-2 a b", "text:9: no newline at the end"),
    ("text", "ann-1", "ann/1", "text:2: key 'ann/1' is no safe name"),
    (
        "utt2spk",
        "ann-0 ann\n",
        "",
        "wav.scp:1: recording 'ann-0' is absent from utt2spk",
    ),
    ("utt2spk", "ann-0 ann", "ann-0 bob", "spk2utt:1: utterances of 'ann' differ"),
    ("spk2gender", "bob m", "bob x", "spk2gender:2: expected m or f, got 'x'"),
    ("spk2gender", "bob m\n", "", "speaker 'bob' is absent from spk2gender"),
    ("wav.scp", "ann-2.wav", "gone.wav", "wav.scp:3: .*gone.wav: no such file"),
    ("utt2dur", "0.1000", "-1", "utt2dur:1: expected seconds above 0, got '-1'"),
    ("text", "ann-1 a", "ann-1 a\u00a0", r"text:2: holds U\+00A0 \(no-break space\)"),
    ("text", "ann-1 a", "ann-1 a\u200b", r"text:2: holds U\+200B \(zero width space"),
    ("text", "ann-1 a", "ann-1 a\0", r"text:2: holds U\+0000 \(a control character"),
    ("text", "ann-0 a b", "\ufeffann-0 a b", "text:1: begins with a byte order mark"),
    ("text", "ann-1 a b", "ann-1 <s> b", "text:2: '<s>' is reserved"),
    ("text", "ann-1 a b", "ann-1 #0 b", "text:2: '#0' is reserved"),
]
# what is written into a further table, and the message
FURTHER_FAULTS = [
    ("reco2file_and_channel", "ann-0 f\n", ":1: expected file, and A or B"),
    ("reco2file_and_channel", "ann-0 f A\n", "wav.scp:2: recording 'ann-1' is absent"),
    ("reco2dur", "zoe 1.0\n", "reco2dur:1: recording 'zoe' is absent from wav.scp"),
    ("reco2dur", "ann-0 0\n", "reco2dur:1: expected seconds above 0, got '0'"),
    ("utt2lang", "bob-0 en\nann-0 en\n", "utt2lang:2: .*not sorted"),
    ("utt2uniq", "ann-0 x\n", "utt2spk:2: utterance 'ann-1' is absent from utt2uniq"),
    ("spk2warp", "ann one\n", "spk2warp:1: expected a number above 0, got 'one'"),
    ("feats.scp", "ann-0 gone.ark:9\n", "feats.scp:1: gone.ark: no such file"),
    ("cmvn.scp", "ann gone.ark\n", "cmvn.scp:1: expected FILE:OFFSET"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), FAULTS)
def test_every_fault_is_told_with_its_line(data, name, old, new, message):
    replace_in(data.path / name, old, new)
    with pytest.raises(DataError, match=message):
        check_datadir(data.path, lang=LANG)


@pytest.mark.parametrize(("name", "content", "message"), FURTHER_FAULTS)
def test_tables_that_kaldi_knows_are_checked(data, name, content, message):
    (data.path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        check_datadir(data.path, lang=LANG)


def test_an_archive_cut_short_is_told(data, tmp_path):
    (tmp_path / "f.ark").write_bytes(b"123456")
    rows = [f"{u} {tmp_path}/f.ark:{n}\n" for n, u in enumerate(data.utterances)]
    (data.path / "feats.scp").write_text("".join(rows))
    with pytest.raises(DataError, match="feats.scp:7: .*f.ark: ends before byte 6"):
        check_datadir(data.path)


def test_joiners_of_a_script_are_no_fault(data):
    replace_in(
        data.path / "text", "ann-1 a", "ann-1 \u0645\u06cc\u200c\u0631\u0648\u0645"
    )
    assert check_datadir(data.path) == []


def test_commands_in_place_of_audio_are_warned_of(data):
    replace_in(data.path / "wav.scp", str(data.wav["ann-0"]), "cat x |")
    assert ["1 command " in line for line in check_datadir(data.path)] == [True]


def test_an_empty_list_of_utterances_is_one_fault(data):
    (data.path / "utt2spk").write_text("")
    with pytest.raises(DataError, match="utt2spk:1: the table is empty") as caught:
        check_datadir(data.path)
    assert len(str(caught.value).splitlines()) == 1


def test_all_faults_are_told_at_once(data):
    for name, old, new, _ in (FAULTS[1], FAULTS[12], FAULTS[14]):
        replace_in(data.path / name, old, new)
    with pytest.raises(DataError) as caught:
        check_datadir(data.path, lang=LANG)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"first": 2}, {"ann-0", "ann-1"}),
        ({"last": 1}, {"eve-2"}),
        ({"per_speaker": 1}, {"ann-0", "bob-0", "eve-0"}),
        ({"shortest": 2}, {"ann-0", "ann-1"}),
        ({"speakers": "eve\n"}, {"eve-0", "eve-1", "eve-2"}),
        ({"utterances": "bob-1\nann-0\n"}, {"bob-1", "ann-0"}),
    ],
)
def test_subsets(data, choice, expected, tmp_path):
    for name in ("speakers", "utterances"):
        if name in choice:
            (tmp_path / "list").write_text(choice[name])
            choice = {name: str(tmp_path / "list")}
    part = operations.write_part(
        data, operations.choose(data, **choice), tmp_path / "part"
    )
    assert set(part.utterances) == expected
    assert check_datadir(tmp_path / "part", lang=LANG) == []
    assert set(read_table(tmp_path / "part" / "words")) == expected
    assert set(read_table(tmp_path / "part" / "spk2age")) == {u[:3] for u in expected}


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({}, ConfigError, "exactly one of --first"),
        ({"first": 1, "last": 1}, ConfigError, "got 2"),
        ({"first": 99}, ConfigError, "--first: expected 1 to 9, got 99"),
        ({"speakers": "zoe\n"}, DataError, "unknown speakers zoe"),
    ],
)
def test_wrong_choices_are_told(data, choice, error, message, tmp_path):
    if "speakers" in choice:
        (tmp_path / "list").write_text(choice["speakers"])
        choice = {"speakers": str(tmp_path / "list")}
    with pytest.raises(error, match=message):
        operations.choose(data, **choice)


def test_split_keeps_speakers_together(data):
    parts = operations.split_by_speaker(data, 2)
    assert sorted(u for part in parts for u in part) == list(data.utterances)
    speakers = [{u[:3] for u in part} for part in parts]
    assert not speakers[0] & speakers[1]
    with pytest.raises(ConfigError, match="expected 1 to 3 parts"):
        operations.split_by_speaker(data, 4)


def test_combining_the_parts_gives_the_whole(data, tmp_path):
    parts = [
        operations.write_part(data, chosen, tmp_path / str(number))
        for number, chosen in enumerate(operations.split_by_speaker(data, 3))
    ]
    operations.combine(parts, tmp_path / "all")
    for name in (
        "wav.scp",
        "text",
        "utt2spk",
        "spk2utt",
        "spk2gender",
        "utt2dur",
        "words",
    ):
        assert (tmp_path / "all" / name).read_text() == (data.path / name).read_text()
    with pytest.raises(DataError, match="utterance 'ann-0' is in .* too"):
        operations.combine([data, parts[0]], tmp_path / "twice")


def with_features(data, num_mels):
    """The data dir as extract would leave it."""
    whole = dataclasses.replace(
        data,
        feats={utt: "feats.ark:7" for utt in data.utterances},
        cmvn={spk: f"cmvn.ark:{n}" for n, spk in enumerate(data.spk2utt)},
        utt2num_frames=dict.fromkeys(data.utterances, 8),
    )
    write_datadir(whole, whole.path)
    (whole.path / "features.yaml").write_text(f"num_mels: {num_mels}\n")
    return whole


def test_features_are_combined_where_they_are_alike(data, tmp_path):
    data = with_features(data, 40)
    parts = [
        operations.write_part(data, chosen, tmp_path / str(number))
        for number, chosen in enumerate(operations.split_by_speaker(data, 2))
    ]
    _, left_out = operations.combine(parts, tmp_path / "all")
    assert left_out == []
    for name in ("feats.scp", "cmvn.scp", "utt2num_frames", "features.yaml"):
        assert (tmp_path / "all" / name).read_text() == (data.path / name).read_text()
    with_features(parts[1], 23)
    _, left_out = operations.combine(parts, tmp_path / "all")
    assert left_out == ["feats", "cmvn", "utt2num_frames"]
    assert not (tmp_path / "all" / "features.yaml").exists()


def test_statistics_of_half_a_speaker_are_left_out(data, tmp_path):
    data = with_features(data, 40)
    parts = [
        operations.write_part(data, {utt}, tmp_path / utt) for utt in ("ann-0", "ann-1")
    ]
    whole, left_out = operations.combine(parts, tmp_path / "both")
    assert left_out == ["cmvn"]
    assert set(whole.feats) == {"ann-0", "ann-1"}


def test_speeds_survive_combining_and_multiply(data, tmp_path):
    fast, _ = operations.perturb_speed(data, (1.1,), tmp_path / "fast")
    whole, _ = operations.combine([data, fast], tmp_path / "all")
    speeds = operations.read_speeds(tmp_path / "all" / "utt2speed")
    assert speeds["ann-0"] == 1.0
    assert speeds["sp1.1-ann-0"] == 1.1
    operations.perturb_speed(whole, (0.9,), tmp_path / "slow")
    speeds = operations.read_speeds(tmp_path / "slow" / "utt2speed")
    assert speeds["sp0.9-sp1.1-ann-0"] == pytest.approx(0.99)


def test_what_not_all_have_is_named(data, tmp_path):
    part = operations.write_part(data, {"ann-0"}, tmp_path / "part")
    (tmp_path / "part" / "words").unlink()
    rest = operations.write_part(data, {"bob-0"}, tmp_path / "rest")
    _, left_out = operations.combine([part, rest], tmp_path / "both")
    assert left_out == ["words"]


def test_folders_made_otherwise_are_never_replaced(data, tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "precious").write_text("weeks of work")
    with pytest.raises(DataError, match="exists and was not made by keraldi data"):
        operations.write_part(data, {"ann-0"}, tmp_path / "exp")
    assert (tmp_path / "exp" / "precious").exists()
    for chosen in ({"ann-0"}, {"bob-0"}):  # its own it makes anew
        operations.write_part(data, chosen, tmp_path / "part")
    assert read_datadir(tmp_path / "part").utterances == ("bob-0",)


@pytest.mark.parametrize("name", ["part", "part/.", "link", "other/../part"])
@pytest.mark.parametrize("how", ["subset", "combine", "perturb"])
def test_no_data_dir_is_written_over_itself(data, tmp_path, how, name):
    part = operations.write_part(data, {"ann-0", "bob-0"}, tmp_path / "part")
    before = (tmp_path / "part" / "utt2spk").read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("part")
    out = f"{tmp_path}/{name}"
    with pytest.raises(
        ConfigError, match="is where the utterances come from; give another"
    ):
        if how == "subset":
            operations.write_part(part, {"ann-0"}, out)
        elif how == "combine":
            other = operations.write_part(data, {"eve-0"}, tmp_path / "eve")
            operations.combine([other, part], out)
        else:
            operations.perturb_speed(part, (1.1,), out)
    assert (tmp_path / "part" / "utt2spk").read_bytes() == before


def test_no_data_dir_is_replaced_that_holds_the_source(data, tmp_path):
    operations.write_part(data, {"ann-0", "bob-0"}, tmp_path / "part")
    inner = operations.write_part(data, {"ann-0"}, tmp_path / "part" / "inner")
    with pytest.raises(ConfigError, match="part: holds .*inner, where the utterances"):
        operations.write_part(inner, {"ann-0"}, tmp_path / "part")


def test_a_split_over_its_source_writes_no_part(data, tmp_path):
    source = operations.write_part(data, {"ann-0", "bob-0"}, tmp_path / "2")
    with pytest.raises(ConfigError, match="2: is where the utterances come from"):
        split(str(source.path), str(tmp_path), parts=2)
    assert not (tmp_path / "1").exists()


def test_perturbed_copies_are_speakers_of_their_own(data, tmp_path):
    whole, left_out = operations.perturb_speed(data, (1.0, 1.1), tmp_path / "sp")
    assert left_out == []
    assert len(whole.utterances) == 18
    assert whole.utt2spk["sp1.1-ann-0"] == "sp1.1-ann"
    assert read_table(tmp_path / "sp" / "utt2speed")["sp1.1-eve-2"] == "1.1"
    assert check_datadir(tmp_path / "sp", lang=LANG) == []
    with pytest.raises(ConfigError, match="different ones from 0.5 to 2"):
        operations.perturb_speed(data, (1.0, 3.0), tmp_path / "x")


def test_perturbed_copies_keep_what_is_known_of_them(data, tmp_path):
    marks = "{0} 1 0.0 0.055 a 0.9\n{0} 1 0.055 0.045 b\n"
    (data.path / "phones.ctm").write_text("".join(map(marks.format, data.utterances)))
    (data.path / "vad.scp").write_text("".join(f"{u} v.ark:9\n" for u in data.wav))
    (data.path / "reco2dur").write_text("".join(f"{u} 11\n" for u in data.wav))
    _, left_out = operations.perturb_speed(data, (1.0, 1.1, 0.5), tmp_path / "sp")
    assert left_out == ["vad.scp"]
    found = read_ctm(tmp_path / "sp" / "phones.ctm")
    assert len(found) == 27
    assert found["ann-0"] == read_ctm(data.path / "phones.ctm")["ann-0"]
    fast = found["sp1.1-ann-0"]
    assert [(m.phone, m.confidence) for m in fast] == [("a", 0.9), ("b", None)]
    assert [m.start for m in fast] == pytest.approx([0.0, 0.05], abs=1e-4)
    assert [m.end for m in fast] == pytest.approx([0.05, 0.1 / 1.1], abs=2e-4)
    assert found["sp0.5-eve-2"][-1].end == pytest.approx(0.2)
    words = read_table(tmp_path / "sp" / "words")
    assert words["ann-0"] == words["sp1.1-ann-0"] == "x y"
    assert read_table(tmp_path / "sp" / "spk2age")["sp0.5-bob"] == "40"
    assert read_table(tmp_path / "sp" / "reco2dur")["sp0.5-eve-2"] == "11"
    assert check_datadir(tmp_path / "sp", lang=LANG) == []


def test_joined_times_stay_in_order_and_speakers_are_told_of_once(data, tmp_path):
    times = "{0} 1 2.0 0.5 a\n{0} 1 10.0 0.5 b\n"
    (data.path / "phones.ctm").write_text("".join(map(times.format, data.utterances)))
    (data.path / "utt2lang").write_text("".join(f"{u} en\n" for u in data.utterances))
    (data.path / "reco2dur").write_text("".join(f"{u} 11\n" for u in data.utterances))
    parts = [
        operations.write_part(data, set(data.utterances[n::2]), tmp_path / f"part{n}")
        for n in range(2)
    ]
    operations.combine(parts, tmp_path / "whole")
    for name in ("phones.ctm", "utt2lang", "reco2dur", "spk2age"):
        whole = (tmp_path / "whole" / name).read_text()
        assert whole == (data.path / name).read_text()
    assert check_datadir(tmp_path / "whole", lang=LANG) == []
