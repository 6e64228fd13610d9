"""A trace by running: a batch goes through the model, and every tensor is followed by identity, memory and version.

Hooks on all modules say which layer runs; a dispatch mode sees every operation, so that a function between two layers,
an operation in place, a view, or a weight read by somebody else cannot hide. It proves what this batch did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from .flow import Call, Flow, Use, Value, address, evaluating, host, layers_of, names_of
from .measuring import call, outputs, tensors

__all__ = ["recorded"]

ALIASES = ("aten.alias", "aten.detach", "aten.view", "aten._unsafe_view", "aten.slice")
DEEPEST = 5  # into the objects that a model returns: a cache of layers of tensors has three levels


def recorded(model: nn.Module, batch: Any, forward: Callable[[Any, Any], Any] | None) -> Flow:
    """What went where when the model, in evaluation, was given the batch."""
    recorder = _Recorder(model)

    def run(model: nn.Module, batch: Any) -> Any:
        with recorder.hooked(model), recorder:
            found = call(model, batch, forward)
        recorder.finish(model, found)
        return ()

    with evaluating(model):
        outputs(model, batch, run)  # buffers and random numbers stay as they are
    return recorder.flow


class _Kept(NamedTuple):
    """A tensor that a layer gave, kept alive so that neither its id nor its memory is used again."""

    tensor: Tensor
    version: int
    value: Value


class _Open(NamedTuple):
    """The layer that runs now, and what it was given."""

    layer: nn.Module
    depth: int
    given: list[Tensor]
    versions: list[int]
    addresses: set[int | None]


class _Recorder(TorchDispatchMode):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.flow, self.layers = Flow(names_of(model)), layers_of(model)
        self.by_id: dict[int, _Kept] = {}
        self.by_address: dict[int | None, list[Value]] = {}
        self.made_by: Any = WeakIdKeyDictionary()
        self.stack: list[nn.Module] = []
        self.open: _Open | None = None
        self.owners: dict[int | None, set[nn.Module]] = {}
        for path, module in model.named_modules():
            for tensor in [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
                self.owners.setdefault(address(tensor), set()).add(model.get_submodule(host(path)))
        for layer in self.layers:  # a layer may read what its parts hold
            for tensor in [*layer.parameters(), *layer.buffers()]:
                self.owners[address(tensor)].add(layer)

    @contextmanager
    def hooked(self, model: nn.Module) -> Iterator[None]:
        handles = []
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(self.enter, with_kwargs=True, prepend=True))
            handles.append(module.register_forward_hook(self.leave, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        found = func(*args, **(kwargs or {}))
        if name in ALIASES and found.shape == args[0].shape and self.rename(args[0], found):
            return found
        for tensor in tensors((args, kwargs or {})):
            self.take(tensor, name)
        for tensor in tensors(found):
            self.made_by[tensor] = name
        return found

    def rename(self, tensor: Tensor, alias: Tensor) -> bool:
        """The whole value under another name, x[:, :] or a view of its own shape, is that value."""
        kept = self.by_id.get(id(tensor))
        if kept is None or self.open is not None or kept.version != tensor._version:
            return False
        self.by_id[id(alias)] = _Kept(alias, alias._version, kept.value)
        return True

    def take(self, tensor: Tensor, name: str) -> None:
        """An operation reads a tensor."""
        place = address(tensor)
        if self.open is None or place not in self.open.addresses:
            for value in self.by_address.get(place, ()):
                value.uses.append(Use(None, name))
        if place in self.owners and not self.owners[place].intersection(self.stack):
            self.flow.reads[place or 0] = name

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.stack.append(module)
        if module not in self.layers:
            return
        if self.open is not None:
            inside = Call(f"the inside of {self.flow.name(self.open.layer)}", None, Value(module))
            self.flow.calls.setdefault(module, []).append(inside)
            return
        given = list(tensors((args, kwargs)))
        versions = [t._version for t in given]
        self.open = _Open(module, len(self.stack), given, versions, {address(t) for t in given})

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        opened = self.open
        if opened is not None and opened.layer is module and opened.depth == len(self.stack):
            self.open = None
            self.close(opened, output)
        self.stack.pop()

    def close(self, opened: _Open, output: Any) -> None:
        """A layer is done: it took its inputs, unless it only passed its one input on, and gave its output."""
        layer, given = opened.layer, opened.given
        if len(given) == 1 and output is given[0] and output._version == opened.versions[0]:
            return
        for tensor in given:
            alone = self.by_id.get(id(tensor)) if len(given) == 1 else None
            for value in self.by_address.get(address(tensor), ()):
                whole = alone is not None and alone.value is value and alone.version == opened.versions[0]
                value.uses.append(Use(layer if whole else None, self.flow.name(layer)))
        value = Value(layer)
        first = given[0] if len(given) == 1 else None
        source = "several tensors" if first is None else self.source(first, opened.versions[0])
        self.flow.calls.setdefault(layer, []).append(Call(source, None if first is None else first.ndim, value))
        if isinstance(output, Tensor):
            self.by_id[id(output)] = _Kept(output, output._version, value)
            self.by_address.setdefault(address(output), []).append(value)

    def source(self, tensor: Tensor, version: int) -> Value | str:
        kept = self.by_id.get(id(tensor))
        if kept is not None and kept.version == version:
            return kept.value
        return self.made_by.get(tensor, "outside the model")

    def finish(self, model: nn.Module, found: Any) -> None:
        """What the model returns, or keeps, is used whatever comes of it."""
        for tensor in _deep(found, DEEPEST):
            for value in self.by_address.get(address(tensor), ()):
                value.uses.append(Use(None, "the model's output"))
        for module in model.modules():
            own = {n: v for n, v in vars(module).items() if n not in ("_parameters", "_buffers", "_modules")}
            for tensor in _deep(own, 2):
                for value in self.by_address.get(address(tensor), ()):
                    value.uses.append(Use(None, f"what {self.flow.name(module)} keeps"))


def _deep(found: Any, levels: int) -> Iterator[Tensor]:
    """The tensors in a value, also those that objects have as attributes."""
    if isinstance(found, Tensor):
        yield found
    elif levels and not isinstance(found, nn.Module | type):
        inside = found if isinstance(found, list | tuple | set) else ()
        named = found.values() if isinstance(found, Mapping) else ()
        own = vars(found).values() if hasattr(found, "__dict__") else ()
        for value in (*inside, *named, *own):
            yield from _deep(value, levels - 1)
