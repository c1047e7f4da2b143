"""The job files in config/cluster/: shells parse the scripts, our own parsers the commands, and the fields exist."""

from __future__ import annotations

import importlib.util
import os
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
    (line,) = [line for line in lines_of(script) if f'bin/{program}" ' in line and not line.startswith(("#", "if "))]
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


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_job_without_its_programs_ends_before_anything_starts(script: Path, tmp_path: Path) -> None:
    """The demo's .venv, once the default, has neither Ray nor torchrun."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    done = subprocess.run(
        ["bash", str(script), "config/kitti.yaml"],
        env={"PATH": os.environ["PATH"], "SLURM_SUBMIT_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert re.search(r"\.venv-cluster has no (ray|torchrun); docs/fleet\.md says how to fill it", done.stderr)


def test_the_page_fills_the_jobs_environment() -> None:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    assert ".venv-cluster/bin/python -m pip install -c constraints/wheels.txt -e '.[train,fleet]'" in page


def test_the_bags_job_waits_for_its_machines_in_python() -> None:
    text = (FOLDER / "predict.sbatch").read_text(encoding="utf-8")
    (program,) = re.findall(r"<<'END'\n(.*?)\nEND\n", text, re.DOTALL)
    compile(program, "predict.sbatch", "exec")
    assert text.count("joined 1\n") == text.count('joined "$SLURM_NNODES"\n') == 1
    assert "sleep 20" not in text


def dockerfiles() -> list[str]:
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    return re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)


def test_images_let_pip_install() -> None:
    """Ubuntu 24.04's own Python refuses pip (PEP 668) unless it is told otherwise, or in an environment."""
    assert len(dockerfiles()) == 2
    for text in dockerfiles():
        assert "ENV PIP_BREAK_SYSTEM_PACKAGES=1" in text or "python3 -m venv /opt/venv" in text
        assert "pip install --no-cache-dir -c /opt/space_clip_ros/constraints/wheels.txt" in text


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
    assert set(cluster) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    # That of the image, which has what KubeRay asks of it.
    assert f"ray=={cluster['rayVersion']}" in (ROOT / "constraints" / "wheels.txt").read_text(encoding="utf-8").split()
    assert "ray[default,client]" in (ROOT / "setup.py").read_text(encoding="utf-8")
    (image,) = [text for text in dockerfiles() if "[fleet]" in text]
    assert "wget" in image and "s3fs" in image
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == "space_clip_ros:fleet"
    for group in cluster["workerGroupSpecs"]:
        # Another number would need Ray's autoscaler.
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]


def test_the_job_files_are_installed() -> None:
    assert 'share("config/cluster")' in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert importlib.util.find_spec("space_clip_ros.cli.main")
