"""The accuracy goals hold on the PyTorch face by the formula too, where there are no kernels to do better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hard_inputs as hard
from accurate import LENGTHS, METHODS, row_sets, rows_of, shape_with, truth_of
from comparing import compare
from face_base import channel_axis
from grid import layouts
from normlab import kernels
from normlab import torch as face
from normlab.definition import Definition


@pytest.mark.parametrize("by", ["kernels", "formula"])
@pytest.mark.parametrize("ratio", [0, 1e2, 1e6])
@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_the_worst_set_is_within_the_goals(d: Definition, ratio: float, by: str) -> None:
    """2 units forward, 4 back, in float32, for the input as rounded, whichever way the call goes."""
    layout = layouts(d)[0]
    for length in LENGTHS:
        shape = shape_with(d, layout, length)
        x = hard.ratio(ratio, shape, "float32", seed=length)
        dy = np.random.default_rng(length + 1).standard_normal(shape).astype("float32")
        layer = face.build(d, shape[channel_axis(layout, len(shape))], layout=layout, affine=False)
        leaf = torch.from_numpy(x).requires_grad_()
        if by == "formula":
            with kernels.off():
                y = layer(leaf)
                dx = torch.autograd.grad(y, leaf, torch.from_numpy(dy))[0].numpy()
        else:
            y = layer(leaf)
            dx = torch.autograd.grad(y, leaf, torch.from_numpy(dy))[0].numpy()
        rows = rows_of(d, layout, shape)
        truth = truth_of(d, x, rows, dy)
        assert truth.dx is not None and ("Standardize" in type(y.grad_fn).__name__) == (by == "kernels" and kernels.available())
        compare(y.detach().numpy().ravel()[rows], truth.z, "forward", f"{length}", sets=row_sets(rows))
        compare(dx.ravel()[rows], truth.dx, "gradient", f"{length}", sets=row_sets(rows))
