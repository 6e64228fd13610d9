"""`recalibrate`: running statistics that are those of the data, and not of the last batches of a training.

torch's `update_bn` averages the variances of batches, which leaves out how far the batches' means lie apart, counts a
small last batch as much as the others, and lets dropout act. Here every value counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from .feeding import as_it_was, devices, pass_of
from .merging import Ranks
from .operated import Change, Operated, Refusal
from .populations import Population, population_of
from .recognizing import Refused
from .rewriting import blended, put, told, why_not, written
from .running import LAZY, has_no_shape, keepers, paths_of, start

__all__ = ["recalibrate"]


def recalibrate(
    model: Any, batches: Iterable[Any], *, forward: Callable[[Any, Any], Any] | None = None, mix: float = 1.0,
    sequential: bool = False, process_group: Any = None, copy: bool = False,
) -> Operated:  # fmt: skip
    """Set running statistics to the mean and variance of everything in `batches`, as if it were one batch.

        count = a + b;  mean = m_a + (m_b - m_a) b / count;  square = s_a + s_b + (m_b - m_a)^2 a b / count

    for any sizes a and b of batches; in float64, in one pass, one batch in memory. The variance is the unbiased one
    where the layer keeps that, as torch's do. Layers that keep statistics of samples (instance normalization) get the
    mean over all samples. Frozen layers are left alone, and so are those that no batch reached; the report names them.

    Only these layers run in training, everything else in evaluation: dropout would change the statistics of what
    evaluation sees. Nothing but the running statistics and their counters is changed: modes, gradients, other buffers
    and torch's random numbers are as before, and after an error (in the loader too) so is everything.

    Args:
        model: any module; changed in place. A compiled one is run without its compiled code.
        batches: anything to iterate over; a tensor; a tuple is positional, a dict keywords.
        forward: `forward(model, batch)` for any other batch, such as pairs of x and labels.
        mix: the weight of the new statistics beside the old, 0 < mix <= 1. With batches of another domain, 1 is AdaBN.
        sequential: False, and while they are measured layers normalize by their batch, as torch's `update_bn` has it,
            so that what later layers receive depends a little on how the data is cut into batches. True, and each
            layer is measured while those before it already use their new statistics: what evaluation will see, however
            the data is cut. This takes one pass for each layer, so batches must be something to go through again.
        process_group: "world" or a group of torch.distributed: the batches of all its processes count, and each gets
            the same statistics. All must call this; a process that fails makes the others fail instead of wait.
        copy: leave the model as it is and change a deep copy.
    Returns: the report: for each layer how many values it was given and how far its statistics moved; which were left
        alone, and why. `undo()` gives the old statistics back.
    Raises: UsageError; ShapeError for a batch with one value a channel; NonFiniteError; what the loader raises.
    Numerics: the moments are exact to float64; what is stored has the buffers' dtype.
    Source: Chan, Golub and LeVeque 1979 for the merge; arXiv 1603.04779 (AdaBN); arXiv 2006.16971, equation 3 (mix).
    Example:
        >>> net = torch.nn.BatchNorm1d(2)
        >>> x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 7.0]])
        >>> report = recalibrate(net, [x[:2], x[2:].repeat(2, 1)])
        >>> net.running_mean
        tensor([2.5000, 4.0000])
    """
    model = start("recalibrate", model, copy)
    _check(model, batches, mix, sequential)
    found, refused = _measurable(model)
    if not found:
        return Operated(model, (), tuple(refused))
    ranks = Ranks(process_group, list(found), sequential)
    with as_it_was(model) as fed:
        if sequential:
            done = _one_after_another(found, ranks, lambda left: pass_of(fed, batches, forward, left))
        else:
            for one in found:
                one.module.training = True
            with ranks.together():
                pass_of(fed, batches, forward, found)
            ranks.merge()
            done = [one for one in found if one.calls]
    new = {one: blended(one, mix) for one in done}
    refused += [Refusal(one.path, why_not(one)) for one in found if new.get(one) is None]
    kept = {one: value for one, value in new.items() if value is not None}
    changed = _changes(model, kept, ranks)
    return Operated(model, changed, tuple(refused), back=written(kept, mix, model))


def _check(model: torch.nn.Module, batches: Any, mix: Any, sequential: bool) -> None:
    kind = type(batches).__name__
    if isinstance(batches, Tensor | Mapping) or not isinstance(batches, Iterable):
        raise UsageError(f"recalibrate: batches must give one batch after another, got {kind}.", hint="One: [batch].")
    if isinstance(mix, bool) or not isinstance(mix, int | float) or not 0 < mix <= 1:
        raise UsageError(f"recalibrate: mix must be a number above 0, at most 1, got {mix!r}.")
    if sequential and isinstance(batches, Iterator):
        raise UsageError(
            f"recalibrate: sequential=True goes through batches once for each layer; {kind} gives them only once.",
            hint="Give a list or a loader.",
        )
    lazy = next((p for p, m in model.named_modules() if has_no_shape(m)), None)
    if lazy is not None:
        raise UsageError(f"recalibrate: {lazy or 'the model'}: {LAZY}.")


def _measurable(model: torch.nn.Module) -> tuple[list[Population], list[Refusal]]:
    modules, refused = keepers(model)
    found = []
    with torch.no_grad(), torch.random.fork_rng(devices(model)):
        for module, path in modules.items():
            try:
                found.append(population_of(path, module))
            except Refused as reason:
                refused.append(Refusal(path, str(reason)))
    return found, refused


def _one_after_another(found: list[Population], ranks: Ranks, feed: Any) -> list[Population]:
    """A pass for each layer in the order in which they are called: the first is ready, the others are measured anew."""
    done: list[Population] = []
    while True:
        left = [one for one in found if one not in done]
        for one in left:
            one.clear()
        with ranks.together():
            feed(left)
        first = ranks.merge(but=done)
        if first is None:
            return done
        done.append(first)
        put(first)


def _changes(model: torch.nn.Module, kept: dict[Population, Any], ranks: Ranks) -> tuple[Change, ...]:
    said = {one.module: f"{told(one, new)}{ranks.said}" for one, new in kept.items()}
    return tuple(Change(path, type(m).__name__, said[m]) for path, m in paths_of(model, said))
