"""Batches through a model that is measured, and everything as it was afterwards: after an error as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..errors import NormlabError, UsageError
from .freezing import copied_buffers
from .measuring import call
from .populations import Population

__all__ = ["as_it_was", "devices", "pass_of"]


def devices(model: torch.nn.Module) -> list[int]:
    """The GPUs whose random numbers the model may draw."""
    used = {a.device for a in (*model.parameters(), *model.buffers()) if a.device.type == "cuda"}
    return sorted({d.index for d in used})


@contextmanager
def as_it_was(model: torch.nn.Module) -> Iterator[Any]:
    """Everything in evaluation, with copies of all buffers; afterwards as it was. Gives what batches are fed to."""
    modules = list(model.modules())
    written = [m for m in modules if not isinstance(m, torch.jit.ScriptModule)]  # whose buffers cannot be exchanged
    modes = [(m, m.training) for m in modules]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices(model)))
        stack.enter_context(copied_buffers(written))
        stack.enter_context(_without_compiled_code(modules))
        stack.callback(_put_modes, modes)
        for m in modules:
            m.training = False  # not m.eval(), which some classes use to do more
        # DistributedDataParallel copies buffers from the first process, and waits for as many batches in each.
        ddp = isinstance(model, torch.nn.parallel.DistributedDataParallel)
        yield model.module if ddp else model


def _put_modes(modes: list[tuple[torch.nn.Module, bool]]) -> None:
    for module, mode in modes:
        module.training = mode


def _without_compiled_code(modules: list[torch.nn.Module]) -> Any:
    """Compiled code does not look for hooks that came later."""
    compiled = any(m._compiled_call_impl is not None or hasattr(m, "_orig_mod") for m in modules)
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def pass_of(model: Any, batches: Iterable[Any], forward: Any, found: list[Population]) -> None:
    """Feed every batch; each layer takes in what it is given."""
    order = iter(range(2**63))

    def listen(one: Population) -> Callable[..., None]:
        return lambda module, args, kwargs: one.receive(module, args, kwargs, next(order))

    handles = [one.module.register_forward_pre_hook(listen(one), with_kwargs=True) for one in found]
    try:
        for number, batch in enumerate(batches, 1):
            _feed(model, batch, forward, number)
    finally:
        for handle in handles:
            handle.remove()


def _feed(model: Any, batch: Any, forward: Any, number: int) -> None:
    if forward is None and not isinstance(batch, Tensor | tuple | Mapping):
        raise UsageError(
            f"recalibrate: batch {number} must be a tensor, a tuple or a dict, got {type(batch).__name__}.",
            hint="For pairs: forward=lambda model, batch: model(batch[0]).",
        )
    try:
        call(model, batch, forward)
    except NormlabError as error:
        error.add_note(f"in batch {number}")
        raise
    except Exception as error:
        raise UsageError(
            f"recalibrate: the model refused batch {number} ({_looks(batch)}): {type(error).__name__}: {error}",
            hint="Nothing was changed. A tuple is positional, a dict keywords; forward= for anything else.",
        ) from error


def _looks(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"shape {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{k}: {_looks(v)}" for k, v in batch.items())
    return ", ".join(map(_looks, batch)) if isinstance(batch, list | tuple) else type(batch).__name__
