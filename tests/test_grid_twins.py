"""Every layer beside its twins in other libraries: three training steps, then evaluation, there and back.

The pairs come from `known_as`; what it translates is built from its own translation, so a wrong one fails here. What
is no plain layer has a test of its own below, or is listed with its reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import faces
import normlab as nl
from comparing import compare
from face_base import COUNT
from faces import Work
from grid import CHANNELS, acting
from normlab.definition import Definition, KnownAs
from twins import ADAPTERS, VALUES, Twin, library_of, resolve, twin_of

TWINS = [(d, k) for d in acting() for k in d.known_as]
# Tested in a way of their own, here or in the file named.
OTHERWISE = {
    "torch.nn.functional.normalize": "a function: test_against_torch",
    "torch.nn.utils.parametrizations.weight_norm": "joined to a module: test_against_torch, test_torch_parametrize",
    "torch.nn.utils.parametrizations.spectral_norm": "joined to a module: test_against_torch, test_torch_parametrize",
    "torch.nn.SyncBatchNorm": "wants several processes: test_torch_distributed",
    "flax.nnx.WeightNorm": "wraps a layer: below",
    "flax.nnx.SpectralNorm": "wraps a layer: below",
    **{k.name: "an operator, run by onnxruntime: below" for _, k in TWINS if k.name.startswith("onnx.")},
    "torch.nn.AlphaDropout": "chance: below",
    "keras.layers.AlphaDropout": "chance: below",
}
LAYERS = [(d, k) for d, k in TWINS if k.name not in OTHERWISE]
OPERATORS = [(d, k) for d, k in TWINS if k.name.startswith("onnx.") and d.forward is None]
NAMED = {"ids": lambda v: getattr(v, "name", str(v))}


def work_for(twin: Twin, x: np.ndarray, dy: np.ndarray, **arrays: Any) -> Work:
    d, given = twin.definition, dict(twin.options)
    settings = {n: given.pop(n) for n in ("eps", "affine", "bias") if n in given}
    given |= {"running_var_biased": True} if d.has_running and twin.biased else {}
    layout = (twin.layout or d.layout) if d.layout != "..." else None
    return Work(d, x, CHANNELS, layout, options=given, dy=dy, **settings, **arrays)


def beside(twin: Twin, shape: tuple[int, ...]) -> None:
    """Both go the same three steps, each with its own running statistics, and then look at one more batch."""
    face, random = faces.of(twin.face), np.random.default_rng(3)
    params = {p.name: random.standard_normal(CHANNELS).astype(np.float32) for p in twin.definition.params}
    begun = faces.of("numpy").module.build(twin.definition, CHANNELS, options=work_for(twin, *np.ones((2, *shape))).options).state
    ours, theirs = ({n: a if n == COUNT else a.astype(np.float32) for n, a in begun.items()} for _ in range(2))
    for k, training in enumerate((True, True, True, False)):
        x = (np.random.default_rng(k).standard_normal(shape) * 2 + k).astype(np.float32)
        dy = np.random.default_rng(k + 9).standard_normal(shape).astype(np.float32)
        mine = face.run(work_for(twin, x, dy, params=params, state=ours, training=training))
        other = twin.run(x, dy, params, theirs, training)
        compare(mine.y, other.y.astype(float), "torch", "y")
        assert mine.dx is not None and other.dx is not None and mine.grads.keys() == other.grads.keys()
        compare(mine.dx, other.dx.astype(float), "torch gradient", "dx")
        for name, g in other.grads.items():
            compare(mine.grads[name], g.astype(float), "torch gradient", name)
        for name in mine.state.keys() & other.state.keys() - {COUNT}:
            scale = np.abs(x).max() ** (2 if "var" in name else 1)
            compare(mine.state[name], other.state[name].astype(float), "torch", name, scale=scale)
        ours, theirs = dict(mine.state), {**theirs, **other.state}


@pytest.mark.parametrize(("d", "known"), LAYERS, **NAMED)
def test_three_steps_and_evaluation_are_those_of_the_twin(d: Definition, known: KnownAs) -> None:
    faces.of(ADAPTERS[library_of(known)].face)
    twin = twin_of(d, known)
    assert twin.shapes()
    for shape in twin.shapes():
        beside(twin, shape)


def test_every_twin_was_met_or_has_its_reason() -> None:
    names = {k.name for _, k in TWINS}
    assert set(OTHERWISE) <= names and {k.name for _, k in LAYERS} == names - set(OTHERWISE)
    assert {library_of(k) for _, k in LAYERS} == set(ADAPTERS)
    for name in names:
        assert name.startswith("onnx.") or resolve(name)
    assert {"onnx.LRN", *(k.name for _, k in OPERATORS)} == {n for n in names if n.startswith("onnx.")}


# What is no plain layer


def test_weight_normalization_is_flax_s() -> None:
    """Its scale starts at 1 and its kernels are i o; called on the identity it gives the kernel itself."""
    faces.of("jax")
    from flax import nnx

    kernel = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    linear = nnx.Linear(6, 4, use_bias=False, rngs=nnx.Rngs(0))
    linear.kernel.set_value(kernel)
    theirs = np.asarray(nnx.WeightNorm(linear, rngs=nnx.Rngs(0))(np.eye(6, dtype=np.float32)))
    g = {"g": np.ones(4, np.float32)}
    mine = faces.of("jax").run(Work(nl.method("weight_norm"), kernel, 4, "i o ...", params=g)).y
    compare(mine, theirs.astype(float), "torch")


def test_spectral_normalization_is_flax_s() -> None:
    """After so many iterations that it no longer matters where either began."""
    faces.of("jax")
    from flax import nnx

    kernel = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    linear = nnx.Linear(6, 4, use_bias=False, rngs=nnx.Rngs(0))
    linear.kernel.set_value(kernel)
    theirs = nnx.SpectralNorm(linear, n_steps=200, update_stats=True, rngs=nnx.Rngs(0))(np.eye(6, dtype=np.float32))
    u = {"u": np.full(4, 0.5, np.float32)}
    work = Work(nl.method("spectral_norm"), kernel, 4, "i o ...", options={"steps": 200}, state=u)
    compare(faces.of("jax").run(work).y, np.asarray(theirs, float), "torch")


def run_operator(known: KnownAs, arrays: dict[str, np.ndarray], **attributes: Any) -> np.ndarray:
    """One node, run by onnxruntime; opset 23 is the first that has all of them."""
    import onnx
    import onnxruntime
    from onnx import helper

    node = helper.make_node(known.name.removeprefix("onnx."), list(arrays), ["y"], **attributes)
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in {**arrays, "y": arrays["x"]}.items()]
    graph = helper.make_graph([node], "one", ends[:-1], ends[-1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, arrays)[0]


@pytest.mark.parametrize("name", faces.DECLARED)
@pytest.mark.parametrize(("d", "known"), OPERATORS, **NAMED)
def test_what_is_normalized_is_onnx_s_operator(d: Definition, known: KnownAs, name: str) -> None:
    """With options that no default has, the parameters in the order of the operator's inputs, and rows of zeros."""
    shape = (4, 5, CHANNELS) if d.layout.endswith("c") else (16, CHANNELS) if "one axis" in known.differs else (4, CHANNELS, 5, 3)
    random = np.random.default_rng(4)
    x = (random.standard_normal(shape) * 2 + 1).astype(np.float32)
    x[0] = 0.0
    params = {p.name: random.standard_normal(CHANNELS).astype(np.float32) for p in d.params}
    theirs = run_operator(known, {"x": x, **params}, **{t: VALUES[o] for t, o in known.options.items()})
    given = {o: VALUES[o] for o in known.options.values()}
    eps = given.pop("eps", None)
    mine = faces.of(name).run(Work(d, x, CHANNELS, options=given, eps=eps, params=params))
    compare(mine.y, theirs.astype(float), "torch", known.name)


@pytest.mark.parametrize("size", [1, 3, 4, 5])
@pytest.mark.parametrize("name", faces.DECLARED)
def test_local_response_norm_is_onnx_s_operator(name: str, size: int) -> None:
    """window='onnx': an even window is longer behind."""
    import onnx
    import onnxruntime
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    # As many samples as channels: onnx's own evaluator looks at no more channels than there are samples.
    x = (np.random.default_rng(0).standard_normal((8, 8, 3, 3)) * 3).astype(np.float32)
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.5, beta=0.7, bias=1.5)
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, x.shape) for n in ("x", "y")]
    graph = helper.make_graph([node], "lrn", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if size % 2:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    else:  # onnxruntime takes no even windows
        session = ReferenceEvaluator(model)
    mine = faces.of(name).call("local_response_norm", x, size=size, alpha=0.5, beta=0.7, k=1.5, window="onnx")
    compare(mine, session.run(None, {"x": x})[0].astype(float), "torch")


@pytest.mark.parametrize("known", [k for d, k in TWINS if d.role == "dropout"], **NAMED)
def test_dropout_keeps_and_drops_to_the_same_values(known: KnownAs) -> None:
    """Which elements fall is chance; what they and the others become is not."""
    d = next(d for d, k in TWINS if k is known)
    face, x = faces.of("torch"), np.full((40, 100), 0.8, np.float32)
    p = next(t for t, o in known.options.items() if o == "p")
    module = resolve(known.name)(**{p: 0.3})
    theirs = module(face.array(x), training=True) if "keras" in known.name else module.train()(face.array(x))
    mine = face.call(d.name, x, p=0.3, key=0)
    compare(np.unique(mine), np.unique(face.back(theirs)).astype(float), "torch", known.name)
