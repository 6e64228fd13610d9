"""The same methods in other libraries, each with its library's conventions translated: `twin_of` makes one to run.

One adapter a library, not a method: how its layers are called, what they call their arrays, where the channels stand,
which way round momentum weighs, and how its arrays are differentiated. Which class and which options is for
`known_as` to say; what that leaves open is in the adapters.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from face_base import COUNT, Done
from faces import of
from grid import CHANNELS
from normlab.definition import Definition, KnownAs

__all__ = ["ADAPTERS", "VALUES", "Twin", "library_of", "twin_of"]

# Values that no default has, so that an option that is not passed on shows.
VALUES = {
    "eps": 3e-3, "momentum": 0.3, "groups": 2, "size": 4, "alpha": 0.7, "beta": 0.6, "k": 2.0, "affine": True,
    "bias": True, "running": True, "p": 0.3,
}  # fmt: skip


class Twin:
    """A layer of another library. `face` is the face of normlab with the same arrays."""

    face = "torch"
    layout: str | None = None  # None: the definition's own
    biased = False  # stores the population variance
    words: ClassVar[Mapping[str, str]] = {}  # its names of our arrays

    def __init__(self, d: Definition, known: KnownAs) -> None:
        self.definition, self.known, self.arrays = d, known, of(self.face)
        self.options = {o: VALUES[o] for o in known.options.values() if o in VALUES}
        self.options |= {"momentum": VALUES["momentum"]} if d.has_running else {}
        self.made = self.make(resolve(known.name), {t: VALUES[o] for t, o in known.options.items() if o in VALUES})

    def make(self, made: Any, theirs: dict[str, Any]) -> Any:
        raise NotImplementedError

    def run(self, x: np.ndarray, dy: np.ndarray, params: Mapping[str, Any], state: Mapping[str, Any], training: bool) -> Done:
        """One call with these arrays, by our names."""
        raise NotImplementedError

    def shapes(self) -> list[tuple[int, ...]]:
        """What it takes, by the number in its name; the channels stand where `layout` says."""
        wanted = re.search(r"(\d)d$", self.known.name)
        found = [(16, 8), (4, 8, 6), (3, 8, 4, 5), (2, 8, 3, 2, 4)]
        if wanted:
            ranks = {int(wanted.group(1)) + 2} | ({2} if self.known.name.endswith("BatchNorm1d") else set())
            found = [s for s in found if len(s) in ranks]
        if len(self.definition.layout.split()) > 2:
            found = [s for s in found if len(s) > 2 or self.known.name.endswith("BatchNorm1d")]  # sets have positions
        last = (self.layout or self.definition.layout).endswith("c")
        return [(*s[:1], *s[2:], s[1]) for s in found] if last else found


def resolve(name: str) -> Any:
    """`flax.nnx.BatchNorm`, by way of `foreign` where a library has to be prepared."""
    import foreign

    top, *rest = name.split(".")
    found: Any = getattr(foreign, top) if top in foreign.__all__ else importlib.import_module(top)
    for part in rest:
        if not hasattr(found, part):
            found = importlib.import_module(f"{found.__name__}.{part}")
            continue
        found = getattr(found, part)
    return found


class Torch(Twin):
    """torch.nn and timm."""

    def make(self, made: Any, theirs: dict[str, Any]) -> Any:
        if self.known.name.endswith("2d") and self.definition.layout.endswith("c"):
            self.layout = "n c ..."
        taken = inspect.signature(made).parameters
        channels = {n: CHANNELS for n in taken if n in ("num_features", "num_channels", "normalized_shape", "channels")}
        if self.known.differs == "one group":
            self.options["groups"] = 1
            theirs = {n: a for n, a in theirs.items() if self.known.options[n] != "groups"}
        return made(**channels, **theirs)

    def run(self, x: np.ndarray, dy: np.ndarray, params: Mapping[str, Any], state: Mapping[str, Any], training: bool) -> Done:
        import torch

        self.made.load_state_dict({n: self.arrays.array(np.asarray(a)) for n, a in {**params, **state}.items()}, strict=False)
        self.made.train(training)
        t, named = self.arrays.array(x).requires_grad_(), dict(self.made.named_parameters())
        y = self.made(t)
        dx, *found = torch.autograd.grad(y, [t, *named.values()], self.arrays.array(dy))
        back = self.arrays.back
        return Done(back(y), {n: back(a).copy() for n, a in self.made.named_buffers()}, back(dx),
                    {n: back(g) for n, g in zip(named, found, strict=True)})  # fmt: skip


class Keras(Twin):
    """Keras on torch's arrays: channels last, momentum weighs the old value."""

    layout, biased = "n ... c", True
    words: ClassVar = {"gamma": "weight", "beta": "bias", "scale": "weight", "moving_mean": "running_mean", "moving_variance": "running_var"}

    def make(self, made: Any, theirs: dict[str, Any]) -> Any:
        if self.definition.has_running:
            theirs["momentum"] = 1 - VALUES["momentum"]
        if self.definition.lines(self.definition.validate({}))[""].pooled == ("c", "...") and not self.definition.params:
            theirs["axis"] = [1, 2, 3]  # all but the samples
        layer = made(**theirs)
        layer.build(self.shapes()[-1] if "axis" not in theirs else (3, 4, 5, CHANNELS))
        return layer

    def shapes(self) -> list[tuple[int, ...]]:
        return super().shapes()[1:2]

    def run(self, x: np.ndarray, dy: np.ndarray, params: Mapping[str, Any], state: Mapping[str, Any], training: bool) -> Done:
        import torch

        held = {self.words[v.name]: v for v in self.made.variables if v.name in self.words}
        for name, a in {**params, **state}.items():
            if name in held:
                held[name].assign(a)
        t, named = self.arrays.array(x).requires_grad_(), {n: v.value for n, v in held.items() if v.trainable}
        y = self.made(t, training=training) if self.definition.has_running else self.made(t)
        dx, *found = torch.autograd.grad(y, [t, *named.values()], self.arrays.array(dy))
        back = self.arrays.back
        return Done(back(y), {n: back(v.value).copy() for n, v in held.items() if not v.trainable}, back(dx),
                    {n: back(g) for n, g in zip(named, found, strict=True)})  # fmt: skip


class Flax(Twin):
    """flax.nnx: channels last, momentum weighs the old value, and two passes only where asked for."""

    face, layout, biased = "jax", "n ... c", True
    words: ClassVar = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}

    def make(self, made: Any, theirs: dict[str, Any]) -> Any:
        from flax import nnx

        if not inspect.isclass(made):
            return made
        taken = inspect.signature(made.__init__).parameters
        theirs |= {"use_fast_variance": False} if "use_fast_variance" in taken else {}
        theirs |= {"momentum": 1 - VALUES["momentum"]} if self.definition.has_running and "momentum" in taken else {}
        return made(CHANNELS, rngs=nnx.Rngs(0), **theirs)

    def shapes(self) -> list[tuple[int, ...]]:
        return super().shapes()[1:2]  # each is compiled anew

    def run(self, x: np.ndarray, dy: np.ndarray, params: Mapping[str, Any], state: Mapping[str, Any], training: bool) -> Done:
        import jax
        from flax import nnx

        if not isinstance(self.made, nnx.Module):
            y, pull = jax.vjp(self.made, x)
            return Done(np.asarray(y), {}, np.asarray(pull(dy)[0]), {})
        held = {o: getattr(self.made, t) for t, o in self.words.items() if isinstance(getattr(self.made, t, None), nnx.Variable)}
        for name, a in {**params, **state}.items():
            if name in held:
                held[name].set_value(jax.numpy.asarray(a))
        keeps = self.definition.has_running and "running_mean" in held
        graph, learnt, rest = nnx.split(self.made, nnx.Param, ...)

        def forward(learnt: Any, x: Any) -> Any:
            module = nnx.merge(graph, learnt, rest, copy=True)
            y = module(x, use_running_average=not training) if keeps else module(x)
            return y, nnx.state(module, nnx.BatchStat)

        @jax.jit
        def both(learnt: Any, x: Any, dy: Any) -> Any:
            y, pull, moved = jax.vjp(forward, learnt, x, has_aux=True)
            return y, pull(dy), moved

        y, (dlearnt, dx), moved = both(learnt, x, dy)
        grads, new = ({self.words[k]: np.asarray(v.get_value()) for k, v in s.items()} for s in (dlearnt, moved))
        return Done(np.asarray(y), new, np.asarray(dx), grads)


class Mlx(Twin):
    """mlx.nn: channels last."""

    face, layout = "mlx", "n ... c"

    def shapes(self) -> list[tuple[int, ...]]:
        return [s for s in super().shapes() if len(s) < 5]  # its batch norm takes no more

    def make(self, made: Any, theirs: dict[str, Any]) -> Any:
        taken = inspect.signature(made).parameters
        channels = {n: CHANNELS for n in taken if n in ("num_features", "dims")}
        return made(**channels, **theirs, **({"pytorch_compatible": True} if "pytorch_compatible" in taken else {}))

    def run(self, x: np.ndarray, dy: np.ndarray, params: Mapping[str, Any], state: Mapping[str, Any], training: bool) -> Done:
        import mlx.core as mx

        names = [n for n in params if n in self.made]
        held = {n: self.arrays.array(np.asarray(a)) for n, a in state.items() if n in self.made and n != COUNT}
        self.made.train(training)

        def forward(x: Any, *rest: Any) -> Any:
            for name, a in {**held, **dict(zip(names, rest, strict=True))}.items():
                self.made[name] = a
            return self.made(x)

        given = [self.arrays.array(a) for a in (x, *(params[n] for n in names))]
        y = forward(*given)
        new = {n: self.arrays.back(self.made[n]) for n in held}
        dx, *found = mx.vjp(forward, given, [self.arrays.array(dy)])[1]
        grads = {n: self.arrays.back(g) for n, g in zip(names, found, strict=True)}
        return Done(self.arrays.back(y), new, self.arrays.back(dx), grads)


ADAPTERS: dict[str, type[Twin]] = {"torch.nn": Torch, "timm.layers": Torch, "keras.layers": Keras, "flax.nnx": Flax, "mlx.nn": Mlx}


def library_of(known: KnownAs) -> str:
    """`torch.nn.functional` of `torch.nn.functional.normalize`."""
    return known.name.rpartition(".")[0]


def twin_of(d: Definition, known: KnownAs) -> Twin:
    """The twin that a definition names."""
    return ADAPTERS[library_of(known)](d, known)
