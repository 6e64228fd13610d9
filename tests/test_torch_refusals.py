"""What the PyTorch face refuses, in the sentences of the NumPy face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import normlab as nl
from normlab import functional
from normlab import numpy as numpys
from normlab import torch as face
from normlab.errors import DtypeError, NormlabError, ShapeError, UsageError

IMAGES = (4, 6, 3)
BOTH = {"NumPy": (numpys, lambda shape: np.ones(shape)), "torch": (face, lambda shape: torch.ones(shape, dtype=torch.float64))}

# Each is the same call on either face: (face, ones) -> the error.
CALLS: dict[str, Any] = {
    "wrong rank": lambda f, ones: f.BatchNorm(6, layout="n c ... ")(ones((6,))),
    "wrong channels": lambda f, ones: f.BatchNorm(6)(ones((4, 7))),
    "wrong channels in the layout": lambda f, ones: f.LayerNorm(6, layout="n c ...")(ones((4, 3, 6))),
    "no channels": lambda f, ones: functional.layer_norm(ones((3, 0))),
    "0-d": lambda f, ones: functional.layer_norm(ones(())),
    "weight of the wrong shape": lambda f, ones: functional.rms_norm(ones((2, 512)), ones((256,))),
    "unknown layout": lambda f, ones: f.BatchNorm(6, layout="n q ...")(ones(IMAGES)),
    "layout without c": lambda f, ones: functional.batch_norm(ones(IMAGES), layout="n ..."),
    "sets of one": lambda f, ones: f.BatchNorm(6)(ones((1, 6))),
    "sets of one in evaluation": lambda f, ones: f.BatchNorm(6, running=False)(ones((1, 6))),
    "groups that do not divide": lambda f, ones: functional.group_norm(ones(IMAGES), groups=4),
    "GroupNorm(27, 27) on 7 x 27": lambda f, ones: f.GroupNorm(27, groups=27)(ones((7, 27))),
    "eps below 0": lambda f, ones: functional.layer_norm(ones(IMAGES), eps=-1.0),
    "half of the running statistics": lambda f, ones: functional.batch_norm(ones(IMAGES), running_mean=ones((6,))),
    "running statistics of the wrong shape": lambda f, ones: functional.batch_norm(ones(IMAGES), running_mean=ones((5,)), running_var=ones((5,))),
    "a mask of numbers": lambda f, ones: functional.batch_norm(ones(IMAGES), mask=np.ones((4, 3))),
    "a mask that changes nothing": lambda f, ones: functional.layer_norm(ones((4, 6)), mask=np.ones(4, bool)),
    "a missing input": lambda f, ones: f.FiLM(6)(ones(IMAGES)),
    "an input too many": lambda f, ones: f.BatchNorm(6)(ones(IMAGES), ones((4, 6))),
    "an unknown option": lambda f, ones: f.BatchNorm(6, momentun=0.1),
    "no channels given": lambda f, ones: f.LayerNorm(None),
    "a dropout without a key": lambda f, ones: functional.alpha_dropout(ones(IMAGES), p=0.5),
    "a line that does not fit": lambda f, ones: nl.normalize(ones(IMAGES), "n (g [c]) [...]", g=4),
    "weight and no c": lambda f, ones: nl.normalize(ones(IMAGES), "n [a b]", weight=ones((6,))),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_wrong_input_is_refused_in_the_same_sentence_on_both_faces(call: Any) -> None:
    said = []
    for module, ones in BOTH.values():
        with pytest.raises(NormlabError) as refused:
            call(module, ones)
        said.append((type(refused.value), str(refused.value).replace("torch.", "")))  # of a dtype's name
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.ones(4, 6, dtype=torch.int64), r"layer_norm: x must have floating-point elements up to float64, got torch\.int64\. Convert with x\.to"),
        (torch.ones(4, 6, dtype=torch.complex64), "got torch.complex64"),
        (torch.ones(4, 6, dtype=torch.bool), "got torch.bool"),
        (torch.ones(4, 6).to(torch.float8_e4m3fn), "got torch.float8_e4m3fn"),
        (torch.ones(4, 6).to_sparse(), r"x must be dense, got torch\.sparse_coo\. Convert with x\.to_dense"),
    ],
)
def test_elements_and_layouts_that_cannot_be_normalized_are_named(x: torch.Tensor, message: str) -> None:
    for call in (functional.layer_norm, face.LayerNorm(6)):
        with pytest.raises(DtypeError, match=message):
            call(x)


def test_what_is_no_tensor_is_named() -> None:
    for wrong in (np.ones((4, 6)), [[1.0, 2.0]], None):
        with pytest.raises(DtypeError, match=r"layer_norm: x must be a torch tensor, got .*Convert with torch\.as_tensor"):
            face.LayerNorm(6)(wrong)


def test_tensors_on_two_devices_are_named_with_their_devices() -> None:
    layer = face.LayerNorm(6).to("meta")
    with pytest.raises(UsageError, match=r"layer_norm: weight is on meta, x on cpu\. Move them to one device"):
        layer(torch.ones(4, 6))
    layer = face.BatchNorm(6)
    layer.running_mean = layer.running_mean.to("meta")
    with pytest.raises(UsageError, match="batch_norm: running_mean is on meta, x on cpu"):
        layer(torch.ones(4, 6))


def test_a_call_that_was_right_before_does_not_make_a_wrong_one_right() -> None:
    """A layer remembers how it did a call; a parameter of another shape, kind or place is seen all the same."""
    layer, x = face.LayerNorm(6), torch.randn(4, 6)
    layer(x)
    layer.weight = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(ShapeError, match=r"weight must have shape \(c,\) = \(6,\), got \(1,\)"):
        layer(x)
    layer.weight = torch.nn.Parameter(torch.ones(6, dtype=torch.float64))
    assert layer(x).dtype is torch.float32
    layer.weight = torch.nn.Parameter(torch.ones(6, device="meta"))
    with pytest.raises(UsageError, match="weight is on meta"):
        layer(x)


@pytest.mark.parametrize("key", [-1, 1.5, True, "a", 2**63])
def test_a_key_is_a_whole_number_or_a_generator(key: Any) -> None:
    with pytest.raises(UsageError, match="key must be a whole number of at least 0 or a generator"):
        functional.alpha_dropout(torch.ones(3, 4), p=0.5, key=key)
