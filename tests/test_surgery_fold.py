"""`fold`: in evaluation the same function without its normalizations, over every linear layer and both sides of it.

Each case is compared with the model as it was, in float64: what is computed there in another order is off by a few
roundings of 1e-16, and what is not the same function by far more than the 1e-12 that is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import normlab as nl
from foldable import randomized
from normlab import torch as face
from normlab.errors import NormlabError, ShapeError, UsageError

torch.set_num_threads(1)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
GROUPS, SHAPE = 2, {1: (7,), 2: (7, 5), 3: (7, 5, 4)}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
both_traces = pytest.mark.parametrize("given", [True, False], ids=["with a batch", "without"])


def drawn(*modules: nn.Module) -> nn.Sequential:
    """In float64 and evaluation, with nothing at its default."""
    torch.manual_seed(0)
    model = nn.Sequential(*modules)
    for m in model.modules():
        for p in m._parameters.values():
            if p is not None:
                nn.init.normal_(p)
    return randomized(model).double().eval()  # type: ignore[return-value]


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def folded(model: nn.Module, x: torch.Tensor, given: bool = True, count: int = 1) -> nn.Module:
    """The folded model, after a look that it is the same function, that going back is exact, and that all was folded."""
    y = model(x).detach()
    before = dict(model.state_dict(keep_vars=True))
    report = nl.fold(model, x if given else None)
    assert len(report.changed) == count and not report.refused, str(report)
    z = model(x).detach()
    torch.testing.assert_close(z, y, **CLOSE)
    assert (y - y.mean()).abs().max() > 1e-3  # else anything would be close
    report.undo()
    after = model.state_dict(keep_vars=True)
    assert list(after) == list(before) and all(after[n] is a for n, a in before.items())
    assert torch.equal(model(x), y)
    return nl.fold(model, x if given else None).model


def norms_in(model: nn.Module) -> list[str]:
    return [type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__]


@both_traces
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("groups", [1, GROUPS])
@pytest.mark.parametrize("kind", [CONVOLUTIONS, TRANSPOSED], ids=["convolution", "transposed"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_batch_norm_goes_into_the_convolution_before_it(
    axes: int, kind: dict[int, Any], groups: int, bias: bool, given: bool
) -> None:
    """torch's own fusion is wrong for transposed convolutions in groups."""
    layer = kind[axes](4, 6, 3, stride=2, padding=1, dilation=1, groups=groups, bias=bias)
    model = folded(drawn(layer, BATCH_NORMS[axes](6, eps=0.1), nn.ReLU()), batch(2, 4, *SHAPE[axes]), given)
    assert not norms_in(model)


@both_traces
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_batch_norm_goes_into_the_linear_layer_before_it(bias: bool, given: bool) -> None:
    model = folded(drawn(nn.Linear(4, 6, bias=bias), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 2)), batch(5, 4), given)
    assert not norms_in(model) and model[0].bias is not None


@both_traces
@pytest.mark.parametrize("more", [{"affine": False}, {"eps": 0.3}, {"momentum": None}], ids=str)
def test_batch_norm_with_other_options(more: dict[str, Any], given: bool) -> None:
    folded(drawn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **more)), batch(2, 3, 6, 5), given)


@both_traces
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "zeros"])
def test_padding_of_the_convolution_before_it_does_not_matter(mode: str, given: bool) -> None:
    folded(drawn(nn.Conv2d(3, 4, 3, padding=1, padding_mode=mode), nn.BatchNorm2d(4)), batch(2, 3, 6, 5), given)


@both_traces
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("groups", [1, GROUPS])
def test_batch_norm_goes_into_the_convolution_after_it(groups: int, mode: str, given: bool) -> None:
    """Padding with values of the input pads with normalized ones."""
    for padding in (0, 1):
        layer = nn.Conv2d(4, 6, 3, padding=padding, padding_mode=mode, groups=groups, bias=False)
        model = folded(drawn(nn.BatchNorm2d(4), layer, nn.ReLU()), batch(2, 4, 6, 5), given)
        assert not norms_in(model)


@both_traces
def test_batch_norm_goes_into_the_linear_layer_after_it(given: bool) -> None:
    folded(drawn(nn.BatchNorm1d(4), nn.Linear(4, 3, bias=False)), batch(5, 4), given)


@both_traces
def test_transposed_convolutions_of_one_tap_take_a_shift(given: bool) -> None:
    folded(drawn(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 1, groups=2)), batch(2, 4, 6, 5), given)


@both_traces
def test_zero_padding_is_no_hindrance_where_nothing_is_added(given: bool) -> None:
    model = drawn(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6), nn.ConvTranspose2d(6, 4, 3, 2))
    with torch.no_grad():
        for norm in (model[0], model[3]):
            norm.running_mean.zero_()
            norm.bias.zero_()
    folded(model, batch(2, 4, 6, 5), given, count=2)


@both_traces
def test_a_layer_takes_over_what_stands_on_both_sides(given: bool) -> None:
    """In float64 and rounded once: two roundings of a float32 weight would be off by 1e-7 a piece."""
    model = drawn(nn.LayerNorm(4), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.BatchNorm1d(6), nn.Linear(6, 3))
    model = folded(model, batch(5, 4), given, count=3)
    assert norms_in(model) == ["LayerNorm"]
    single = drawn(nn.RMSNorm(3), nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)).float()
    exact = copy.deepcopy(single).double()
    wanted = nl.fold(exact).model[1].weight.float()
    assert torch.equal(nl.fold(single).model[1].weight, wanted)


@both_traces
@pytest.mark.parametrize(
    "norm",
    [lambda: nn.LayerNorm(8), lambda: nn.LayerNorm(8, bias=False), lambda: nn.RMSNorm(8), lambda: face.LayerNorm(8), lambda: face.RMSNorm(8)],
    ids=["LayerNorm", "LayerNorm without bias", "RMSNorm", "ours", "our RMSNorm"],
)  # fmt: skip
def test_a_weight_and_bias_go_into_all_layers_that_follow(norm: Callable[[], nn.Module], given: bool) -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.norm, self.drop = nn.Linear(8, 8), norm(), nn.Dropout(0.5)
            self.q, self.k = nn.Linear(8, 5, bias=False), nn.Linear(8, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.drop(self.norm(x))
            return self.q(y) * self.k(y) + self.late(x).sum()

    model = folded(drawn(Three()), batch(2, 3, 8), given)
    held: Any = model[0].norm
    assert torch.equal(held.weight, torch.ones(8).double()) and (getattr(held, "bias", None) is None or not held.bias.any())


@both_traces
@pytest.mark.parametrize(
    ("norm", "layer", "shape"),
    [
        (lambda: nn.GroupNorm(2, 4), lambda: nn.Conv2d(4, 3, 2), (2, 4, 6, 5)),
        (lambda: nn.InstanceNorm2d(4, affine=True), lambda: nn.Conv2d(4, 4, 1, groups=2), (2, 4, 6, 5)),
        (lambda: nn.BatchNorm2d(4, track_running_stats=False), lambda: nn.Conv2d(4, 4, 1), (2, 4, 6, 5)),
    ],
    ids=["group", "instance", "batch statistics in evaluation"],
)
def test_so_does_any_norm_that_ends_with_them(norm: Any, layer: Any, shape: tuple[int, ...], given: bool) -> None:
    if isinstance(norm(), nn.GroupNorm) and not given:
        report = nl.fold(drawn(norm(), layer()))  # it takes any number of axes, and stays
        assert "whether its input has 4 axes is not known; give a batch" in str(report)
    else:
        folded(drawn(norm(), layer()), batch(*shape), given)


@both_traces
def test_instance_norm_with_running_statistics_leaves(given: bool) -> None:
    model = folded(drawn(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), batch(2, 3, 6, 5), given)
    assert not norms_in(model)


@both_traces
def test_our_own_batch_norm_with_channels_last(given: bool) -> None:
    model = folded(drawn(nn.Linear(3, 4), face.BatchNorm(4, layout="n ... c"), nn.ReLU()), batch(2, 5, 3), given)
    assert not norms_in(model)


class GivenLate(nn.Module):
    """Registered in another order than called: fusion by neighbours would take the wrong convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.norm, self.first = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.norm(self.first(x)).relu())


@both_traces
def test_the_order_of_registration_does_not_matter(given: bool) -> None:
    model = drawn(GivenLate())
    report = nl.fold(copy.deepcopy(model), batch(2, 4, 9, 8) if given else None)
    assert report.changed[0].after == "part of 0.first (Conv2d)"
    folded(model, batch(2, 4, 9, 8), given)


class Twice(nn.Module):
    """The same convolution and the same norm on two inputs, as in a siamese network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)).relu() - self.norm(self.conv(2 * x))


@both_traces
def test_a_pair_that_is_called_twice_is_folded_once(given: bool) -> None:
    folded(drawn(Twice()), batch(2, 3, 6, 5), given)


OLD = "ignore:.torch.nn.utils.weight_norm. is deprecated:FutureWarning"
WEIGHTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm": parametrizations.weight_norm, "spectral_norm": parametrizations.spectral_norm,
    "older weight_norm": nn.utils.weight_norm, "older spectral_norm": nn.utils.spectral_norm,
    "our weight_norm": face.weight_norm, "our spectral_norm": face.spectral_norm,  # type: ignore[attr-defined]
}  # fmt: skip


@both_traces
@pytest.mark.filterwarnings(OLD)
@pytest.mark.parametrize("how", WEIGHTS)
@pytest.mark.parametrize("with_norm", [True, False], ids=["and a batch norm", "alone"])
def test_weights_that_are_computed_become_plain(how: str, with_norm: bool, given: bool) -> None:
    torch.manual_seed(0)
    layer = WEIGHTS[how](nn.Conv2d(3, 4, 3).double())
    model = randomized(nn.Sequential(layer, nn.BatchNorm2d(4).double() if with_norm else nn.Tanh())).eval()
    x = batch(2, 3, 6, 5)
    model(x)
    done: Any = folded(model, x, given, count=1 + with_norm)
    assert type(done[0]) is nn.Conv2d and list(done[0].state_dict()) == ["weight", "bias"]
    assert not done[0]._forward_pre_hooks and not done[0]._load_state_dict_pre_hooks
    copy.deepcopy(done).load_state_dict(done.state_dict())


@pytest.mark.filterwarnings(OLD)
def test_the_older_form_can_be_copied() -> None:
    """It keeps a weight with a history, which deepcopy refuses."""
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)))
    x = torch.randn(2, 3)
    y = model(x)
    report = nl.fold(model, x, copy=True)
    torch.testing.assert_close(report.model(x), y)
    assert "0.weight_g" in model.state_dict() and "0.weight" in report.model.state_dict() and model(x).requires_grad


def test_a_guard_holds_what_was_assumed_of_the_axes() -> None:
    """Batch norm after a linear layer is the same axis for (n, c) alone; (n, l, c) with l = c would be silently wrong."""
    model = drawn(nn.Linear(4, 4), nn.BatchNorm1d(4))
    nl.fold(model)
    assert model(batch(3, 4)).shape == (3, 4)
    with pytest.raises(ShapeError, match=r"the BatchNorm1d that was here is folded for 2 axes, got shape \(3, 4, 4\)\. Undo"):
        model(batch(3, 4, 4))
    report = nl.fold(drawn(nn.Linear(4, 4), nn.BatchNorm1d(4)), batch(3, 4, 4))
    assert "its channels are not on the axis that 0 (Linear) has them on (it was given 3 axes)" in str(report)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    """Statistics in float32 beside weights in half, as mixed models have them: off by the rounding of the weights."""
    model = drawn(nn.Linear(8, 6), nn.BatchNorm1d(6)).float()
    wanted = nl.fold(copy.deepcopy(model).double()).model[0]
    model[0].to(dtype)
    exact = copy.deepcopy(model)
    exact[0].double()
    want = nl.fold(exact.double()).model[0]
    got = nl.fold(model).model[0]
    assert got.weight.dtype is got.bias.dtype is dtype
    assert torch.equal(got.weight, want.weight.to(dtype)) and torch.equal(got.bias, want.bias.to(dtype))
    torch.testing.assert_close(got.weight.double(), wanted.weight, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


def test_channels_last_and_the_need_for_gradients_are_kept() -> None:
    model = drawn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model[0].weight.requires_grad_(False)
    nl.fold(model)
    weight = model[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.requires_grad and model[0].bias.requires_grad


def test_modes_buffers_and_random_numbers_stay_as_they_were() -> None:
    model = drawn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).train()
    model[4].eval()
    kept, state = {n: a.clone() for n, a in model[5].state_dict().items()}, torch.get_rng_state()
    report = nl.fold(model, batch(2, 3, 6, 5))
    assert [r.path for r in report.refused] == ["5"] and [m.training for m in model] == [True, True, True, True, False, True]
    assert all(torch.equal(kept[n], a) for n, a in model[5].state_dict().items()) and torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert str(report).endswith("in training a folded normalization is gone, and with it its batch statistics")


def test_a_copy_leaves_the_model_alone() -> None:
    model = drawn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    x = batch(2, 3, 6, 5)
    report = nl.fold(model, x, copy=True)
    assert isinstance(model[1], nn.BatchNorm2d) and report.model is not model
    torch.testing.assert_close(report.model(x), model(x), **CLOSE)


def test_going_back_works_after_a_cast() -> None:
    model = drawn(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), parametrizations.weight_norm(nn.Conv2d(4, 4, 1))).float()
    x = batch(2, 3, 6, 5)
    y = copy.deepcopy(model).double()(x)
    report = nl.fold(model)
    model.double()
    assert report.undo() is model
    torch.testing.assert_close(model(x), y, **CLOSE)


def test_what_moves_more_than_rounding_explains_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sometimes(nn.Module):
        """Reads its weights in a call that tracing has not seen."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.calls = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hooked = bool(self.conv._forward_hooks)
            return self.norm(self.conv(x)) if hooked else self.norm(self.conv(x)) + self.conv(x)

    model = drawn(Sometimes())
    model[0].conv.weight.requires_grad_(False)
    before = dict(model.state_dict(keep_vars=True))
    monkeypatch.setattr("normlab.surgery.folding.symbolic", _untraceable)
    with pytest.raises(NormlabError, match=r"the output moved by .* of its largest value, where rounding alone moves it by"):
        nl.fold(model, batch(2, 3, 6, 5))
    assert all(before[n] is a for n, a in model.state_dict(keep_vars=True).items())


def _untraceable(model: nn.Module) -> Any:
    from normlab.surgery.symbolic_flow import Untraceable

    raise Untraceable("not here")


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_a_lazy_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the model has parameters without a shape yet\. Call it once before"):
        nl.fold(nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4)))


@pytest.mark.parametrize("groups", [1, GROUPS])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d], ids=["convolution", "transposed"])
def test_torchs_own_fusion_gives_the_same_weights_where_it_is_right(kind: Any, groups: int) -> None:
    """It is wrong for transposed convolutions in groups (it reads their outputs along the wrong axis)."""
    model = drawn(kind(4, 6, 3, groups=groups), nn.BatchNorm2d(6))
    transposed = kind is nn.ConvTranspose2d
    ours = nl.fold(model, copy=True).model[0]
    if transposed and groups > 1:
        x = batch(2, 4, 6, 5)
        torch.testing.assert_close(ours(x), model(x), **CLOSE)
        return
    theirs = nn.utils.fusion.fuse_conv_bn_eval(model[0], model[1], transpose=transposed)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.get_parameter(name).detach(), value, **CLOSE)


def test_torchs_transformer_layer_computes_the_same_on_its_fast_path() -> None:
    """In evaluation it calls neither its norms nor its linear layers, but a kernel that reads their weights."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = randomized(model).double().eval()
    x = batch(2, 3, 8)
    with torch.no_grad():
        y = model(x)
        report = nl.fold(model, x)
        torch.testing.assert_close(model(x), y, **CLOSE)
    assert [c.path for c in report.changed] == ["layers.0.norm2", "layers.1.norm2"]
    assert model.layers[0].linear1.weight.requires_grad and report.moved is not None and report.moved < 1e-12  # type: ignore[union-attr]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"fold: model must be a torch\.nn\.Module, got list"):
        nl.fold([nn.BatchNorm1d(3)])  # type: ignore[arg-type]
