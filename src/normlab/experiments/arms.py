"""What an arm is: a name with options, a line of notation, or none; read, checked, and refused where it cannot act.

No method is named here. What an arm does follows from its role.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

from normlab import registry
from normlab.definition import Definition, from_line
from normlab.errors import PatternError, UsageError, unknown
from normlab.language import both
from normlab.pattern import REST, parse

from .presets import Preset

NONE = "none"
ALL = "all"
Text = dict[str, str]
Methods = str | Definition | Iterable[str | Definition] | None
# Roles that stand between layers or on something else than activations, weights or inputs.
EXPLAINED = ("condition", "branch", "gradient")
_WORDS = {"true": True, "false": False, "none": None}


class Shaped(Protocol):
    """What an arm must know of an experiment to say whether it can act there."""

    verb: ClassVar[str]

    @property
    def is_conv(self) -> bool:
        """Whether the layers are convolutions on images."""

    @property
    def batch(self) -> int:
        """Inputs at a time."""

    @property
    def width(self) -> int:
        """Units, or channels."""


@dataclass(frozen=True)
class Arm:
    """One arm; `definition` is None for the arm without."""

    label: str
    definition: Definition | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # all of the method's own, the given and the default
    given: frozenset[str] = frozenset()
    eps: float | None = None

    @property
    def method(self) -> str:
        """The document's `method`: the long name, the line of notation, or none."""
        return NONE if self.definition is None else self.definition.name

    @property
    def role(self) -> str:
        """What it stands for in a network."""
        return NONE if self.definition is None else self.definition.role

    @cached_property
    def shown_options(self) -> dict[str, Any]:
        """The document's `options`: eps travels with them."""
        if self.definition is None:
            return {}
        if self.definition.source == "notation":
            own = dict(self.definition.sizes)
        else:
            names = {o.name for o in self.definition.options} | self.given
            own = {name: value for name, value in self.options.items() if name in names}
        return own if self.eps is None else {**own, "eps": self.eps}


def texts_of(methods: Methods) -> list[str | Definition] | None:
    """The arms as they were written; one string may hold several names, but only one line of notation."""
    if methods is None:
        return None
    if isinstance(methods, str):
        return [methods] if "[" in methods else list(methods.split())
    return [methods] if isinstance(methods, Definition) else list(methods)


def text_of(arm: str | Definition) -> str:
    """An arm as it is written."""
    return arm.short if isinstance(arm, Definition) else arm


def read_arms(methods: Methods, preset: Preset) -> list[Arm]:
    """The arms in their order. Raises UsageError for two equal ones, for none at all and for what cannot be read."""
    if methods is None:
        methods = preset.methods
    elif isinstance(methods, str):
        methods = [methods] if "[" in methods else methods.split()
    elif isinstance(methods, Definition):
        methods = [methods]
    arms: list[Arm] = []
    for one in methods:
        if one == ALL:
            every = [read_arm(name, preset) for name in (NONE, *registry.list_methods())]
            arms += [arm for arm in every if not any(_same(arm, other) for other in arms)]
            continue
        arm = read_arm(one, preset)
        twin = next((other for other in arms if _same(arm, other)), None)
        if twin is not None:
            raise UsageError(f"the arms {twin.label!r} and {arm.label!r} are the same.", hint="Leave one out.")
        arms.append(arm)
    if not arms:
        raise UsageError("Give at least one arm.", hint="For example: none bn ln.")
    return arms


def read_arm(text: str | Definition, preset: Preset) -> Arm:
    """Read one arm, such as `gn:groups=4,eps=1e-3` or `n (g [c]) [...]:g=4`."""
    if isinstance(text, Definition):
        return _arm(text, text.short, {}, preset)
    if not isinstance(text, str):
        raise UsageError(f"an arm must be text such as 'gn:groups=4', got {type(text).__name__}.")
    name, _, rest = text.strip().partition(":")
    name = name.strip()
    given = _read_options(text, rest)
    if name.lower() == NONE:
        if given:
            raise UsageError(f"the arm none has no options, got {text!r}.")
        return Arm(NONE)
    if "[" in name:
        eps = {n: given.pop(n) for n in ("eps",) if n in given}
        definition = from_line(name, given)
        return _arm(definition, _label(str(parse(name)), {**given, **eps}), eps, preset)
    definition = _find(name)
    return _arm(definition, _label(definition.short, given), given, preset)


def _find(name: str) -> Definition:
    try:
        return registry.method(name)
    except LookupError as problem:
        if any(mark in name for mark in " ()]."):
            raise PatternError(
                f"{name!r} is no method, and as a line of notation it pools nothing.",
                hint="Put square brackets round the axes that share one statistic, as in 'n c [...]'.",
            ) from problem
        names = [n for d in registry.methods() for n in (d.name, d.short)]
        raise unknown("method", name, [NONE, ALL, *names]) from problem


def _arm(definition: Definition, label: str, given: Mapping[str, Any], preset: Preset) -> Arm:
    filled = {**preset.options.get(definition.name, {}), **given}
    known = [*(["eps"] if definition.eps is not None else []), *(o.name for o in definition.all_options)]
    for name in filled:
        if name not in known:
            raise unknown(f"option of {definition.name}", name, known or ["none"])
    eps = filled.pop("eps", None)
    if definition.eps is not None:
        from normlab.fitting import check_eps

        # A preset's eps is that of the note's batch norm: it belongs inside the root.
        usual = preset.eps if preset.eps is not None and definition.eps_rule == "inside" else definition.eps
        eps = check_eps(definition.name, usual if eps is None else eps)
    return Arm(label, definition, definition.validate(filled), frozenset(given), eps)


def _same(a: Arm, b: Arm) -> bool:
    return a.method == b.method and a.options == b.options and a.shown_options == b.shown_options


def _read_options(text: str, rest: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        name, equals, value = (p.strip() for p in part.partition("="))
        if not equals or not name or not value:
            raise UsageError(f"options are written name=value with commas between, got {text!r}.")
        if name in found:
            raise UsageError(f"{name} is given twice in {text!r}.")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _label(name: str, options: Mapping[str, Any]) -> str:
    shown = ",".join(f"{n}={_spell(v)}" for n, v in options.items())
    return f"{name}:{shown}" if shown else name


def _spell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def refusal(arm: Arm, settings: Shaped, shape: Sequence[int], layout: str) -> dict[str, Any] | None:
    """Why the arm cannot act on activations of that shape, in both languages, with the command that shows it; or None.

    Raises UsageError where the arm was asked for wrongly, such as groups that do not divide the channels.
    """
    definition = arm.definition
    if definition is None:
        return None
    if definition.role in EXPLAINED:
        reason = both(
            "{label} acts by a condition, a second branch or the gradient, which a plain network does not have",
            label=arm.label,
        )
        return {**reason, "command": f"normlab guide {definition.name}"}
    if definition.role not in ("norm", "norm_and_activation"):
        return None
    sizes = definition.factor_sizes(arm.options, settings.width)
    for line in definition.lines(arm.options).values():
        pattern = line.arrange(layout)
        plan = pattern.plan(tuple(shape), {n: s for n, s in sizes.items() if n in pattern.names})
        centred = definition.centre or definition.spread == "std"
        if plan.count == 1 and centred and definition.forward is None:
            reason = both(
                "{label} cannot act here: on layer 1, of shape {shape}, each statistic of {line} would have a single "
                "element, and less its own mean that is 0",
                label=arm.label, line=str(line), shape=" x ".join(map(str, shape)),
            )  # fmt: skip
            return {**reason, "command": _elsewhere(arm, settings, REST in line.pooled)}
    return None


def _elsewhere(arm: Arm, settings: Shaped, pools_positions: bool) -> str:
    """A command under which the arm does act."""
    label = shlex.quote(arm.label)
    if pools_positions and not settings.is_conv:
        return f"normlab {settings.verb} none {label} --net conv"
    if settings.batch == 1:
        return f"normlab {settings.verb} none {label}"
    return "normlab guide"
