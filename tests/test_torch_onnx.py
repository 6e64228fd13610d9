"""Export to ONNX: every method, in evaluation, for any number of samples, and onnxruntime agrees with torch.

Where ONNX has an operator for what is pooled, the graph is that operator; the formula otherwise.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import normlab as nl
from comparing import compare
from grid import CHANNELS, acting, option_sets
from networks import Block
from normlab import torch as face
from normlab.definition import Definition
from normlab.registry import Registry
from normlab.torch.parametrize import joining

# torch's exporter warns of its own code, and of the one name for the samples of two inputs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*The axis name. batch will not be used, since it shares:UserWarning"),
]

BATCH = torch.export.Dim("batch")
VOCABULARY = Registry(Path(__file__).parent / "vocabulary")
LAYERS = [pytest.param(d, {}, id=d.name) for d in acting() if d.role != "weight"]  # an export takes a second
MORE = [(d, {}) for d in VOCABULARY] + [(d, o) for d in acting() for o in option_sets(d) if o]
LAYERS += [pytest.param(d, o, id=f"{d.name}-{o or ''}", marks=pytest.mark.slow) for d, o in MORE if d.role != "weight"]
FIXED = {"iter_norm": "an einsum that splits an axis takes all sizes for numbers, so the number of samples is one of them"}


def exported(module: nn.Module, *inputs: torch.Tensor, shapes: Any = None, **more: Any) -> tuple[Any, Counter[str]]:
    """A session of onnxruntime, and how many nodes of each kind its graph has."""
    shapes = shapes or ({0: BATCH},)
    program = torch.onnx.export(module, inputs, dynamo=True, dynamic_shapes=shapes, verbose=False, **more)
    assert program is not None
    stored = io.BytesIO()
    program.save(stored)
    session = onnxruntime.InferenceSession(stored.getvalue(), providers=["CPUExecutionProvider"])
    return session, Counter(node.op_type for node in program.model.graph)


def agree(session: Any, module: nn.Module, *inputs: torch.Tensor) -> None:
    given = {i.name: a.numpy() for i, a in zip(session.get_inputs(), inputs, strict=True)}
    with torch.no_grad():
        wanted = module(*inputs).numpy()
    compare(session.run(None, given)[0], wanted, "torch")  # onnxruntime's kernels are as good as torch's


def settled(layer: nn.Module) -> nn.Module:
    """In evaluation, with parameters and statistics of no special value."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
        for buffer in layer.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2.0)
    return layer.eval()


def inputs_for(d: Definition, layer: Any, samples: int, rest: tuple[int, ...] = (5, 6)) -> list[torch.Tensor]:
    x = torch.randn(samples, CHANNELS, *rest) + 1.0
    first = x.movedim(1, -1) if layer.layout.endswith(" c") else x
    sizes = {"n": samples, **d.factor_sizes(layer.options, CHANNELS)}
    others = [torch.softmax(torch.randn([sizes[n] for n in i.axes.split()]), -1) for i in d.inputs if i.where != "function"]
    return [first, *others]


@pytest.mark.parametrize(("d", "options"), LAYERS)
def test_every_method_is_exported_for_any_number_of_samples(d: Definition, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    lines = d.lines(d.validate(options)).values()
    apart = any("n" in line.kept for line in lines) and "n" not in d.layout.split()  # then the layout must name samples
    layout = {"layout": "n c ..."} if apart else {}
    layer = settled(face.build(d, CHANNELS if d.params or d.states else None, options=options, **layout))
    inputs = inputs_for(d, layer, 4)
    shapes = ({0: BATCH}, tuple({0: BATCH} for _ in inputs[1:])) if inputs[1:] else None
    session, _ = exported(layer, *inputs, shapes=shapes)
    agree(session, layer, *inputs)
    more = inputs_for(d, layer, 7)
    if d.name not in FIXED:
        agree(session, layer, *more)
        return
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="Got: 7 Expected: 4"):
        agree(session, layer, *more)


@pytest.mark.parametrize("d", [d for d in acting() if d.role == "weight"], ids=lambda d: d.name)
def test_a_weight_method_is_exported_within_its_module(d: Definition) -> None:
    torch.manual_seed(0)
    module = joining(d)(nn.Conv2d(3, 4, 3)).eval()
    session, _ = exported(module, torch.randn(2, 3, 6, 6))
    agree(session, module, torch.randn(5, 3, 6, 6))


# What is pooled decides the operator; the figure is how many nodes the graph has (40 for the formula).
OPERATORS = [
    ("BatchNorm", {}, (5, 6), "BatchNormalization", 1),
    ("LayerNorm", {}, (5,), "LayerNormalization", 1),
    ("LayerNorm", {"layout": "n c ..."}, (5, 6), "LayerNormalization", 3),  # moved to the end and back
    ("InstanceNorm", {}, (5, 6), "InstanceNormalization", 1),
    ("GroupNorm", {"groups": 2}, (5, 6), "InstanceNormalization", 8),
    ("RMSNorm", {}, (5,), "Reciprocal", 8),  # an operator of its own from opset 23 on
]  # fmt: skip
OPERATORS += [pytest.param(*row, marks=pytest.mark.slow) for row in (
    ("BatchNorm", {}, (), "BatchNormalization", 1),
    ("BatchNorm", {"affine": False}, (5,), "BatchNormalization", 1),
    ("LayerNorm", {"bias": False}, (5,), "LayerNormalization", 1),
    ("LayerNorm", {"over": "sample", "layout": "n c ..."}, (5, 6), "LayerNormalization", 4),
    ("InstanceNorm", {"running": True}, (5, 6), "BatchNormalization", 1),
    ("RMSNorm", {"affine": False}, (5,), "Reciprocal", 8),
)]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "rest", "operator", "most"), OPERATORS, ids=str)
def test_what_has_an_operator_becomes_it(name: str, settings: dict[str, Any], rest: Any, operator: str, most: int) -> None:
    torch.manual_seed(0)
    layer = settled(getattr(face, name)(CHANNELS, **settings))
    d = nl.method(name)
    session, nodes = exported(layer, *inputs_for(d, layer, 4, rest))
    assert nodes[operator] == 1 and nodes.total() <= most, nodes
    agree(session, layer, *inputs_for(d, layer, 6, rest))


def test_group_and_rms_normalization_are_operators_where_the_version_has_them() -> None:
    rms = settled(face.RMSNorm(CHANNELS))
    x = torch.randn(3, 5, CHANNELS)
    session, nodes = exported(rms, x, opset_version=23)
    assert nodes == {"RMSNormalization": 1}
    agree(session, rms, x)


def test_the_formula_stands_for_what_has_none() -> None:
    """An eps of 0 is such: of a set without spread, an operator would make NaN."""
    layer = settled(face.LayerNorm(CHANNELS, eps=0.0))
    d = layer.definition
    session, nodes = exported(layer, *inputs_for(d, layer, 4))
    assert not [kind for kind in nodes if "Normalization" in kind] and nodes.total() <= 42
    agree(session, layer, *inputs_for(d, layer, 6))


def test_an_adopted_network_folds_as_the_original_does() -> None:
    """onnxruntime joins a convolution and the BatchNormalization behind it: the exporter has done it already."""
    torch.manual_seed(0)
    model = settled(Block(3, 8, 2))
    _, before = exported(model, torch.randn(2, 3, 8, 8))
    nl.adopt(model)
    session, after = exported(model, torch.randn(2, 3, 8, 8))
    assert after == before == {"Conv": 3, "Relu": 2, "Add": 1}
    agree(session, model, torch.randn(3, 3, 8, 8))


def test_half_precision_stays_half_precision() -> None:
    torch.manual_seed(0)
    layer = settled(face.LayerNorm(CHANNELS)).half()
    x = torch.randn(4, 5, CHANNELS).half()
    session, nodes = exported(layer, x)
    assert nodes["LayerNormalization"] == 1
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert got.dtype == np.float16
    assert np.abs(got - layer(x).detach().numpy()).max() <= 2 * np.finfo(np.float16).eps * np.abs(got).max()


def _whiten(ops: Any, x: Any, params: Any, state: Any, options: Any, *, training: bool) -> Any:
    values, vectors = ops.eigh(ops.einsum("n c, n e -> c e", x, x))
    return ops.einsum("n c, c e -> n e", x, vectors / ops.sqrt(values + 1e-3))


def test_what_onnx_has_no_operator_for_cannot_be_exported() -> None:
    """Of what a forward may use that is `eigh` alone: ONNX knows no eigenvalues. No method that comes with normlab uses it."""
    d = Definition(
        name="whiten", short="wh", class_name="Whiten", title="t", title_ko="t", family="whitening", role="norm", source="here",
        year=2020, covers=(), layout="n c", eps=None, affine=(None, None), forward=_whiten,
    )  # fmt: skip
    layer = face.build(d, None).eval()
    assert layer(torch.randn(9, 3)).shape == (9, 3)
    with pytest.raises(torch.onnx.OnnxExporterError, match="eigh"):
        torch.onnx.export(layer, (torch.randn(9, 3),), dynamo=True, verbose=False)


def test_outside_an_export_for_onnx_the_formula_is_traced() -> None:
    """An exported program keeps the accuracy of the formula; torch's own operation is 1,000 units off so far from 0."""
    layer = face.LayerNorm(CHANNELS, affine=False)
    x = torch.randn(4, CHANNELS) + 1e4
    program = torch.export.export(layer, (x,))
    wide = x.double()
    wanted = (wide - wide.mean(1, keepdim=True)) / torch.sqrt(wide.var(1, correction=0, keepdim=True) + 1e-5)
    compare(program.module()(x).numpy(), wanted.numpy(), "forward", scale=float(wanted.abs().max()))
