"""This process among those that ``torchrun`` started: its rank and device, and what the processes exchange."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from space_clip_ros.errors import BackendError

T = TypeVar("T")
_DEVICE = re.compile(r"cpu|cuda(:\d{1,2})?")


@dataclass(frozen=True)
class Processes:
    """This process's place among all processes of the run, and their collective operations.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
        device: device of this process.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any process; every process gets the same answer."""
        if self.count == 1:
            return flag
        flags = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX)
        return bool(flags.item())

    def gather(self, items: list[T]) -> list[T]:
        """Return the items of all processes, in order of rank, on every process."""
        if self.count == 1:
            return items
        gathered: list[list[T]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(gathered, items)
        return [item for part in gathered for item in part]

    @torch.no_grad()
    def average(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        means = torch.split(flat / self.count, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a module with the model's parameters whose gradients are the mean over the processes."""
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(
            model,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the process group that ``torchrun`` started, if any, for the duration of the block.

    Args:
        device: auto, cpu, cuda or cuda:N; auto and cuda take this process's own GPU.

    Raises:
        BackendError: the device does not exist.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = _choose(device, int(os.environ.get("LOCAL_RANK", "0")))
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, chosen)
        # Wait for all, so that no process talks to one that has already left.
        distributed.barrier()
    finally:
        # A wrapped model still holds the group. Without this, it would be destroyed at interpreter shutdown, where its
        # threads wait forever for the interpreter's lock.
        gc.collect()
        distributed.destroy_process_group()


def _choose(device: str, local_rank: int) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{local_rank}"
    if not _DEVICE.fullmatch(device):
        raise BackendError("runtime.device", f"must be auto, cpu, cuda or cuda:N, got {device!r}")
    chosen = torch.device(device)
    if chosen.type == "cuda":
        if not torch.cuda.is_available() or (chosen.index or 0) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise BackendError("runtime.device", f"{device} does not exist ({count} GPUs)", "use cpu")
        torch.cuda.set_device(chosen)
    return chosen
