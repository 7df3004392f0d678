"""The command line: cheap to start, both spellings, mistakes met with status 2."""

import errno
import os
import subprocess
import sys

import pytest

from features.errors import DataError
from pipeline.__main__ import build_app, main
from pipeline.batch.run import Totals
from pipeline.stage import Accounting, Stamp, guarded, progress

IMPORTED = """
import sys
from pipeline.__main__ import main
for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit:
        pass
    heavy = ("tensorflow", "keras", "librosa", "pydantic")
    print("imported", *[module for module in heavy if module in sys.modules])
"""


def test_starting_is_cheap():
    heavy = {
        "--help": [],  # first: what is imported stays
        "prepare fsdd /absent": ["pydantic"],
        "validate /absent": ["pydantic"],
        "extract /absent": ["pydantic"],
        "align /absent /absent --lang /absent": ["pydantic"],
        "score /absent /absent --lang /absent": ["pydantic"],
        "report /absent": ["pydantic"],
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *heavy],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    found = [line[1:] for line in lines if line[:1] == ["imported"]]
    imported = dict(zip(heavy, found, strict=True))
    assert {w for w in heavy if not set(imported[w]) <= set(heavy[w])} == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extract", "x", "--njj", "3"], "--nj"),
        (["extract", "x", "--nj", "three"], "three"),
        (["extract", "x", "--nj", "1.9"], "1.9 is not a whole number"),
        (["data", "split", "x", "y", "--parts", "2e1"], "2e1 is not a whole number"),
        (["decod"], "decod"),
        (
            ["validate", "/absent/data"],
            "/absent/data: no such folder; run keraldi prepare",
        ),
        (
            ["score", "/absent/a", "/absent/b", "--lang", "/l"],
            "/absent/a: no such file or folder",
        ),
    ],
)
def test_mistakes_are_told_with_status_2(words, message, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data combine a", "data combine: error: expected two or more data dirs"),
        ("data subset /absent b --first 1", "data subset: error: /absent"),
        ("prepare fsdd /absent", "prepare fsdd: error: /absent"),
        ("validate /absent", "validate: error: /absent: no such"),
    ],
)
def test_a_mistake_names_the_command_with_its_part(words, message, capsys):
    assert main(words.split()) == 2
    assert capsys.readouterr().err.startswith(f"keraldi {message}")


def test_only_mistakes_of_the_users_lose_their_traceback(capsys):
    def mistake():
        raise DataError("data/x:3: wrong; mend it")

    def bug():
        raise KeyError("ours")

    assert guarded("stage", mistake) == 2
    assert "keraldi stage: error: data/x:3: wrong; mend it" in capsys.readouterr().err
    with pytest.raises(KeyError, match="ours"):
        guarded("stage", bug)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "", "exp/a"), "exp/a: disk full; free some space"),
        (OSError(errno.ENOTDIR, "", "exp/a"), "exp/a: a file, or below a file, where"),
        (
            OSError(errno.EEXIST, "", "exp/a"),
            "exp/a: a file, where a folder must be; choose",
        ),
        (OSError(errno.EISDIR, "", b"exp/a"), "exp/a: a folder, where a file must be"),
        (OSError(errno.EIO, ""), f"{os.getcwd()}: the disk failed to read or write"),
        (OSError(errno.EACCES, "", "exp/a"), "exp/a: permission denied; change"),
        (OSError(errno.EROFS, "", "exp/a"), "exp/a: on a read-only file system; write"),
        (OSError(errno.ESTALE, "", "exp/a"), "exp/a: stale file handle; mend that"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, message, capsys):
    def refused():
        raise error

    assert guarded("stage", refused) == 2
    assert capsys.readouterr().err.startswith(f"keraldi stage: error: {message}")


def test_nobody_has_to_read_the_whole_output():
    command = "import sys; from pipeline.stage import guarded;" + (
        "sys.exit(guarded('x', lambda: [print('a', flush=True) for _ in range(10**6)]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_stamps_know_settings_inputs_and_outputs(tmp_path):
    (tmp_path / "in").write_text("a")

    def stamp(rate: float = 1.0) -> Stamp:
        return Stamp.of(
            tmp_path, "x", settings={"rate": rate}, inputs=[tmp_path / "in"]
        )

    output = tmp_path / "out"
    output.write_text("made")
    assert not stamp().matches(output)
    stamp().write()
    assert stamp().matches(output)
    assert not stamp(2.0).matches(output)
    (tmp_path / "in").write_text("b")
    assert not stamp().matches(output)
    (tmp_path / "in").write_text("a")
    output.unlink()
    assert not stamp().matches(output)


def test_accounting_adds_up():
    accounting = Accounting()
    accounting.keep(3)
    accounting.leave_out("u1", "too short")
    assert accounting.line() == "kept 3 of 4 utterances; 1 left out: too short (u1)"


def test_progress_leaves_plain_lines_in_a_log(capsys):
    assert list(progress(range(40), total=40, label="work")) == list(range(40))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("work: 40 of 40, ")


def test_an_option_takes_several_words():
    words = ["decode", "m", "d", "o", "--lang", "l", "--formats", "jsonl", "textgrid"]
    _, bound, _ = build_app().parse_args(words, exit_on_error=False)
    assert bound.arguments["formats"] == ("jsonl", "textgrid")


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["-", "--model", "m"], ("-",)),
        (["--model", "m", "a", "-", "--nj", "2", "b"], ("a", "b", "-")),
        (["a", "--model", "m", "-", "--", "--b"], ("a", "-", "--b")),
    ],
)
def test_a_dash_stands_for_standard_input(words, paths, monkeypatch):
    called = []
    monkeypatch.setattr(
        "pipeline.transcribe.find_items", lambda _, paths, out: called.append(paths)
    )
    monkeypatch.setattr("pipeline.transcribe.make_plan", lambda *_, **__: None)
    monkeypatch.setattr(
        "pipeline.transcribe.run_plan", lambda *_, **__: Totals(found=0)
    )
    assert main(["transcribe", "--out", "o", *words]) == 0
    assert called == [paths]


def test_an_interrupt_while_a_stage_is_loaded_is_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.__main__.build_app", interrupted)
    assert main(["transcribe", "x"]) == 130
    said = "keraldi transcribe: interrupted; the same command goes on from here\n"
    assert capsys.readouterr().err == said


INTERRUPTED_AT_ONCE = """
import signal, sys

module = sys.argv.pop()

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it behind an &
from pipeline.__main__ import main
sys.argv.append("--help")
sys.exit(main())
"""


# TensorFlow's and others' modules make classes of texts while a stage is loaded.
INTERRUPTED_IN_A_TEXT = """
import sys
import pipeline.__main__

def interrupted():
    exec("raise KeyboardInterrupt")

pipeline.__main__.build_app = interrupted
sys.exit(pipeline.__main__.main(["transcribe"]))
"""


TERMINATED = """
import os, signal, sys
import pipeline.__main__

pipeline.__main__.build_app = lambda: os.kill(os.getpid(), signal.SIGTERM)
sys.argv = ["keraldi", "transcribe"]
sys.exit(pipeline.__main__.main())
"""


def test_a_termination_is_met_as_an_interrupt(tmp_path):
    (tmp_path / "program.py").write_text(TERMINATED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 130
    assert done.stderr == (
        "keraldi transcribe: interrupted; the same command goes on from here\n"
    )


INTERRUPTED_TWICE = """
import os, signal, sys, time
import pipeline.__main__

def slow():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

pipeline.__main__.build_app = slow
sys.argv = ["keraldi", "transcribe"]
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pipeline.__main__.main())
"""
IGNORING = """
import os, signal, sys
import pipeline.__main__

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    sys.exit(7)

pipeline.__main__.build_app = interrupted
sys.argv = ["keraldi", "transcribe"]
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(pipeline.__main__.main())
"""


def test_what_runs_in_the_background_goes_on_ignoring_interrupts():
    done = subprocess.run([sys.executable, "-c", IGNORING], timeout=50)
    assert done.returncode == 7


def test_a_second_interrupt_ends_what_the_first_puts_away():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_TWICE],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 130
    assert done.stderr == "keraldi: interrupted again, ended at once\n"


def test_an_interrupt_in_a_text_that_is_run_is_no_death_by_signal(tmp_path):
    (tmp_path / "program.py").write_text(INTERRUPTED_IN_A_TEXT)
    # Python looks at what it noted behind `-m` only.
    command = [sys.executable, "-m", "program"]
    found = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}
    ended = subprocess.run(command, capture_output=True, text=True, env=found)
    assert ended.returncode == 130
    assert ended.stderr.startswith("keraldi transcribe: interrupted; the same command")


@pytest.mark.parametrize("module", ["pipeline.stage", "cyclopts"])
def test_an_interrupt_before_anything_is_loaded_is_no_death_by_signal(module):
    command = [sys.executable, "-c", INTERRUPTED_AT_ONCE, module]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 130
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("keraldi")
    assert ": interrupted" in ended.stderr
