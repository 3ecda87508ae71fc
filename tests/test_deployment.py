"""The files of deploy/: they can be read by what reads them, and start commands that exist."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(DEPLOY.glob("*.sh"))
FROZEN = (ROOT / "tests" / "cli" / "frozen_options.txt").read_text().splitlines()
OPTIONS = {name for line in FROZEN if "tune" in line.split(": ")[1].split() for name in line.split(": ")[0].split()}
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


def words_of(path: Path) -> list[str]:
    """Return the words of all commands in a file and its comments that begin with ``biotune tune``."""
    whole = path.read_text().replace("\\\n", " ")
    return [word for line in re.findall(r"^(?:#.*sbatch .*|biotune tune.*)$", whole, re.M) for word in line.split()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash_with_options_that_exist(path):
    subprocess.run(["bash", "-n", path], check=True)
    assert os.access(path, os.X_OK)
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    settings = re.findall(r"^#SBATCH --([a-z-]+)", text, re.M)
    assert {"requeue", "signal", "time", "gres", "open-mode"} <= set(settings)
    assert text.index("\nset -u") > text.rindex("#SBATCH")  # SLURM reads none behind the first command
    used = (
        {word for word in words_of(path) if word.startswith("--")} - {f"--{name}" for name in settings} - {"--nodes=4"}
    )
    assert used
    assert used <= OPTIONS


PROGRAMS = {
    "biotune": """echo "$@" > given; trap 'sleep 0.2; exit 3' TERM; touch begun
for _ in $(seq 100); do [ -e finish ] && exit 0; sleep 0.05; done""",
    "ray": 'echo "$@" >> rays',
    "scontrol": '[ "$1" = show ] && printf "one\\ntwo\\n" || echo "$@" > queued',
    "srun": 'echo "$@" >> sruns',
}


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A starter of a script, with programs of the cluster that only write what they were given."""
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, value in (("JOB_ID", "77"), ("JOB_NODELIST", "n[1-2]"), ("JOB_NUM_NODES", "2"), ("CPUS_PER_TASK", "8")):
        monkeypatch.setenv(f"SLURM_{name}", value)

    def start(script: Path) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([script, "my photos/", "--out", "runs/x"], cwd=tmp_path)
        limit = time.monotonic() + 20
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        return process

    return start


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_job_that_is_stopped_is_queued_again(script, job, tmp_path):
    process = job(script)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3
    assert (tmp_path / "queued").read_text() == "requeue 77\n"
    assert (tmp_path / "given").read_text().startswith("tune my photos/ --out runs/x --")
    if script.name == "slurm-ray.sh":
        started = (tmp_path / "rays").read_text().splitlines()
        assert started[0].startswith("start --head --port=20077 ")
        assert started[-1] == "stop"
        assert "--exclude=one ray start --address=one:20077 " in (tmp_path / "sruns").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_job_that_is_done_is_not(script, job, tmp_path):
    process = job(script)
    (tmp_path / "finish").touch()
    assert process.wait(20) == 0
    assert not (tmp_path / "queued").exists()


def test_the_job_of_kuberay_is_whole():
    job = yaml.safe_load((DEPLOY / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    words = shlex.split(spec["entrypoint"])
    assert words[:2] == ["biotune", "tune"]
    assert {word for word in words if word.startswith("--")} <= OPTIONS
    cluster = spec["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert words[words.index("--workers") + 1] == str(workers["replicas"])
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    images = set()
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        images.add(container["image"])
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes == {"work", "cache"}
        assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert len(images) == 1


def test_the_image_copies_what_is_there():
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    assert {name for name, _ in lines} == INSTRUCTIONS
    assert [name for name, _ in lines][:2] == ["ARG", "FROM"]
    copied = [source for name, rest in lines if name == "COPY" for source in rest.split()[:-1]]
    assert {"pyproject.toml", "README.md", "LICENSE", "src"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []
    for command in (rest for name, rest in lines if name == "RUN"):
        subprocess.run(["bash", "-n", "-c", command], check=True)
