from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from space_clip_ros import settings
from space_clip_ros.errors import BackendError
from space_clip_ros.model import load_checkpoint
from space_clip_ros.training.processes import Processes, joined
from space_clip_ros.training.trainer import train

# Starts two ranks as torchrun does on two machines, but forks them, so that PyTorch is imported once. Returns how they
# ended.
_FORKED = """
import multiprocessing, os, socket

def forked(target, *arguments):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    os.environ.update(WORLD_SIZE="2", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    ranks = []
    for rank in range(2):
        os.environ["RANK"] = str(rank)
        ranks.append(multiprocessing.get_context("fork").Process(target=target, args=arguments))
        ranks[-1].start()
    for process in ranks:
        process.join()
    return [process.exitcode for process in ranks]
"""

# Two real processes over gloo. Each writes the gradient of its own share of the batch, the averaged gradient that the
# step used, and its weights.
_TWO_STEPS = """
import copy, sys, torch
from pathlib import Path
from space_clip_ros import settings
from space_clip_ros.training.assembly import assemble
from space_clip_ros.training.console import SilentConsole
from space_clip_ros.training.processes import joined
from space_clip_ros.training.run_folder import RunFolder
from space_clip_ros.training_config import TrainingConfig

from space_clip_ros.training.losses import depth_loss
from space_clip_ros.training.step import to_input

def train(config, folder):
    torch.set_num_threads(1)
    seen = []
    with joined("cpu") as processes:
        setup = assemble(config, processes, RunFolder(config.run.dir), SilentConsole(), False)
        for _, batch in zip(range(3), setup.loader):
            own = copy.deepcopy(setup.model)
            out = own(to_input(batch.images, config.model).contiguous(memory_format=torch.channels_last),
                      batch.depth.shape[2:], auxiliary=True)
            depth_loss(out.depth, out.auxiliary, batch.depth, config.loss, 0.001, 80.0)["total"].backward()
            setup.stepper.take(batch, 1e-3)
            named = list(setup.model.named_parameters())
            seen.append({
                "frames": batch.frames,
                "own": {n: p.grad for n, p in own.named_parameters() if p.grad is not None},
                "used": {n: p.grad.clone() for n, p in named if p.grad is not None},
                "weights": {n: t.clone() for n, t in setup.model.state_dict().items()},
                "average": {n: t.clone() for n, t in setup.average.state_dict().items()},
            })
        torch.save(seen, Path(folder) / f"{processes.rank}.pt")

sys.exit(any(forked(train, settings.load(TrainingConfig, sys.argv[1]), sys.argv[2])))
"""

_RUN = """
import argparse, sys
from space_clip_ros.cli.commands import train
parser = argparse.ArgumentParser()
train.add_parser(parser.add_subparsers())
sys.exit(train.run(parser.parse_args(sys.argv[1:])))
"""


def script(folder: Path, code: str) -> list[str]:
    """Write a script; return the command that runs it."""
    (folder / "script.py").write_text(code)
    return [sys.executable, str(folder / "script.py")]


def finished(command: list[str]) -> str:
    """Run a command to its good end; return its output."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_processes_average_their_gradients_and_hold_the_same_weights(tiny, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(settings.dump(tiny(optimizer__clip_norm=1e9, model__decoder__dropout=0.0)))
    finished([*script(tmp_path, _FORKED + _TWO_STEPS), str(config), str(tmp_path)])
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert len(first) == 3
    for left, right in zip(first, second, strict=True):
        assert not set(left["frames"].tolist()) & set(right["frames"].tolist())
        assert left["used"]
        for name, used in left["used"].items():
            mean = (left["own"][name] + right["own"][name]) / 2
            torch.testing.assert_close(used, mean, rtol=1e-4, atol=1e-6 * float(mean.abs().max() + 1))
            assert torch.equal(used, right["used"][name]), name
        for kind in ("weights", "average"):
            for name, tensor in left[kind].items():
                assert torch.equal(tensor, right[kind][name]), f"{kind}: {name}"


def test_the_same_command_trains_under_torchrun(tiny, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(settings.dump(tiny(optimizer__epochs=1)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    output = finished([*torchrun, *script(tmp_path, _RUN)[1:], "train", str(config)])
    assert output.count("done after 3 steps; best weights") == 1
    assert (tmp_path / "run" / "best.safetensors").is_file()
    assert len((tmp_path / "run" / "evaluations.csv").read_text().splitlines()) == 3


# For each line with a run's settings and a marker: trains in two processes, of which rank 1 ends itself with SIGKILL
# after its third step unless the marker is there, and writes how they ended.
_LOSES_A_RANK = """
import json, signal, sys
from pathlib import Path
from space_clip_ros import settings
from space_clip_ros.training import trainer
from space_clip_ros.training.console import SilentConsole
from space_clip_ros.training_config import TrainingConfig

report = trainer.Trainer._report

def train(config_file, marker):
    def dying(self, *arguments):
        report(self, *arguments)
        if self._step == 3 and self._processes.rank == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    trainer.Trainer._report = dying
    outcome = trainer.train(settings.load(TrainingConfig, config_file), SilentConsole(), None)
    if outcome.first:
        print("outcome", outcome.step, outcome.finished)

for line in sys.stdin:
    config_file, marker = json.loads(line)
    print(json.dumps(forked(train, config_file, Path(marker))), flush=True)
"""


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Callable[[Path, Path], tuple[list[int], list[str]]]]:
    """Trains in two processes: ``trained(settings, marker)`` returns their statuses and what they said."""
    with subprocess.Popen(
        script(tmp_path, _FORKED + _LOSES_A_RANK),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        stdin, stdout = process.stdin, process.stdout

        def run(config: Path, marker: Path) -> tuple[list[int], list[str]]:
            stdin.write(json.dumps([str(config), str(marker)]) + "\n")
            stdin.flush()
            lines = []
            for line in stdout:
                if line.startswith("["):
                    return json.loads(line), lines
                lines.append(line.strip())
            raise AssertionError("the script ended, see its error above")

        yield run


@pytest.mark.timeout(400)
def test_a_run_that_loses_a_process_ends_as_if_nothing_had_been(tiny, trained, tmp_path):
    runs = [tmp_path / name for name in ("broken", "unbroken")]
    for run in runs:
        (tmp_path / f"{run.name}.yaml").write_text(settings.dump(tiny(run__dir=str(run))))
    broken, unbroken = (tmp_path / f"{run.name}.yaml" for run in runs)
    (tmp_path / "kept").touch()
    assert trained(unbroken, tmp_path / "kept") == ([0, 0], ["outcome 6 True"])

    (left, killed), output = trained(broken, tmp_path / "lost")
    # The other one ends too, instead of waiting for ever.
    assert killed == -signal.SIGKILL and left not in (0, None) and not output
    assert int((runs[0] / "last").resolve().name) == 2
    assert trained(broken, tmp_path / "lost") == ([0, 0], ["outcome 6 True"])

    weights = [load_checkpoint(run / "last" / "model.safetensors").state_dict() for run in runs]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
    for table in ("steps.csv", "evaluations.csv"):
        rows = [(run / table).read_text().splitlines() for run in runs]
        rate = rows[0][0].split(",").index("samples_per_s") if table == "steps.csv" else None
        assert [without(row, rate) for row in rows[0]] == [without(row, rate) for row in rows[1]]


def without(row: str, column: int | None) -> list[str]:
    return [value for index, value in enumerate(row.split(",")) if index != column]


def test_a_batch_that_cannot_be_shared_is_refused(tiny, listener, monkeypatch):
    from space_clip_ros.data.dataset import StepSampler
    from space_clip_ros.errors import ConfigError

    with pytest.raises(ConfigError, match=r"must be a multiple of the 3 processes, got 4; set such a number"):
        StepSampler([1.0] * 12, 4, seed=0, rank=0, processes=3)


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "cpu:0", "cuda:", "cuda:1000"])
def test_a_device_that_is_no_device_here(device):
    with pytest.raises(BackendError, match=r"runtime\.device: must be auto, cpu, cuda or cuda:N, got"), joined(device):
        pass


def test_a_device_that_is_not_there(tiny, listener):
    with pytest.raises(BackendError, match=r"runtime\.device: cuda:99 does not exist"):
        train(tiny(runtime__device="cuda:99"), listener)


def test_alone_nothing_is_exchanged():
    with joined("cpu") as processes:
        assert processes == Processes(0, 1, torch.device("cpu"))
        assert processes.first and processes.any(True) and not processes.any(False)
        assert processes.gather([1, 2]) == [1, 2]
        tensor = torch.ones(2)
        processes.average([tensor])
        assert tensor.tolist() == [1.0, 1.0]
