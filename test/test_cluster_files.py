"""The job files in config/cluster/: shells parse the scripts, our own parsers the commands, and the fields exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from space_clip_ros.cli.main import build_parser
from space_clip_ros.settings import load
from space_clip_ros.training_config import TrainingConfig

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "config" / "cluster"
SCRIPTS = sorted(FOLDER.glob("*.sbatch"))
# Options of sbatch (https://slurm.schedmd.com/sbatch.html) that these files may use, and the form of their values.
SBATCH = {
    "job-name": r"\w+",
    "nodes": r"\d+",
    "ntasks-per-node": r"1",
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "time": r"(\d+-)?\d+:\d\d:\d\d",
    "requeue": r"",
    "exclusive": r"",
    "open-mode": r"append|truncate",
    "output": r"[\w%.-]+",
    "signal": r"(B:)?[A-Z]+@\d+",
}
# Variables that Slurm sets in a job, and our own.
VARIABLES = {"SLURM_SUBMIT_DIR", "SLURM_JOB_NODELIST", "SLURM_JOB_ID", "SLURM_NNODES", "SLURM_GPUS_ON_NODE"}
OWN = {"environment", "first", "port", "SPACE_CLIP_VENV"}


def lines_of(script: Path) -> list[str]:
    return script.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def without_comments(script: Path) -> str:
    return "\n".join(line for line in lines_of(script) if not line.startswith("#"))


def command(script: Path, program: str, given: list[str]) -> list[str]:
    """Return the arguments of the line that runs a program, with ``$@`` and variables replaced."""
    (line,) = [line for line in lines_of(script) if f"bin/{program}" in line and not line.startswith("#")]
    words = shlex.split(line.partition(f"/bin/{program}")[2].lstrip('"'))
    arguments = [word for item in words for word in (given if item == "$@" else [item])]
    return [re.sub(r"\$\{\w+:-(\w+)\}|\$\w+", lambda match: match[1] or "1", word) for word in arguments]


def document(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")))


def test_there_is_a_file_for_each_scheduler() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {
        "train.sbatch",
        "predict.sbatch",
        "pytorchjob.yaml",
        "rayjob.yaml",
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_a_shell_script_with_options_of_sbatch(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    assert len(options) > 5
    # sbatch reads no options below the first command.
    first_command = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])
    for option in options:
        name, _, value = option.partition("=")
        assert re.fullmatch(SBATCH[name], value), option
    used = set(re.findall(r"\$\{?([A-Za-z]\w*)", without_comments(script)))
    used |= set(re.findall(r"\b(SLURM_\w+)", without_comments(script)))
    assert used <= VARIABLES | OWN


def test_the_training_job_runs_under_torchrun_with_our_settings() -> None:
    pytest.importorskip("torch")
    from torch.distributed.run import get_args_parser

    given = ["config/kitti.yaml", "run.dir=/shared/runs/kitti"]
    options = get_args_parser().parse_args(command(FOLDER / "train.sbatch", "torchrun", given))
    assert (options.module, options.training_script) == (True, "space_clip_ros.cli.main")
    assert (options.max_restarts, options.rdzv_backend) == (3, "c10d")
    args = build_parser().parse_args(options.training_script_args)
    assert (args.command, args.resume_or_start, args.overrides) == ("train", True, given[1:])
    assert load(TrainingConfig, ROOT / args.config, args.overrides).run.dir == "/shared/runs/kitti"


def test_a_training_job_without_settings_says_what_to_give() -> None:
    done = subprocess.run(["bash", str(FOLDER / "train.sbatch")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sbatch config/cluster/train.sbatch CONFIG" in done.stderr


def test_the_bags_job_runs_on_its_own_ray() -> None:
    given = ["--bag", "/shared/bags", "--out", "/shared/depth"]
    args = build_parser().parse_args(command(FOLDER / "predict.sbatch", "space_clip", given))
    assert (args.command, args.bag, args.out, args.ray) == ("predict", ["/shared/bags"], "/shared/depth", "1:1")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_comment_at_the_top_shows_a_command_that_works(script: Path) -> None:
    (example,) = re.findall(rf"sbatch config/cluster/{script.name} (.*)$", lines_of(script)[1], re.MULTILINE)
    before = ["train"] if script.name == "train.sbatch" else ["predict"]
    build_parser().parse_args([*before, *shlex.split(example)])


def test_the_pytorchjob_has_the_operators_fields() -> None:
    job = document("pytorchjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    spec = job["spec"]
    assert set(spec) <= {"elasticPolicy", "nprocPerNode", "runPolicy", "pytorchReplicaSpecs"}
    elastic = spec["elasticPolicy"]
    assert set(elastic) <= {"rdzvBackend", "minReplicas", "maxReplicas", "maxRestarts"}
    # The operator refuses a master beside an elastic policy.
    assert set(spec["pytorchReplicaSpecs"]) == {"Worker"}
    assert set(spec["runPolicy"]) <= {"cleanPodPolicy", "backoffLimit", "ttlSecondsAfterFinished"}
    assert spec["runPolicy"]["cleanPodPolicy"] in ("None", "Running", "All")
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    assert set(worker) == {"replicas", "restartPolicy", "template"}
    assert worker["restartPolicy"] in ("Always", "OnFailure", "Never", "ExitCode")
    # Another number of processes would be another run: batch norm works on each one's share.
    assert elastic["minReplicas"] == elastic["maxReplicas"] == worker["replicas"]
    assert isinstance(spec["nprocPerNode"], str)
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "pytorch"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(spec["nprocPerNode"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_pytorchjob_trains_with_our_settings() -> None:
    (container,) = document("pytorchjob.yaml")["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"][
        "containers"
    ]
    program, *words = container["command"]
    assert (program, words[:2]) == ("torchrun", ["-m", "space_clip_ros.cli.main"])
    args = build_parser().parse_args(words[2:])
    assert args.resume_or_start
    config = load(TrainingConfig, ROOT / args.config.removeprefix("/opt/space_clip_ros/"), args.overrides)
    # The shared volume is mounted there, and all processes must see the run.
    assert any(config.run.dir.startswith(mount["mountPath"]) for mount in container["volumeMounts"])
    worker = document("pytorchjob.yaml")["spec"]["pytorchReplicaSpecs"]["Worker"]
    processes = worker["replicas"] * container["resources"]["limits"]["nvidia.com/gpu"]
    assert config.optimizer.batch_size % processes == 0


def test_the_rayjob_has_the_operators_fields_and_our_command() -> None:
    job = document("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    known = {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "backoffLimit", "rayClusterSpec"}
    assert set(spec) <= known
    program, *words = shlex.split(spec["entrypoint"])
    args = build_parser().parse_args(words)
    assert (program, args.command, args.ray) == ("space_clip", "predict", "auto")
    cluster = spec["rayClusterSpec"]
    assert set(cluster) == {"headGroupSpec", "workerGroupSpecs"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == "space_clip_ros:fleet"
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_job_files_are_installed() -> None:
    assert 'share("config/cluster")' in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert importlib.util.find_spec("space_clip_ros.cli.main")
