"""What a method is made of. A file in `methods/` holds one `Definition`; everything else reads it.

Nothing here computes with arrays: a definition is data, plus a `forward` where its fields cannot say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

from .constraints import Constraint, Divides, Interval, OneOf
from .errors import PatternError, UsageError, unknown
from .notation import REST
from .pattern import Pattern, parse, parse_plain

__all__ = [
    "AFFINE",
    "Choice",
    "Definition",
    "Divides",
    "Input",
    "Interval",
    "KnownAs",
    "OneOf",
    "Option",
    "Param",
    "State",
    "Worked",
    "from_line",
]

FAMILIES = ("activation", "weight", "self_normalizing", "conditional", "whitening", "replacement", "placement", "data")
ROLES = (
    "norm", "activation", "norm_and_activation", "dropout", "weight", "condition", "input", "branch", "gradient",
)  # fmt: skip
SPREADS = ("std", "rms", "mean_abs", "l1", "l2", "max", None)
EPS_RULES = ("inside", "outside", "floor")
STARTS = ("normal", "unit normal", "identity")
INVARIANCES = ("shift", "scale", "permute", "independent")
Start = float | str | Callable[[Mapping[str, Any]], float]


@dataclass(frozen=True)
class Option:
    """A keyword of a method: its default, what it may be, a sentence; `factor` names the axis factor that it sizes."""

    name: str
    default: Any
    constraint: Constraint
    doc: str
    factor: str | None = None


@dataclass(frozen=True)
class Param:
    """A learnt array: `axes` names them (a name may repeat, parentheses merge, "" is a scalar).

    `start` is a number, "normal" (standard deviation 1/sqrt(last axis)), "unit normal" (a random vector of length 1),
    "identity" (in the last two axes) or a function of the options. `where`: "layer" for what a function is not given,
    "host" for a state that only whoever holds the weight can keep, since its shape is the weight's.
    """

    name: str
    axes: str
    start: Start
    doc: str = ""
    where: str = "both"


@dataclass(frozen=True)
class State(Param):
    """An array that a layer keeps and a functional call returns anew; never learnt."""


@dataclass(frozen=True)
class Input:
    """A further array of a call; `where`: "layer" or "function" for what only one of the two takes."""

    name: str
    axes: str
    doc: str
    required: bool = True
    where: str = "both"


@dataclass(frozen=True)
class Choice:
    """A line of notation for each value of an option."""

    option: str
    lines: Mapping[str, str]


@dataclass(frozen=True)
class KnownAs:
    """A class of another framework that does the same: `options` maps its names to ours, `differs` says in what not.

    Of a layer that is made already, `channels` is the attribute that tells them, `fixed` what it does not tell
    (arguments of ours that all its layers have, or that stand for its None), and `unless` attributes with the value for
    which it does something else, so that ours may not take its place.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    differs: str = ""
    channels: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unless: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Worked:
    """One tiny case computed by hand: nested lists, and the lines of arithmetic that lead from `x` to `y`."""

    x: Sequence[Any]
    y: Sequence[Any]
    derivation: Sequence[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Any] = field(default_factory=dict)  # parameters, state and inputs by name
    eps: float | None = None


AFFINE = (Param("weight", "c", 1.0, "scale of a channel"), Param("bias", "c", 0.0, "shift of a channel"))
# What every layer with running statistics can be told besides its own options.
RUNNING = (
    Option("running", True, OneOf(True, False), "whether the layer keeps running statistics for evaluation"),
    Option("momentum", 0.1, Interval(0, 1, none=True), "weight of the new value; None: the cumulative mean"),
    Option("running_var_biased", False, OneOf(True, False), "store the population variance, not the unbiased one"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Definition:
    """One method. The fields are explained in CONTRIBUTING.md, "One more method"."""

    name: str
    short: str
    class_name: str
    title: str
    title_ko: str
    family: str
    role: str
    source: str
    year: int
    covers: tuple[str, ...]
    pools: str | Mapping[str, str] | Choice | None = None
    centre: bool = True
    spread: str | None = "std"
    eps: float | None = 1e-5
    eps_rule: str = "inside"
    params: tuple[Param, ...] = ()
    state: tuple[State, ...] | None = None
    running: bool = True
    inputs: tuple[Input, ...] = ()
    init: str | None = None
    activation: str | None = None
    start: Callable[..., dict[str, Any]] | None = None
    options: tuple[Option, ...] = ()
    sizes: Mapping[str, int | Callable[[Mapping[str, int]], int]] = field(default_factory=dict)
    layout: str = "n c ..."
    subject: str = "x"
    affine: tuple[str | None, str | None] = ("weight", "bias")
    invariances: tuple[str, ...] = ()
    known_as: tuple[KnownAs, ...] = ()
    worked: Worked | None = None
    forward: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        def need(true: bool, what: str) -> None:
            if not true:
                raise UsageError(f"definition of {self.name!r}: {what}.")

        need(bool(re.fullmatch(r"[a-z][a-z0-9_]*", self.name)) or self.source == "notation", "name must be snake_case")
        need(self.class_name.isidentifier(), f"class_name must be an identifier, got {self.class_name!r}")
        need(self.family in FAMILIES, f"family must be one of {', '.join(FAMILIES)}, got {self.family!r}")
        need(self.role in ROLES, f"role must be one of {', '.join(ROLES)}, got {self.role!r}")
        need(self.spread in SPREADS, f"spread must be one of {SPREADS}, got {self.spread!r}")
        need(self.eps_rule in EPS_RULES, f"eps_rule must be one of {', '.join(EPS_RULES)}, got {self.eps_rule!r}")
        need(self.source.strip().lower() not in ("", "common knowledge"), "source must name a paper, venue or equation")
        need(all(i in INVARIANCES for i in self.invariances), f"invariances must be of {', '.join(INVARIANCES)}")
        need(self.forward is not None or self.pools is not None or self.role == "input", "give pools or a forward")
        need(self.forward is not None or not isinstance(self.pools, Mapping), "several named lines need a forward")
        named: tuple[Any, ...] = (*self.params, *(self.state or ()), *self.inputs, *self.all_options)
        names = [p.name for p in named]
        need(len(names) == len(set(names)), "params, state, inputs and options must have different names")
        starts = [p.start for p in (*self.params, *(self.state or ())) if isinstance(p.start, str)]
        need(set(starts) <= set(STARTS), f"a start must be a number, a function, or one of {', '.join(STARTS)}")
        parse_plain(self.layout)
        for line in self._texts():
            parse(line)
        if isinstance(self.pools, Choice):
            need(any(o.name == self.pools.option for o in self.options), f"no option {self.pools.option!r}")

    def __deepcopy__(self, memo: Any) -> Definition:
        return self  # nothing in it ever changes, and a copy would be another method

    def _texts(self) -> tuple[str, ...]:
        if self.pools is None:
            return ()
        if isinstance(self.pools, str):
            return (self.pools,)
        return tuple((self.pools.lines if isinstance(self.pools, Choice) else self.pools).values())

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The declared state; left out, running statistics for a line that pools the batch, over its unpooled axes."""
        if self.state is not None:
            return tuple(s for s in self.state if s.where != "host")
        texts = self._texts() if not isinstance(self.pools, Choice) else ()
        lines = [p for p in map(parse, texts) if "n" in p.pooled]
        if len(lines) != 1:
            return ()
        if REST in lines[0].kept:  # as many as there are positions, which a layer cannot know beforehand
            return ()
        axes = " ".join(lines[0].kept)
        return (State("running_mean", axes, 0.0), State("running_var", axes, 1.0))

    @cached_property
    def hosted(self) -> tuple[State, ...]:
        """State beside that, kept where a weight method is joined to a module; a forward finds None elsewhere."""
        return tuple(s for s in self.state or () if s.where == "host")

    @cached_property
    def has_running(self) -> bool:
        """Whether a layer of this method can keep running statistics."""
        return any(s.name == "running_var" for s in self.states)

    @cached_property
    def all_options(self) -> tuple[Option, ...]:
        """Its own options, and those of running statistics where it can have them."""
        if not self.has_running:
            return self.options
        running, *others = RUNNING
        default = Option(running.name, self.running, running.constraint, running.doc)
        return (*self.options, default, *others)

    def validate(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """`options` with the defaults filled in. Raises UsageError naming what was required and what came."""
        known = {o.name: o for o in self.all_options}
        for name in options:
            if name not in known:
                raise unknown(f"option of {self.name}", name, known or ["none"])
        filled = {o.name: options.get(o.name, o.default) for o in known.values()}
        for option in known.values():
            if not option.constraint.accepts(filled[option.name]):
                raise UsageError(
                    f"{self.name}: {option.name} must be {option.constraint}, got {filled[option.name]!r}."
                )
        return filled

    def lines(self, options: Mapping[str, Any]) -> dict[str, Pattern]:
        """The lines that hold for these options, by name; a single one is called ""."""
        if self.pools is None:
            return {}
        if isinstance(self.pools, str):
            return {"": parse(self.pools)}
        if isinstance(self.pools, Choice):
            return {"": parse(self.pools.lines[options[self.pools.option]])}
        return {name: parse(text) for name, text in self.pools.items()}

    def factor_sizes(self, options: Mapping[str, Any], channels: int | None) -> dict[str, int]:
        """The sizes of axis names that options and `sizes` give; "auto" is resolved by the number of channels."""
        sizes = {n: s for n, s in self.sizes.items() if isinstance(s, int)}
        for option in self.options:
            if option.factor is not None:
                value = options[option.name]
                resolve = getattr(option.constraint, "resolve", None)
                if resolve is not None and channels is not None:
                    value = resolve(f"{self.name}: {option.name}", value, channels)
                if isinstance(value, Integral):
                    sizes[option.factor] = int(value)
        if channels is not None:
            sizes |= {n: s({"c": channels, **sizes}) for n, s in self.sizes.items() if not isinstance(s, int)}
        return sizes

    def resolve(self, options: Mapping[str, Any], channels: int) -> dict[str, Any]:
        """`options` with every "auto" replaced by its number, for a forward."""
        sizes = self.factor_sizes(options, channels)
        return {**options, **{o.name: sizes[o.factor] for o in self.options if o.factor in sizes}}


def from_line(line: str, sizes: Mapping[str, int] | None = None) -> Definition:
    """A definition without a name for one line of notation, so that a user's own line acts like a method."""
    pattern = parse(line)
    if "c" not in pattern.names:
        raise PatternError(f"{line!r} must name the channels c to stand in a network.")
    strange = [n for n in (sizes or {}) if n not in pattern.names]
    if strange:
        raise unknown(f"axis of {line!r}", strange[0], [n for n in pattern.names if n != "..."])
    return Definition(
        name=line, short=line, class_name="Normalize", title=line, title_ko=line, family="activation", role="norm",
        source="notation", year=0, covers=(), pools=line, params=AFFINE, sizes=dict(sizes or {}),
    )  # fmt: skip
