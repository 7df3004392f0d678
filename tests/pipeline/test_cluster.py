import pytest

from pipeline.__main__ import main

pytest.importorskip("dask_jobqueue")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("system", "lines"),
    [
        ("slurm", ["#SBATCH -p fast", "#SBATCH --cpus-per-task=2"]),
        ("sge", ["#$ -q fast"]),
    ],
)
def test_the_job_script_asks_for_what_was_given(system, lines, capsys, tmp_path):
    words = ["cluster", system, str(tmp_path / "address"), "--cores", "2", "--show"]
    assert main([*words, "--queue", "fast", "--memory", "3GB"]) == 0
    script = capsys.readouterr().out
    for line in [*lines, "--nthreads 2", "distributed.cli.dask_worker"]:
        assert line in script
    assert not (tmp_path / "address").exists()


def test_no_jobs_are_a_mistake(capsys):
    assert main(["cluster", "slurm", "x", "--jobs", "0"]) == 2
    assert "--jobs: expected at least 1, got 0" in capsys.readouterr().err
