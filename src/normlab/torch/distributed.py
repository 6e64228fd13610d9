"""Statistics that the processes of a group share: `process_group=` on layers that pool the batch.

In training a call exchanges, forward, a header of eight whole numbers and then five numbers for each set (count,
mean, what rounding left of it, mean square, unit), which every process merges in the same order by Chan's formula, so
that all hold the same bytes; backward it adds up two numbers for each set. An evaluation exchanges nothing under
torch.no_grad() and otherwise the header alone: whoever evaluates within a training step should hear of the others.

The header is what it costs to be told, rather than to wait for ever, where processes call different layers, or in
different modes: one more round trip for a layer.
"""

from __future__ import annotations

import itertools
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import formula
from ..blueprint import Blueprint
from ..definition import Definition
from ..errors import NormlabError, ShapeError, UsageError
from .arrays import FLOATS
from .call import Call, call

__all__ = ["WORLD", "Together", "shares_batches", "together"]

WORLD = "world"
ELSEWHERE = "Make the layer with the group of this rank, or with None."
EVALUATES, TRAINS, REFUSES = range(3)
DOES = ("evaluates", "trains", "refuses the input of")

# Each layer's number is the order of its first meeting: the same in every process that runs the same program.
_NUMBERS: defaultdict[tuple[int, ...], itertools.count[int]] = defaultdict(itertools.count)


def shares_batches(definition: Definition) -> bool:
    """Whether a set goes on in other processes' batches, and its statistics are merged from theirs."""
    d = definition
    if not d.has_running or d.forward is not None or d.spread not in ("std", "rms"):
        return False
    (line,) = d.lines(d.validate({})).values()
    return any(t.name == "n" and t.factors[0].pooled for t in line.terms)


class _Header(NamedTuple):
    """What each process tells of its call; all but the last two must be equal."""

    layer: int
    mode: int
    records: int  # gradients
    masked: int
    sets: int
    dtype: int
    needs: int  # the gradient of x
    elements: int  # of a set here

    @property
    def agreed(self) -> tuple[int, ...]:
        return self[:-2]


HINTS: tuple[tuple[str, Callable[[_Header], Any]], ...] = (
    ("See the error of the rank that refuses.", lambda h: h.mode == REFUSES),
    (
        "Call the layers in the same order in every process, with an empty batch, x[:0], where one has none.",
        lambda h: h.layer,
    ),
    (
        "Call model.train(), or model.eval(), in every process; one that evaluates alone must do so under "
        "torch.no_grad().", lambda h: h.mode,
    ),
    ("Record gradients in every process, or in none.", lambda h: h.records),
    ("Give a mask in every process, or in none.", lambda h: h.masked),
    ("Give x the same channels and dtype in every process.", lambda h: (h.sets, h.dtype)),
)  # fmt: skip


class Together:
    """The processes that a layer shares its statistics with: a group of torch.distributed, or "world" for all."""

    def __init__(self, group: Any, name: str) -> None:
        if dist.is_available() and group == dist.GroupMember.NON_GROUP_MEMBER:  # what new_group gives to the others
            raise UsageError(f"{name}: rank {dist.get_rank()} is not in its process_group.", hint=ELSEWHERE)
        if group != WORLD and not (dist.is_available() and isinstance(group, dist.ProcessGroup)):
            raise UsageError(
                f"{name}: process_group must be a group of torch.distributed, {WORLD!r} for all processes, or None, "
                f"got {group!r}."
            )
        self.given, self.name = group, name
        self.number: int | None = None
        # Not a decorator: it would import the compiler for everybody.
        self.call = torch.compiler.disable(self._call)

    def __deepcopy__(self, memo: Any) -> Together:
        return self  # a group cannot be copied, and the copy of a layer is the same layer in another process too

    def __reduce__(self) -> tuple[Any, ...]:
        if self.given != WORLD:
            raise UsageError(
                f"{self.name}: a process group cannot be stored.", hint=f"Store the state_dict, or use {WORLD!r}."
            )
        return Together, (WORLD, self.name)

    @property
    def group(self) -> Any:
        """The group that exists now; None where this process is the only one."""
        if not (dist.is_available() and dist.is_initialized()):
            return None
        group = dist.group.WORLD if self.given == WORLD else self.given
        if dist.get_rank(group) < 0:
            raise UsageError(f"{self.name}: rank {dist.get_rank()} is not in its process_group.", hint=ELSEWHERE)
        return group if dist.get_world_size(group) > 1 else None

    def _call(
        self, definition: Definition, x: Any, arrays: Mapping[str, Any], state: Mapping[str, Any],
        options: Mapping[str, Any], *, training: bool, **given: Any,
    ) -> Call:  # fmt: skip
        """As `call.call`, with the sets of all processes as one; no state where none of them has an element."""
        group = self.group
        if group is None:
            return call(definition, x, arrays, state, options, training=training, **given)
        meeting = _Meeting(self, group, x, masked=given.get("mask") is not None)
        if not training:
            if torch.is_grad_enabled():
                meeting.meet(EVALUATES)
            return call(definition, x, arrays, state, options, training=False, **given)
        try:
            done = call(definition, x, arrays, state, options, training=True, measure=meeting.measure, **given)
        except NormlabError:
            if not meeting.headers:  # the others wait for this process; what it has to say is its own error
                with suppress(NormlabError):
                    meeting.meet(REFUSES)
            raise
        return done if meeting.total else Call(done.y, None)


def together(blueprint: Blueprint, group: Any) -> Together | None:
    """What a layer made with `process_group=group` holds. Raises UsageError where its method has no use for one."""
    if group is None:
        return None
    if not shares_batches(blueprint.definition):
        raise UsageError(f"{blueprint.definition.class_name}: its statistics do not pool the batch: no process_group.")
    return Together(group, str(blueprint))


class _Meeting:
    """One call of a layer, in all processes of its group."""

    def __init__(self, together: Together, group: Any, x: Any, masked: bool) -> None:
        self.together, self.group, self.x, self.masked = together, group, x, masked
        self.headers: list[_Header] = []
        if together.number is None:
            together.number = next(_NUMBERS[tuple(dist.get_process_group_ranks(group))])

    @property
    def total(self) -> int:
        """The elements of a set, in all processes."""
        return sum(h.elements for h in self.headers)

    def meet(self, mode: int, sets: int = 0, elements: int = 0) -> None:
        """Exchange headers. Raises UsageError in every process where they do not agree."""
        dtype, needs = getattr(self.x, "dtype", None), getattr(self.x, "requires_grad", False)
        layer = zlib.crc32(f"{self.together.number} {self.together.name}".encode())
        mine = _Header(
            layer, mode, torch.is_grad_enabled(), self.masked, sets, FLOATS.index(dtype) if dtype in FLOATS else -1,
            needs, elements,
        )  # fmt: skip
        told = self.gather(torch.tensor([int(v) for v in mine], dtype=torch.int64)).tolist()
        self.headers = [_Header(*row) for row in told]
        if any(h.agreed != self.headers[0].agreed for h in self.headers):
            raise self._disagreement(mode)

    def _disagreement(self, mode: int) -> UsageError:
        shape = tuple(getattr(self.x, "shape", ()))
        mine = f"{DOES[mode]} {self.together.name} with x of shape {shape} in {getattr(self.x, 'dtype', None)}"
        mine += ("" if torch.is_grad_enabled() else ", without gradients") + (", with a mask" if self.masked else "")
        said: list[Any] = [None] * len(self.headers)
        dist.all_gather_object(said, mine, group=self.group)
        ranks = dist.get_process_group_ranks(self.group)
        first, other = self.headers[0], next(h for h in self.headers if h.agreed != self.headers[0].agreed)
        hint = next(text for text, part in HINTS if part(first) != part(other))
        return UsageError(
            f"{self.together.name}: all processes of a group must call it alike; "
            f"{'; '.join(f'rank {r} {text}' for r, text in zip(ranks, said, strict=True))}.", hint=hint
        )  # fmt: skip

    def gather(self, a: Tensor) -> Tensor:
        """`a` of every process, in the order of their ranks, along a new first axis."""
        place = self.place(a)
        parts = [torch.empty_like(place) for _ in range(dist.get_world_size(self.group))]
        self.exchange(lambda: dist.all_gather(parts, place, group=self.group))
        return torch.stack(parts).to(a.device)

    def add_up(self, a: Tensor) -> Tensor:
        """The sum of `a` over the processes."""
        place = self.place(a).clone()
        self.exchange(lambda: dist.all_reduce(place, group=self.group))
        return place.to(a.device)

    def place(self, a: Tensor) -> Tensor:
        """`a` where the group's backend can send from: gloo from the CPU, others from x's device."""
        device = torch.device("cpu") if dist.get_backend(self.group) == "gloo" else self.x.device
        return a.to(device).contiguous()

    def exchange(self, act: Callable[[], Any]) -> None:
        """Do it. Raises NormlabError where another process does not come."""
        try:
            act()
        except RuntimeError as error:
            raise NormlabError(
                f"{self.together.name}: rank {dist.get_rank()} waited for the other ranks of its process_group "
                f"{dist.get_process_group_ranks(self.group)}, and they did not come: {str(error).splitlines()[0]}",
                hint="Every rank must call the layer as often: with an empty batch, x[:0], where it has none; a rank "
                "that evaluates alone must do so under torch.no_grad().",
            ) from error

    def measure(
        self, xp: Any, x: Tensor, axes: tuple[int, ...], *, centre: bool, spread: str, eps: float, mask: Tensor | None
    ) -> formula.Statistics:
        """In the place of `formula.statistics`: those of all processes."""
        one = torch.ones([1 if a in axes else size for a, size in enumerate(x.shape)], dtype=x.dtype, device=x.device)
        none, about_mean = torch.zeros_like(one), centre or spread == "std"
        s = formula.Statistics(none, none, none, none, one, 0.0)
        if x.numel():
            s = formula.statistics(xp, x, axes, centre=about_mean, spread=spread, eps=eps, mask=mask)
        self.meet(TRAINS, one.numel(), x.numel() // one.numel())
        if self.total == 1 and (centre or spread == "std"):
            raise ShapeError(
                f"{self.together.name}: the x of all ranks together has 1 element in each set, "
                f"and less its own mean that is 0.", hint="Give each set at least 2 elements.",
            )  # fmt: skip
        count = one * float(self.headers[dist.get_rank(self.group)].elements)
        if mask is not None:
            count = (mask * torch.ones_like(x)).sum(axes, keepdim=True)  # formula.statistics makes 1 of 0
        wanted = torch.is_grad_enabled() and any(h.needs for h in self.headers)
        # Whose x needs no gradient takes part in the sum on the way back all the same.
        joined = torch.zeros((), requires_grad=wanted)
        parts = [a.expand_as(one) for a in (s.mean, s.square, s.residue, s.unit, count)]
        mean, residue, square, unit, merged = _Merge.apply(self, joined, *parts)
        if not centre:
            mean = residue = none
        number = float(self.total) if mask is None else merged.clamp(min=1.0)
        return formula.Statistics(mean, residue, formula.safe_sqrt(xp, square), square, unit, number)


class _Merge(torch.autograd.Function):
    """Every process's statistics into those of all; backward, the sum of what each one's loss says of these.

    With counts n, N = sum n, means m about the first of them, and s = unit / (own unit):

        mean = first + sum n s (m - first) / N;  square = sum n (s^2 square + (s m - mean)^2) / N
    """

    @staticmethod
    def forward(context: Any, meeting: _Meeting, joined: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        shape, dtype = parts[0].shape, parts[0].dtype
        told = meeting.gather(torch.stack([p.detach().double().flatten() for p in parts]))
        mean, square, residue, unit, count = told.unbind(1)  # each (processes, sets)
        there = count > 0
        smallest = torch.where(there, unit, torch.inf).amin(0)
        common = torch.where(torch.isinf(smallest), 1.0, smallest)
        scale = torch.where(there, common / unit, 0.0)
        mean, residue, square = mean * scale, residue * scale, square * scale * scale
        share = count / count.sum(0).clamp(min=1.0)
        first = there.to(torch.int64).argmax(0, keepdim=True)  # of those that have an element
        high, low = mean.gather(0, first), residue.gather(0, first)
        away = torch.where(there, (mean - high) + (residue - low), 0.0)
        shift = (share * away).sum(0)
        away = away - shift
        merged = (share * (square + away * away)).sum(0)
        own = dist.get_rank(meeting.group)
        context.meeting, context.shape, context.dtype = meeting, shape, dtype
        context.save_for_backward(share[own] * scale[own], scale[own], away[own])
        made = tuple(a.reshape(shape).to(dtype) for a in (high[0], low[0] + shift, merged, common, count.sum(0)))
        context.mark_non_differentiable(made[0], made[3], made[4])
        return made

    @staticmethod
    @once_differentiable
    def backward(context: Any, _: Tensor, by_mean: Tensor, by_square: Tensor, *__: Tensor) -> tuple[Any, ...]:
        share, scale, away = context.saved_tensors
        mine = torch.stack([by_mean.flatten(), by_square.flatten()]).double()
        by_mean, by_square = context.meeting.add_up(mine)
        to_mean = share * (by_mean + 2.0 * away * by_square)
        to_square = share * scale * by_square
        back = [a.reshape(context.shape).to(context.dtype) for a in (to_mean, to_square)]
        return None, torch.zeros(()), *back, None, None, None
