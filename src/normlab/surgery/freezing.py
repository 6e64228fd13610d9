"""`freeze` and `stats_frozen`: running statistics that stay, also when somebody calls `model.train()`.

A module in evaluation neither moves its running statistics nor normalizes by the batch; but `model.train()` puts it
back into training. So its `train` is taken over: an attribute of the module itself, not a wrapper, so that class, keys
of the state dict and `isinstance` are what they were, and copies and pickles are frozen too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .. import torch as face
from ..errors import UsageError
from .operated import Change, Operated, Refusal
from .running import Stays, frozen_by_class, is_frozen, keepers, of_batch_alone, paths_of, start

__all__ = ["freeze", "stats_frozen"]


def freeze(model: Any, stats: bool = True, affine: bool = True, *, copy: bool = False) -> Operated:
    """Hold still the layers that keep running statistics: batch normalization and its like.

    Layers without running statistics (layer, group, RMS normalization) do the same in training and evaluation, and are
    left alone; so are the vectors of spectral normalization.

    Args:
        model: changed in place. Its state dict keeps its keys; copies and pickles of it are frozen as well.
        stats: the layers normalize by their running statistics, which no longer move, in training too. This survives
            `model.train()`; loading a state dict still writes them.
        affine: weight and bias get no gradient (and lose the one they have, or an optimizer would still step by it).
        copy: leave the model as it is and change a deep copy.
    Returns: the report: what was frozen in which layer, what could not be and why; `undo()` is the way back, to the
        mode that the model is in by then.
    Raises: UsageError.
    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        >>> print(freeze(net))
        1 changed, 0 refused
          1  BatchNorm1d  -> frozen: running statistics, weight, bias
        >>> net.train()[1].training
        False
    """
    model = start("freeze", model, copy)
    if not (stats or affine):
        raise UsageError("freeze: stats and affine are both False, so there is nothing to freeze.")
    found, refused = keepers(model)
    learns = {m for m in model.modules() if of_batch_alone(m)} if affine else set()
    held: list[Stays] = []
    stopped: list[tuple[torch.nn.Parameter, torch.Tensor | None]] = []
    said: dict[torch.nn.Module, list[str]] = {}
    for module in (*found, *learns):
        done = said[module] = []
        if stats and module in found and not (is_frozen(module) or frozen_by_class(module)):
            held.append(Stays(module).put())
            done.append("running statistics")
        for name, parameter in _affine(module) if affine else ():
            if parameter.requires_grad:
                stopped.append((parameter, parameter.grad))
                parameter.requires_grad_(False).grad = None
                done.append(name)
    refused += [Refusal(path, _why_not(m)) for m, path in found.items() if not said[m]]
    changed = tuple(
        Change(path, type(m).__name__, f"frozen: {', '.join(said[m])}")
        for path, m in paths_of(model, said) if said[m]
    )  # fmt: skip

    def back() -> Any:
        for one in held:
            one.take_away()
        for parameter, gradient in stopped:
            parameter.requires_grad_(True)
            parameter.grad = gradient if parameter.grad is None else parameter.grad
        held.clear()
        stopped.clear()
        return model

    return Operated(model, changed, tuple(refused), back=back)


def _affine(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """What scales and shifts: of our layers what the definition says, of others all that is their own."""
    mine = module.definition.affine if isinstance(module, face.Layer) else None
    return [(n, p) for n, p in module.named_parameters(recurse=False) if mine is None or n in mine]


def _why_not(module: torch.nn.Module) -> str:
    if frozen_by_class(module):
        return "its class is frozen: nothing moves its statistics, and it learns nothing"
    return "it is frozen already" if is_frozen(module) else "it has nothing that could be frozen so"


@contextmanager
def stats_frozen(model: Any, *, by: str = "running") -> Iterator[Operated | None]:
    """Within it, no forward pass moves running statistics, though the model is, or is put, in training.

    For a pass that is not meant to teach: a validation that needs the training loss, pseudo-labels, a teacher, a second
    domain. Everything else (dropout, gradients) is as the mode says.

    Args:
        model: as it was before, once the block is left, by an exception too.
        by: "running", and the layers normalize by their running statistics, as under `freeze`; "batch", and those in
            training normalize by their batch, which is then forgotten.
    Raises: UsageError.
    Example:
        >>> net = torch.nn.BatchNorm1d(4)
        >>> with stats_frozen(net):
        ...     y = net.train()(torch.randn(8, 4))
        >>> int(net.num_batches_tracked)
        0
    """
    if by not in ("running", "batch"):
        raise UsageError(f"stats_frozen: by must be 'running' or 'batch', got {by!r}.")
    model = start("stats_frozen", model, False)
    if by == "running":
        report = freeze(model, affine=False)
        try:
            yield report
        finally:
            report.undo()
        return
    with copied_buffers(keepers(model)[0]):
        yield None


@contextmanager
def copied_buffers(modules: Any) -> Iterator[None]:
    """Copies in the place of the modules' own buffers, which come back as they are.

    Writing the old values back would be a change in place, which a backward pass that comes later refuses.
    """
    kept = [(m, dict(m._buffers)) for m in modules]
    for module, own in kept:
        module._buffers.update({n: a.clone() for n, a in own.items() if a is not None})
    try:
        yield
    finally:
        for module, own in kept:
            module._buffers.update(own)
