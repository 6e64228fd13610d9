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
    places = [*found, *(m for m in model.modules() if of_batch_alone(m))]
    held = {m: Stays(m).put() for m in found if stats and not (is_frozen(m) or frozen_by_class(m))}
    stopped = {m: [_Stopped(n, p) for n, p in _affine(m) if p.requires_grad] if affine else [] for m in places}
    said = {m: ", ".join([*["running statistics"] * (m in held), *(one.name for one in stopped[m])]) for m in places}
    refused += [Refusal(path, _why_not(m)) for m, path in found.items() if not said[m]]
    changed = [Change(p, type(m).__name__, f"frozen: {said[m]}") for p, m in paths_of(model, said) if said[m]]
    ways: list[Any] = [*held.values(), *(one for some in stopped.values() for one in some)]

    def back() -> Any:
        while ways:
            ways.pop().take_away()
        return model

    return Operated(model, tuple(changed), tuple(refused), back=back)


class _Stopped:
    """A parameter without gradient, from now on."""

    def __init__(self, name: str, parameter: torch.nn.Parameter) -> None:
        self.name, self.parameter, self.gradient = name, parameter, parameter.grad
        parameter.requires_grad_(False).grad = None

    def take_away(self) -> None:
        """Let it learn again, with the gradient that it had."""
        self.parameter.requires_grad_(True)
        if self.parameter.grad is None:
            self.parameter.grad = self.gradient


def _affine(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """What scales and shifts: of our layers what the definition says, of others all that is their own."""
    mine = module.definition.affine if isinstance(module, face.Layer) else None
    return [(n, p) for n, p in module.named_parameters(recurse=False) if mine is None or n in mine]


def _why_not(module: torch.nn.Module) -> str:
    if frozen_by_class(module):
        return "its class is frozen: nothing moves its statistics, and it learns nothing"
    return "it is frozen already" if is_frozen(module) else "it has nothing that could be frozen so"


@contextmanager
def stats_frozen(model: Any, *, by: str = "running") -> Iterator[Operated]:
    """Within it, no forward pass moves running statistics, though the model is, or is put, in training.

    For a pass that is not meant to teach: a validation that needs the training loss, pseudo-labels, a teacher, a second
    domain. Everything else (dropout, gradients) is as the mode says.

    Args:
        model: as it was before, once the block is left, by an exception too.
        by: "running", and the layers normalize by their running statistics, as under `freeze`; "batch", and those in
            training normalize by their batch, which is then forgotten.
    Returns: the report, as of `freeze`.
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
    found, refused = keepers(model)
    kept = dict.fromkeys((m for m in found if not is_frozen(m)), "forgets its batches")
    changed = tuple(Change(path, type(m).__name__, kept[m]) for path, m in paths_of(model, kept))
    with copied_buffers(kept):
        yield Operated(model, changed, tuple(refused))


@contextmanager
def copied_buffers(modules: Any) -> Iterator[None]:
    """Copies in the place of the modules' own buffers, which come back as they are.

    Writing the old values back would be a change in place, which a backward pass that comes later refuses.
    """
    kept = [(m, dict(m._buffers)) for m in modules]
    copies: dict[int, torch.Tensor] = {}  # two names of one buffer are two names of one copy
    for module, own in kept:
        for name, a in own.items():
            if a is not None:
                module._buffers[name] = copies.setdefault(id(a), a.clone())
    try:
        yield
    finally:
        for module, own in kept:
            module._buffers.update(own)
