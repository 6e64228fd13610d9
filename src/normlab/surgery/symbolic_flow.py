"""A trace without a batch, by torch.fx: the graph of the model as it is called with its required arguments alone."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.dropout import _DropoutNd

from .flow import Call, Flow, Use, Value, address, evaluating, layers_of, names_of

__all__ = ["Untraceable", "symbolic"]


MEASURES = ("shape", "dtype", "device", "ndim", "size", "dim", "is_cuda", "requires_grad", "stride", "numel")


class Untraceable(Exception):
    """Why torch.fx makes no graph of a model."""


class _Proxy(fx.Proxy):
    """Notes who asks for its class: it is no tensor, and a model that asks is traced along a path no tensor takes.

    Saying that it is one would be worse: torch then reads memory that is not there.
    """

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        asking = sys._getframe(1).f_globals.get("__name__", "")
        if asking.partition(".")[0] != "torch":
            self.tracer.asking = asking  # type: ignore[attr-defined]
        return type(self)


class _Tracer(fx.Tracer):
    def __init__(self, layers: set[nn.Module]) -> None:
        super().__init__()
        self.layers = layers
        self.asking = ""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self.layers

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


def symbolic(model: nn.Module) -> Flow:
    """What goes where in evaluation, whatever the input. Raises Untraceable."""
    own = [(m, dict(vars(m))) for m in model.modules()]
    buffers = [(b, b.clone()) for b in model.buffers()]
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracer = _Tracer(layers_of(model))
            graph = tracer.trace(model, concrete_args=_defaults(model))
    except Exception as error:  # a model may do anything with what it takes for a tensor
        raise Untraceable(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from None
    finally:
        kept = [node for module, _ in own for node in _nodes(vars(module))]
        for module, attributes in own:  # a model that keeps what it computes would keep a proxy
            vars(module).clear()
            vars(module).update(attributes)
        for buffer, value in buffers:
            buffer.copy_(value)
    if tracer.asking:
        raise Untraceable(f"{tracer.asking} asks for the class of a value, which tracing cannot answer")
    reading = _Reading(model, graph)
    for node in kept:
        reading.use(node, None, "what the model keeps")
    return reading.flow


def _nodes(found: Any, levels: int = 2) -> Iterator[fx.Node]:
    """The values of a trace that an object holds."""
    if type(found) is _Proxy:
        yield found.node
    elif levels and type(found) in (dict, list, tuple):
        for value in found.values() if type(found) is dict else found:
            yield from _nodes(value, levels - 1)


def _defaults(model: nn.Module) -> dict[str, Any]:
    places = inspect.signature(model.forward).parameters.values()
    return {p.name: p.default for p in places if p.default is not p.empty}


class _Reading:
    """The graph, read node by node."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        self.model, self.flow = model, Flow(names_of(model))
        self.values: dict[fx.Node, Value | str] = {}
        for node in graph.nodes:
            getattr(self, f"_{node.op}", self._other)(node)

    def _placeholder(self, node: fx.Node) -> None:
        self.values[node] = "outside the model"

    def _get_attr(self, node: fx.Node) -> None:
        owner, _, name = str(node.target).rpartition(".")
        tensor = getattr(self.model.get_submodule(owner), name, None)
        if isinstance(tensor, Tensor):  # and no constant that the trace made
            for user in node.users:
                self.flow.reads[address(tensor) or 0] = _name(user)
        self.values[node] = f"the parameter {node.target}"

    def _other(self, node: fx.Node) -> None:
        if node.target in MEASURES or (node.target is getattr and node.args[1] in MEASURES):
            self.values[node] = "a shape"  # which reads no element
            return
        for used in node.all_input_nodes:
            self.use(used, None, _name(node))
        self.values[node] = _name(node)

    def _output(self, node: fx.Node) -> None:
        for used in node.all_input_nodes:
            self.use(used, None, "the model's output")

    def _call_module(self, node: fx.Node) -> None:
        layer = self.model.get_submodule(str(node.target))
        given = node.all_input_nodes
        if isinstance(layer, nn.Identity | _DropoutNd) and len(given) == 1:  # in evaluation it passes its input on
            self.values[node] = self.values[given[0]]
            return
        alone = len(given) == 1 and [*node.args, *node.kwargs.values()][:1] == given
        for used in given:
            self.use(used, layer if alone else None, self.flow.name(layer))
        value = Value(layer)
        source = self.values[given[0]] if alone else "several tensors"
        self.flow.calls.setdefault(layer, []).append(Call(source, None, value))
        self.values[node] = value

    def use(self, used: fx.Node, layer: nn.Module | None, what: str) -> None:
        """Something takes a value."""
        value = self.values[used]
        if isinstance(value, Value):
            value.uses.append(Use(layer, what))


def _name(node: fx.Node) -> str:
    target = node.target
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))
