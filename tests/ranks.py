"""Processes that stay and do tasks together: `Ranks(4)` are four of them, joined by gloo on this machine alone.

Started by spawn, once for all tests of a module; every task gets a process group of its own, since some tasks break it.
"""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["Ranks"]

PATIENCE_S = 10.0
"""What a process waits for the others inside a task; the whole task may take 9 times as long before it is a failure."""
START_S = 600.0
"""What all of them may take to start: each imports torch, on a machine that may have much else to do."""


class Ranks:
    """`run(task, *arguments)` calls `task(rank, *arguments)` in every process and gives the list of results.

    The tasks are functions of `module`.
    """

    def __init__(self, count: int, module: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.ends, self.processes = [], []
        for rank in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(rank, module, there), daemon=True)
            process.start()
            self.ends.append(here)
            self.processes.append(process)
        for rank, end in enumerate(self.ends):
            assert end.poll(START_S) and end.recv() == "ready", f"rank {rank} did not start"

    def first(self, count: int) -> Ranks:
        """The first of them alone, as a group of `count`."""
        some = copy.copy(self)
        some.ends = self.ends[:count]
        return some

    def run(self, task: Callable[..., Any], *arguments: Any, patience_s: float = PATIENCE_S) -> list[Any]:
        """Raises AssertionError with the traceback of whoever failed, or where one did not answer in time."""
        with tempfile.TemporaryDirectory() as folder:
            for end in self.ends:
                end.send((task, arguments, len(self.ends), str(Path(folder, "store")), patience_s))
            answers = []
            for rank, end in enumerate(self.ends):
                assert end.poll(9 * PATIENCE_S), f"rank {rank} hung in {task.__name__}"
                answers.append(end.recv())
        wrong = [f"rank {rank}: {text}" for rank, (well, text) in enumerate(answers) if not well]
        assert not wrong, "\n".join(wrong)
        return [result for _, result in answers]

    def stop(self) -> None:
        """End the processes."""
        for end, process in zip(self.ends, self.processes, strict=True):
            end.close()
            process.terminate()
            process.join(PATIENCE_S)


def _serve(rank: int, module: str, end: Connection) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # the tests talk to nobody else
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    importlib.import_module(module)
    end.send("ready")
    while True:
        try:
            task, arguments, count, store, patience_s = end.recv()
        except EOFError:
            return
        try:
            patience = timedelta(seconds=patience_s)
            dist.init_process_group(
                "gloo", store=dist.FileStore(store, count), rank=rank, world_size=count, timeout=patience
            )
            answer = True, task(rank, *arguments)
        except BaseException:
            answer = False, traceback.format_exc()
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
        end.send(answer)
