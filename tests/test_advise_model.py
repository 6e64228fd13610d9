"""The adviser reads a torch model and a batch: what kind of network it is, how large the batch, which norms are in it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import normlab as nl
from normlab.advice.loading import batch_of
from normlab.advice.reading import look, standing_in
from normlab.errors import UsageError


def unet() -> Any:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ConvTranspose2d(8, 3, 3))


def discriminator() -> Any:
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)), nn.LeakyReLU())


def vision_transformer() -> Any:
    block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.TransformerEncoder(block, 2, enable_nested_tensor=False))


def dense(activation: Any, last: Any = None) -> Any:
    layers = [nn.Linear(20, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 4)]
    return nn.Sequential(*layers, *([last] if last is not None else []))


class Language(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.words, self.cell = nn.Embedding(50, 8), nn.LSTM(8, 8, batch_first=True)


@pytest.mark.parametrize(
    ("model", "batch", "expected"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), torch.zeros(4, 3, 8, 8), {"net": "cnn", "data": "images", "batch": 4}),
        (unet(), torch.zeros(2, 3, 8, 8), {"net": "unet", "data": "images", "batch": 2}),
        (discriminator(), torch.zeros(8, 3, 8, 8), {"net": "gan", "data": "images", "batch": 8}),
        (vision_transformer(), torch.zeros(8, 3, 32, 32), {"net": "transformer", "data": "images", "batch": 8}),
        (nn.TransformerEncoderLayer(16, 2), torch.zeros(10, 4, 16), {"net": "transformer", "data": "tokens", "batch": 4}),
        (nn.LSTM(8, 8), torch.zeros(10, 4, 8), {"net": "rnn", "data": "sequences", "batch": 4}),
        (nn.LSTM(8, 8, batch_first=True), torch.zeros(10, 4, 8), {"net": "rnn", "data": "sequences", "batch": 10}),
        (Language(), torch.zeros(6, 30, dtype=torch.int64), {"net": "rnn", "data": "tokens", "batch": 6}),
        (Language(), None, {"net": "rnn", "data": "tokens", "batch": None}),
        (dense(nn.ReLU), torch.zeros(64, 20), {"net": "mlp", "data": "table", "batch": 64}),
        (dense(nn.Sigmoid), torch.zeros(64, 20), {"net": "sigmoid_mlp", "data": "table", "batch": 64}),
        (dense(nn.ReLU, nn.Sigmoid()), torch.zeros(64, 20), {"net": "mlp", "data": "table", "batch": 64}),
        (dense(nn.ReLU), (torch.zeros(3, 20), torch.zeros(3)), {"net": "mlp", "data": "table", "batch": 3}),
        (dense(nn.ReLU), {"x": torch.zeros(5, 20)}, {"net": "mlp", "data": "table", "batch": 5}),
        (dense(nn.ReLU), 12, {"net": "mlp", "batch": 12}),
        (nn.Identity(), torch.zeros(3), {"batch": 3}),
    ],
    ids=["cnn", "unet", "gan", "vit", "transformer", "rnn", "rnn batch first", "language", "no batch", "mlp", "sigmoid", "sigmoid at the end", "pair", "dict", "number", "nothing"],
)  # fmt: skip
def test_the_answers_are_read_from_layers_and_shapes(model: Any, batch: Any, expected: dict[str, Any]) -> None:
    seen = look(model, batch)
    assert seen["answers"] == expected
    assert len(seen["how"]) == sum(v is not None for k, v in expected.items() if not (k == "batch" and isinstance(batch, int)))
    assert all(one["ko"] != one["en"] for one in seen["how"])
    assert nl.advise(model=model, batch=batch).first


def test_what_is_given_wins_over_what_was_read() -> None:
    advice = nl.advise(model=unet(), batch=torch.zeros(2, 3, 8, 8), net="gan", data="style")
    assert advice.to_dict()["settings"] == {"data": "style", "batch": 2, "agree": None, "net": "gan", "measure": None}


def test_the_models_own_norms_are_recognized_and_placed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nl.torch.GroupNorm(8), nn.LocalResponseNorm(2))
    assert dict(standing_in(model)) == {"batch_norm": 2, "group_norm": 1, "local_response_norm": 1}
    notes = [n["en"] for n in nl.advise(model=model, batch=torch.zeros(2, 3, 8, 8)).to_dict()["notes"]]
    assert any(n.startswith("In the model: batch normalization (bn), 2 layers; place") for n in notes)
    strict = [n["en"] for n in nl.advise(model=model, batch=32, agree="yes").to_dict()["notes"]]
    assert "In the model: batch normalization (bn), 2 layers; ruled out here." in strict


def test_nothing_is_run_and_nothing_changes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    model.register_forward_pre_hook(lambda *_: pytest.fail("the model was called"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    nl.advise(model=model, batch=batch_of("4x3x8x8"))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items()) and model.training


def test_a_shape_becomes_a_batch_without_memory() -> None:
    x = batch_of("65536x3x65536x4096")  # 200 TB, were it there
    assert x.device.type == "meta" and x.dtype == torch.float32 and tuple(x.shape) == (65536, 3, 65536, 4096)
    assert batch_of("8x128:int").dtype == torch.int64


@pytest.mark.parametrize("model", [None.__class__, "resnet18", nn.Linear], ids=str)
def test_what_is_no_module_is_refused(model: Any) -> None:
    with pytest.raises(UsageError, match=r"model must be a torch\.nn\.Module"):
        nl.advise(model=model)


@pytest.mark.parametrize("batch", [object(), [], {"x": 1}, 2.5], ids=("object", "list", "dict", "number"))
def test_a_batch_without_a_tensor_is_refused(batch: Any) -> None:
    with pytest.raises(UsageError, match="batch must be a tensor"):
        nl.advise(model=nn.Linear(2, 2), batch=batch)


def test_zero_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1, is required, got 0"):
        nl.advise(model=nn.Linear(2, 2), batch=torch.zeros(0, 2))
