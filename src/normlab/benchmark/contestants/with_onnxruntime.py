"""onnxruntime: one node of the operator that a definition's `known_as` names. Forward passes only."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...definition import KnownAs
from ..suite import Case
from . import Ready, Refusal
from .material import Material, Outcome

__all__ = ["session"]

OPSET = 23  # the first with RMSNormalization
PREFIX = "onnx."
FLOAT = 1  # onnx.TensorProto.FLOAT


def session(case: Case, material: Material) -> Ready:
    """A session of one node, on as many threads as the case has."""
    if case.both:
        raise Refusal("onnxruntime runs the forward pass only")
    if case.dtype != "float32" or case.layout != case.definition.layout:
        raise Refusal("timed in float32 and in the operator's own order of axes")
    known = next((k for k in case.definition.known_as if k.name.startswith(PREFIX)), None)
    if known is None:
        raise Refusal("ONNX has no operator of this kind")
    import onnxruntime

    arrays = {"x": material.x, **material.params}
    inputs = {n: a.astype(np.float32) for n, a in arrays.items()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.log_severity_level = 3
    model = _model(case, known, inputs)
    live = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run() -> Any:
        return live.run(None, inputs)[0]

    return Ready(run, lambda: Outcome(run().astype(np.float64), None))


def _model(case: Case, known: KnownAs, inputs: dict[str, np.ndarray]) -> bytes:
    from onnx import helper

    given = case.definition.resolve(case.definition.validate({}), case.channels)
    given["eps"] = case.definition.eps
    attributes = {theirs: given[ours] for theirs, ours in known.options.items() if given.get(ours) is not None}
    node = helper.make_node(known.name.removeprefix(PREFIX), list(inputs), ["y"], **attributes)
    values = [helper.make_tensor_value_info(n, FLOAT, a.shape) for n, a in inputs.items()]
    result = [helper.make_tensor_value_info("y", FLOAT, case.shape)]
    graph = helper.make_graph([node], "one", values, result)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    made: bytes = model.SerializeToString()
    return made
