"""Every method as a function: `functional.batch_norm(x, weight, bias, ...)` works on the kind of array it is given.

A call changes nothing it was given. With `training=True` (the default) and running statistics given it returns
`(y, running_mean, running_var)`, else y; a method with a state of its own returns `(result, state)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import registry, signatures
from .definition import Definition
from .errors import DtypeError, UsageError, unknown

__all__ = ["face_of", "function", "normalize"]


def face_of(x: Any, who: str) -> Any:
    """The face for the kind of array that `x` is. Raises DtypeError where there is none."""
    kind = type(x).__module__.partition(".")[0]
    if kind in ("numpy", "builtins"):  # builtins: the NumPy face says what it wants instead
        from . import numpy as face

        return face
    if any(c.__module__.partition(".")[0] == "torch" for c in type(x).__mro__):  # subclasses live elsewhere
        from . import torch

        return torch
    if kind == "mlx":
        from . import mlx

        return mlx
    if kind in ("jax", "jaxlib"):  # tracers are jax's own
        from . import jax

        return jax
    raise DtypeError(
        f"{who}: x must be a NumPy array, got {kind}.{type(x).__name__}.", hint="Convert with numpy.asarray."
    )


def normalize(
    x: Any, pools: str, *, centre: bool = True, spread: str | None = "std", eps: float = 1e-5, eps_rule: str = "inside",
    weight: Any = None, bias: Any = None, affine: str | None = None, **sizes: int,
) -> Any:  # fmt: skip
    """Normalize x by one line of the notation: y = (x - mean) / sqrt(var + eps) * weight + bias.

    Args:
        x: a floating-point array whose axes the line names in their order.
        pools: the line; square brackets mark what shares one statistic, as in "n (g [c]) [...]".
        centre: subtract the mean of the set.
        spread: what divides: "std", "rms", "mean_abs", "l1", "l2", "max", or None for nothing.
        eps, eps_rule: "inside" the root, "outside" it, or a "floor" under it.
        weight, bias: scale and shift; their axes are `affine`, a line without brackets, by default x's axis with c.
        sizes: the sizes of the factors of split axes, as in g=8; one of each axis may be left out.
    Returns: an array of x's shape, dtype and memory layout.
    Raises: PatternError, ShapeError, DtypeError, UsageError.
    Numerics: population statistics in float64 (NumPy), centred twice; a set without spread gives 0, also with eps 0;
        NaN stays in its set.
    Example:
        >>> import numpy as np
        >>> normalize(np.array([[1.0, 3.0], [10.0, 30.0]]), "n [c]", eps=0)
        array([[-1.,  1.],
               [-1.,  1.]])
    """
    from .definition import EPS_RULES, SPREADS

    if spread not in SPREADS:
        raise unknown("spread", str(spread), [s for s in SPREADS if s])
    if eps_rule not in EPS_RULES:
        raise unknown("eps_rule", str(eps_rule), EPS_RULES)
    return face_of(x, "normalize").normalize(
        x, pools, centre=bool(centre), spread=spread, eps=eps, eps_rule=eps_rule, weight=weight, bias=bias,
        affine=affine, sizes=sizes,
    )  # fmt: skip


def function(definition: Definition) -> Any:
    """The function of a definition, registered or not."""
    signature = signatures.function_signature(definition)
    params = [p.name for p in definition.params if p.where != "layer"]
    params += [i.name for i in definition.inputs if i.where != "layer"]
    states = [s.name for s in definition.states]

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            names = [n for n in kwargs if n not in signature.parameters]
            if names:
                raise unknown(f"argument of {definition.name}", names[0], list(signature.parameters)) from None
            raise UsageError(f"{definition.name}: {error}.") from None
        bound.apply_defaults()
        given = bound.arguments
        x = given[definition.subject]
        training = given.get("training", True)
        options = definition.validate({n: v for n, v in given.items() if n in {o.name for o in definition.all_options}})
        if definition.has_running and options["momentum"] is None:
            raise UsageError(
                f"{definition.name}: momentum=None (the cumulative mean) needs a layer, which counts batches."
            )
        if definition.role == "dropout" and training and given["key"] is None:
            raise UsageError(f"{definition.name}: give key= (a whole number or a generator), or training=False.")
        for spec in definition.params:
            if spec.name in given and given[spec.name] is None and spec.name not in definition.affine:
                raise UsageError(f"{definition.name}: {spec.name} is required: {spec.doc or 'axes ' + spec.axes}.")
        held = {n: given[n] for n in states}
        if definition.has_running and len({v is None for v in held.values()}) > 1:
            raise UsageError(f"{definition.name}: give both running_mean and running_var, or neither.")
        made = face_of(x, definition.name).call(
            definition, x, {n: given[n] for n in params}, held, options,
            layout=given.get("layout"), eps=given.get("eps"), training=training,
            mask=given.get("mask"), key=given.get("key"),
            trailing=_trailing(definition, given),
        )  # fmt: skip
        if made.state is None or (definition.has_running and not training):
            return made.y
        return (made.y, *(made.state[n] for n in states))

    return signatures.documented(
        run, definition.name, signature, signatures.function_doc(definition), "normlab.functional"
    )


def _trailing(definition: Definition, given: Mapping[str, Any]) -> int:
    """How many last axes are the channels: as many as the weight or, without one, the bias has."""
    if not definition.layout.endswith(" c"):
        return 1
    return max([1, *(getattr(given.get(p.name), "ndim", 1) for p in definition.params)])


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in registry.list_methods():
        definition = registry.method(name)
        if definition.role != "input":
            globals()[name] = function(definition)
            return globals()[name]
    raise AttributeError(f"module 'normlab.functional' has no function {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(d.name for d in registry.methods() if d.role != "input")])
