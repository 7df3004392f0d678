"""The shell: options, stages, logs, and how failures end."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent.parent / "recipes"
RECIPE = f"""#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
stage=1
stop_stage=3
nj=2
cmd=
quick=false
options=(stage stop_stage nj cmd quick)
source {RECIPES}/utils/parse_options.sh
root={RECIPES.parent}
source {RECIPES}/cmd.sh
source {RECIPES}/utils/stages.sh
run 1 "first step" echo "first $nj $quick"
run 2 "second step" bash -c 'echo working; echo broken >&2; exit "$(cat status)"'
run 3 "third step" echo third
"""


@pytest.fixture
def recipe(tmp_path):
    """Runs a small recipe with options; gives back the finished process."""
    path = tmp_path / "toy" / "run.sh"
    path.parent.mkdir()
    path.write_text(RECIPE)
    path.chmod(0o755)
    (path.parent / "status").write_text("0")

    def run(*options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        (path.parent / "status").write_text(str(status))
        return subprocess.run(
            [path, *options], capture_output=True, text=True, check=False
        )

    run.folder = path.parent
    return run


def test_all_stages_run_and_log(recipe):
    done = recipe()
    assert done.returncode == 0
    assert "stage 1: first step" in done.stdout
    log = (recipe.folder / "exp/log/01-first-step.log").read_text()
    assert log.startswith("# command: echo first\\ 2\\ false\n# started: ")
    assert "\nfirst 2 false\n" in log
    assert log.rstrip().endswith("# status: 0")


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        (["--stage", "2"], [2, 3]),
        (["--stage=2", "--stop-stage=2"], [2]),
        (["--stop_stage", "1"], [1]),
        (["--stage", "03", "--stop-stage", "99"], [3]),
        (["--stage", "02", "--stop-stage", "08"], [2, 3]),
    ],
)
def test_stages_are_chosen(recipe, options, stages):
    done = recipe(*options)
    assert done.returncode == 0
    assert [n for n in (1, 2, 3) if f"stage {n}:" in done.stdout] == stages


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--nj", "7", "--quick"], "first 7 true"),
        (["--quick=true", "--nj=7"], "first 7 true"),
        (["--quick", "false"], "first 2 false"),
    ],
)
def test_options_have_their_values(recipe, options, expected):
    assert expected in recipe(*options, "--stop-stage", "1").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "x"], "--stage: expected a whole number, got 'x'"),
        (["--stage", "a[$(touch ran)]"], "--stage: expected a whole number"),
        (["--stop-stage", "-1"], "--stop-stage: expected a whole number, got '-1'"),
        (["--quik"], "unknown option --quik; did you mean --quick?"),
        (["--nj"], "option --nj needs a value"),
        (["--nj", "0"], "--nj: expected at least 1"),
        (["--quick", "yes"], "--quick: expected true or false, got 'yes'"),
        (["--stage", "3", "--stop-stage", "2"], "--stage 3 is behind --stop-stage 2"),
        (["--PATH", "x"], "unknown option --PATH"),
        (["extra"], "unexpected argument 'extra'; all are options"),
        (["--quick", "--nj", "3", "a b"], "unexpected argument 'a b'"),
        (["-n", "3"], "unexpected argument '-n'"),
        (["--cmd="], "--cmd: expected a value, got ''; leave the option out"),
        (["--cmd", " "], "--cmd: expected a value, got ' '"),
        (["--cmd", "--nj", "3"], "option --cmd needs a value"),
        (["--stage", "09"], "--stage 9: the last stage is 3"),
        (["--stage", "4", "--stop-stage", "7"], "--stage 4: the last stage is 3"),
        (["--cmd", "/nonexist -q"], "--cmd: no command '/nonexist' that can be run"),
    ],
)
def test_wrong_options_are_told_with_status_2(recipe, options, message):
    done = recipe(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (recipe.folder / "exp").exists()
    assert not (recipe.folder / "ran").exists()


def test_a_failing_stage_ends_the_recipe_and_shows_its_log(recipe):
    done = recipe(status=5)
    assert done.returncode == 5
    assert (
        "stage 2 (second step) failed; the end of exp/log/02-second-step.log"
        in done.stderr
    )
    assert "broken" in done.stderr
    assert "stage 3" not in done.stdout
    assert "# status: 5" in (recipe.folder / "exp/log/02-second-step.log").read_text()


def test_help_lists_the_options(recipe):
    done = recipe("--help")
    assert done.returncode == 0
    assert "--stop-stage (default: 3)" in done.stdout


def test_jobs_go_through_the_command_given(recipe, tmp_path):
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text(
        '#!/usr/bin/env bash\nlog=$2; shift 2\n{ echo "wrapped"; "$@"; } >"$log"\n'
    )
    wrapper.chmod(0o755)
    assert recipe("--cmd", f"{wrapper} --mem=1G").returncode == 0
    assert "wrapped" in (recipe.folder / "exp/log/03-third-step.log").read_text()


def test_the_log_of_an_earlier_run_is_never_shown_for_this_one(recipe, tmp_path):
    assert recipe().returncode == 0
    broken = tmp_path / "broken.sh"
    broken.write_text("#!/usr/bin/env bash\nexit 3\n")
    broken.chmod(0o755)
    done = recipe("--cmd", str(broken))
    assert done.returncode == 3
    log = "exp/log/01-first-step.log"
    assert f"failed with status 3 and no word in {log}; is --cmd" in done.stderr
    assert "first 2" not in done.stderr + (recipe.folder / log).read_text()


def called_by(script: str, folder: Path, *, first_stage: int = 1) -> list[str]:
    """What a recipe's lines call `keraldi` with, which does nothing but write it down."""
    fake = folder / "bin" / "keraldi"
    fake.parent.mkdir()
    fake.write_text('#!/usr/bin/env bash\necho "$@" >>called\n')
    fake.chmod(0o755)
    lines = f"""set -euo pipefail
stage={first_stage} stop_stage=99 cmd={RECIPES}/utils/local.sh nj=2 seed=1
source {RECIPES}/utils/stages.sh
source {RECIPES}/utils/experiment.sh
{script}"""
    path = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", lines], cwd=folder, env=path, check=True)
    return (folder / "called").read_text().splitlines()


def test_every_model_has_a_report_with_the_others_beside_it(tmp_path):
    script = "run_reports 10 ff lstmp\nrun_reports 10 alone"
    assert called_by(script, tmp_path) == [
        "report exp/ff exp/lstmp --lang data/lang",
        "report exp/lstmp exp/ff --lang data/lang",
        "report exp/alone --lang data/lang",
    ]


def test_copies_at_other_speeds_are_labelled_before_networks_learn_from_them(tmp_path):
    calls = called_by("add_speeds\ntrain_decode_score blstmp", tmp_path)
    assert [line.split(" --")[0] for line in calls[:4]] == [
        "data perturb data/train data/train_sp",
        "extract data/train_sp",
        "align data/train_sp exp/ali_train_sp",
        "train",
    ]
    assert "--data data/train_sp --dev data/dev " in calls[3]
    assert "--alignments exp/ali_train_sp --dev-alignments exp/ali_dev " in calls[3]


@pytest.mark.parametrize(
    ("before", "trained_on"), [("add_speeds", "train_sp"), ("", "train")]
)
def test_a_recipe_that_goes_on_at_training_knows_its_set(tmp_path, before, trained_on):
    script = f"{before}\ntrain_decode_score blstmp"
    train, *_ = called_by(script, tmp_path, first_stage=6)
    assert f"--data data/{trained_on} " in train
    assert f"--alignments exp/ali_{trained_on} " in train


def test_the_project_may_stand_in_a_folder_with_spaces(tmp_path):
    recipes = tmp_path / "with é space" / "recipes"
    shutil.copytree(RECIPES / "utils", recipes / "utils")
    shutil.copy(RECIPES / "cmd.sh", recipes)
    (recipes / "toy").mkdir()
    script = """set -euo pipefail
stage=1 stop_stage=99 cmd=
source ../cmd.sh
source ../utils/stages.sh
run 1 "one word" printf '%s\\n' "a b"
"""
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=recipes / "toy",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  a b\n" in done.stdout
    log = recipes / "toy" / "exp" / "log" / "01-one-word.log"
    assert "# status: 0" in log.read_text()


@pytest.mark.parametrize("system", ["slurm", "sge"])
def test_queue_wrappers_pass_options_logs_and_status_on(system, tmp_path):
    queue = {"slurm": "srun", "sge": "qsub"}[system]
    fake = tmp_path / "bin" / queue
    fake.parent.mkdir()
    fake.write_text(
        '#!/usr/bin/env bash\necho "$@" >called\n'
        'while [[ $1 != */local.sh ]]; do shift; done\nexec "$@"\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [RECIPES / "utils" / f"{system}.sh", "--mem=8G", "x.log", "bash", "-c", "echo hi; exit 3"],
        cwd=tmp_path, check=False,
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 3
    assert "--mem=8G" in (tmp_path / "called").read_text()
    assert "hi\n" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--stage x", "--stage: expected a whole number, got 'x'"),
        ("--stage 11", "--stage 11: the last stage is 10"),
        ("--stage 9 --stop-stage 9 extra", "unexpected argument 'extra'"),
        ("--model=", "--model: expected a value, got ''"),
        ("--stage 2 --cmd /nonexist", "--cmd: no command '/nonexist'"),
    ],
)
@pytest.mark.parametrize("name", ["mini", "speechocean762", "fsdd", "timit"])
def test_recipes_refuse_what_they_cannot_take(name, options, message):
    if "--models" in (script := RECIPES / name / "run.sh").read_text():
        options, message = (
            s.replace("--model", "--models") for s in (options, message)
        )
    done = subprocess.run(
        [script, *options.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}/run.sh: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "option", "absent"),
    [
        ("fsdd", "--model", "ff blstmp"),
        ("mini", "--models", "absent"),
        ("timit", "--models", "absent"),
    ],
)
def test_models_without_settings_are_told_before_anything_runs(name, option, absent):
    done = subprocess.run(
        [RECIPES / name / "run.sh", "--stage", "2", option, absent],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"{name}/run.sh: {option}: no conf/{absent}.yaml\n"


@pytest.mark.parametrize(
    ("name", "option"), [("timit", "--timit"), ("fsdd", "--corpus")]
)
def test_recipes_ask_for_their_corpus(name, option):
    for words in ([], [option, "/absent"]):
        done = subprocess.run(
            [RECIPES / name / "run.sh", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert option in done.stderr


def test_an_ensemble_is_asked_for_in_the_folder_of_a_recipe(tmp_path):
    def ensemble() -> str:
        done = subprocess.run(
            [RECIPES / "utils" / "ensemble.sh"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        return done.stderr

    assert f"no exp/ali_train in {tmp_path}; run the recipe first" in ensemble()
    (tmp_path / "exp/ali_train").mkdir(parents=True)
    assert "--model: no conf/blstmp.yaml" in ensemble()


def test_a_failed_installation_tells_of_the_room_it_needs(tmp_path):
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"source {RECIPES}/path.sh; install_project {tmp_path} mini"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs about 4 GB" in done.stderr
    assert f"free in {tmp_path}" in done.stderr
    assert not list(tmp_path.glob(".keraldi*"))
