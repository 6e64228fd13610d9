"""`mask=`: what is measured, what it must look like, and where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import CHANNELS, acting
from normlab import functional
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError, UsageError
from references import largest_of, reference


@pytest.mark.parametrize("d", [d for d in acting() if d.forward is None and d.role != "weight"], ids=lambda d: d.name)
def test_a_mask_says_what_is_measured(d: Definition) -> None:
    """The statistics are those of the elements that count, NaN in the others included; all are normalized."""
    layout = "n c ..."
    options = {"over": "sample"} if any(o.name == "over" for o in d.options) else {}
    x = np.random.default_rng(0).standard_normal((4, CHANNELS, 5))
    mask = np.random.default_rng(1).random((4, 5)) > 0.3
    layer = face.build(d, CHANNELS, layout=layout, options=options)
    line = d.lines(layer.options)[""].arrange(layout)
    if not {"n", "..."} & set(line.pooled):
        with pytest.raises(UsageError, match="mask= is for methods that pool over n or"):
            layer(x, mask=mask)
        return
    truth = reference(d, x, layout=layout, options=options, arrays=layer.params, mask=mask)
    clean = layer(x, mask=mask)
    compare(clean, truth.y, "forward", d.name, scale=largest_of(truth, layer))
    function = getattr(functional, d.name)
    same_bytes(function(x, layout=layout, mask=mask, **layer.params, **options), clean, d.name)
    dirty = np.where(mask[:, None], x, np.nan)
    same_bytes(np.where(mask[:, None], layer(dirty, mask=mask), 0), np.where(mask[:, None], clean, 0), d.name)
    everywhere = layer(x, mask=np.ones((4, 5), bool))
    compare(everywhere, layer(x), "identity", d.name)


@pytest.mark.parametrize(
    "mask", [np.ones((4, 5)), np.ones((4, 8), bool), np.ones((4, 8, 5), bool), np.array(True), [[1] * 5] * 4, "yes"],
    ids=["float", "channels", "full", "scalar", "list", "text"],
)  # fmt: skip
def test_a_mask_must_be_boolean_and_without_channels(mask: Any) -> None:
    with pytest.raises(ShapeError, match=r"batch_norm: mask must be boolean and have x's shape without channels, \(4, 5\)"):
        functional.batch_norm(np.ones((4, 8, 5)), mask=mask)


@pytest.mark.parametrize("name", ["local_response_norm", "selu", "weight_norm", "film"])
def test_a_method_that_measures_nothing_over_the_batch_takes_no_mask(name: str) -> None:
    layer = getattr(face, nl.method(name).class_name)(8)
    x = np.ones((8, 8))
    inputs = (np.ones((8, 1)),) if name == "film" else ()
    with pytest.raises(UsageError, match="mask"):
        layer(x, *inputs, mask=np.ones(8, bool))


def test_a_fully_masked_channel_leaves_its_running_statistics_alone() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    layer = face.BatchNorm(3)
    layer(x, mask=np.zeros((4, 5), bool))
    assert np.array_equal(layer.state["running_mean"], np.zeros(3)) and np.array_equal(layer.state["running_var"], np.ones(3))
    one = face.InstanceNorm(3, running=True, momentum=1.0)
    mask = np.ones((4, 5), bool)
    mask[0] = False
    one(x, mask=mask)
    compare(one.state["running_mean"], x[1:].mean((0, 2)), "identity")
