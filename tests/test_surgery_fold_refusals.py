"""What `fold` leaves alone, and says why: each model here was folded wrongly by some tool, or would be by a guess.

Every case is folded with a batch and without, must be refused for the reason given, and must compute the same bits
afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import normlab as nl
from foldable import randomized
from foreign import timm
from normlab.errors import UsageError

torch.set_num_threads(1)

IMAGE, ROWS = (2, 4, 6, 5), (3, 4)


class Net(nn.Module):
    """Layers by name and a forward as a function of them."""

    def __init__(self, forward: Callable[[Any, torch.Tensor], Any], **layers: nn.Module) -> None:
        super().__init__()
        self.steps = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> Any:
        return self.steps(self, x)


def conv(**more: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, **more)


def norm() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(4)


def hooked(layer: nn.Module, register: str = "register_forward_hook") -> nn.Module:
    getattr(layer, register)(lambda *a: None)
    return layer


def patched(layer: Any) -> nn.Module:
    layer.forward = type(layer).forward.__get__(layer)
    return layer


def tied() -> nn.Module:
    """As GPT-2 and BERT tie their embeddings to their last layer."""
    net = Net(lambda s, x: s.head(s.norm(s.table(x.argmax(-1)))), table=nn.Embedding(6, 4), norm=nn.LayerNorm(4), head=nn.Linear(4, 6))
    net.head.weight = net.table.weight  # type: ignore[union-attr]
    return net


def sharing_memory() -> nn.Module:
    net = Net(lambda s, x: s.norm(s.a(x)) + s.b(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4), norm=nn.BatchNorm1d(4))
    net.b.weight = nn.Parameter(net.a.weight.detach().view(4, 4))  # type: ignore[union-attr]
    return net


def strange() -> nn.Module:
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight * 2

    return parametrize.register_parametrization(nn.Linear(4, 4), "weight", Doubled()), nn.BatchNorm1d(4)  # type: ignore[return-value]


def quantized_in_training() -> nn.Module:
    from torch.ao.nn.qat import Conv2d
    from torch.ao.quantization import QConfig, default_fake_quant, default_weight_fake_quant

    layer = Conv2d(4, 4, 3, qconfig=QConfig(activation=default_fake_quant, weight=default_weight_fake_quant))
    return nn.Sequential(layer, norm())


def without_numbers() -> nn.Module:
    net = nn.Sequential(conv(), norm())
    net[1].running_var[1] = -1.0
    return net


def whole_numbers() -> nn.Module:
    """As 8-bit layers of other libraries are: a subclass of Linear with integers for a weight."""

    class Linear8(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.weight.to(x.dtype) / 16, self.bias)

    layer = Linear8(4, 4)
    layer.weight = nn.Parameter(torch.randint(-8, 8, (4, 4), dtype=torch.int8), requires_grad=False)
    return nn.Sequential(layer, nn.BatchNorm1d(4))


def keeps() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.features = self.a(x)
        return self.norm(self.features)

    return Net(forward, a=conv(), norm=norm())


class Asking(nn.Module):
    """Does something else with a tensor than with what torch.fx gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = conv(), norm()

    def forward(self, x: Any) -> torch.Tensor:
        y = self.a(x)
        return self.norm(y) + (y if isinstance(x, torch.Tensor) else 0)


# What it is, how it is made, the shape of its batch, and the reason.
CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "activation between": (lambda: nn.Sequential(conv(), nn.ReLU(), norm()), IMAGE, r"1 \(ReLU\) gives it its input, and is not linear"),
    "function between": (lambda: Net(lambda s, x: s.norm(s.a(x).relu()), a=conv(), norm=norm()), IMAGE, "its input comes from .*relu"),
    "function in place between": (lambda: Net(lambda s, x: s.norm(s.a(x).relu_()), a=conv(), norm=norm()), IMAGE, "its input comes from .*relu_"),
    "activation in place between": (lambda: nn.Sequential(conv(), nn.ReLU(inplace=True), norm()), IMAGE, "ReLU.*is not linear"),
    "shape changed between": (lambda: Net(lambda s, x: s.norm(s.a(x).flatten(2)), a=conv(), norm=nn.BatchNorm1d(4)), IMAGE, "its input comes from .*(view|flatten)"),
    "one convolution, two norms": (lambda: Net(lambda s, x: s.m(s.a(x)) + s.n(s.a(x)), a=conv(), m=norm(), n=norm()), IMAGE, r"also goes to (m|n) \(BatchNorm2d\)"),
    "one output, two norms": (lambda: Net(lambda s, x: (lambda y: s.m(y) + s.n(y))(s.a(x)), a=conv(), m=norm(), n=norm()), IMAGE, r"also goes to (m|n) \(BatchNorm2d\)"),
    "two convolutions, one norm": (lambda: Net(lambda s, x: s.n(s.a(x)) + s.n(s.b(x)), a=conv(), b=conv(), n=norm()), IMAGE, r"its input comes from a \(Conv2d\), b \(Conv2d\)"),
    "residual beside": (lambda: Net(lambda s, x: (lambda y: s.n(y) + y)(s.a(x)), a=conv(), n=norm()), IMAGE, "also goes to .*add"),
    "returned as well": (lambda: Net(lambda s, x: (lambda y: {"y": s.n(y), "more": [y]})(s.a(x)), a=conv(), n=norm()), IMAGE, "also goes to the model's output"),
    "weight read elsewhere": (lambda: Net(lambda s, x: s.n(s.a(x)) + s.a.weight.sum(), a=conv(), n=norm()), IMAGE, r"reads a tensor of a \(Conv2d\) without calling it"),
    "norm's weight read elsewhere": (lambda: Net(lambda s, x: s.n(s.a(x)) + s.n.weight.sum(), a=conv(), n=norm()), IMAGE, r"reads a tensor of n \(BatchNorm2d\)"),
    "called as a function": (lambda: Net(lambda s, x: s.n(nn.functional.conv2d(x, s.a.weight)), a=conv(), n=norm()), IMAGE, "its input comes from .*conv"),
    "never called": (lambda: Net(lambda s, x: s.a(x), a=conv(), n=norm()), IMAGE, r"n \(BatchNorm2d\) is not called by itself"),
    "zero padding after": (lambda: nn.Sequential(norm(), conv(padding=1)), IMAGE, "pads with zeros or is transposed"),
    "same padding after": (lambda: nn.Sequential(norm(), conv(padding="same")), IMAGE, "pads with zeros or is transposed"),
    "transposed after": (lambda: nn.Sequential(norm(), nn.ConvTranspose2d(4, 4, 2, stride=2)), IMAGE, "pads with zeros or is transposed"),
    "activation after": (lambda: nn.Sequential(norm(), nn.ReLU(), conv()), IMAGE, r"1 \(ReLU\) takes what it gives, and is not linear"),
    "residual after": (lambda: Net(lambda s, x: (lambda y: s.a(y) + y)(s.n(x)), n=nn.LayerNorm(4), a=nn.Linear(4, 4)), ROWS, "gives goes to .*add"),
    "one of two layers is no linear one": (lambda: Net(lambda s, x: (lambda y: s.a(y) + s.t(y))(s.n(x)), n=nn.LayerNorm(4), a=nn.Linear(4, 4), t=nn.Tanh()), ROWS, r"t \(Tanh\) takes"),
    "layer after is given more": (lambda: Net(lambda s, x: s.a(s.n(x)) + s.a(x), n=nn.LayerNorm(4), a=nn.Linear(4, 4)), ROWS, r"a \(Linear\) is called with something else as well"),
    "attention reads its weights itself": (lambda: Net(lambda s, x: (lambda y: s.a(y, y, y)[0])(s.n(x)), n=nn.LayerNorm(4), a=nn.MultiheadAttention(4, 2)), ROWS, "gives goes to|cannot trace|without calling"),
    "another axis": (lambda: nn.Sequential(nn.LayerNorm(4), nn.Conv2d(4, 4, 1)), (2, 4, 5, 4), "its channels are not on the axis"),
    "tied weight": (tied, ROWS, "head .Linear.: its weight is shared: table.weight, head.weight"),
    "two parameters, one memory": (sharing_memory, ROWS, "its weight is shared: a.weight, b.weight"),
    "norm shared with nobody, bias shared": (lambda: _shared_bias(), ROWS, "its bias is shared"),
    "hook on the layer": (lambda: nn.Sequential(hooked(conv()), norm()), IMAGE, r"it has hooks \(forward_hooks\)"),
    "hook on the norm": (lambda: nn.Sequential(conv(), hooked(norm(), "register_forward_pre_hook")), IMAGE, r"it has hooks \(forward_pre_hooks\)"),
    "backward hook": (lambda: nn.Sequential(hooked(conv(), "register_full_backward_hook"), norm()), IMAGE, r"it has hooks \(backward_hooks\)"),
    "forward of the layer replaced": (lambda: nn.Sequential(patched(conv()), norm()), IMAGE, "its forward was replaced"),
    "forward of the norm replaced": (lambda: nn.Sequential(conv(), patched(norm())), IMAGE, "its forward was replaced"),
    "no running statistics": (lambda: nn.Sequential(conv(), nn.BatchNorm2d(4, affine=False, track_running_stats=False)), IMAGE, "it has no weight and no bias to fold"),
    "nothing to fold": (lambda: nn.Sequential(nn.LayerNorm(4, elementwise_affine=False), nn.Linear(4, 4)), ROWS, "it has no weight and no bias to fold"),
    "weight over several axes": (lambda: nn.Sequential(nn.LayerNorm((6, 5)), nn.Linear(5, 4)), IMAGE, "are not one weight and one bias for each channel"),
    "statistics without numbers": (without_numbers, IMAGE, "give no finite numbers"),
    "unknown parametrization": (lambda: nn.Sequential(*strange()), ROWS, "parametrized by Doubled"),
    "weight standardization": (lambda: nn.Sequential(timm.layers.StdConv2d(4, 4, 3, bias=True), norm()), IMAGE, "StdConv2d has a forward of its own, which is not linear"),
    "quantized while training": (quantized_in_training, IMAGE, "Conv2d has a forward of its own, which is not linear"),
    "weights of whole numbers": (whole_numbers, ROWS, "its weight is int8, which cannot be scaled"),
    "padding of a class of its own": (lambda: nn.Sequential(norm(), timm.layers.Conv2dSame(4, 4, 3)), IMAGE, "Conv2dSame has a forward of its own, which is not linear"),
    "kept for somebody": (keeps, IMAGE, "also goes to what the model.*keeps"),
}  # fmt: skip


def _shared_bias() -> nn.Module:
    net = Net(lambda s, x: s.n(s.a(x)) + s.b(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4), n=nn.BatchNorm1d(4))
    net.b.bias = net.a.bias  # type: ignore[union-attr]
    return net


def prepared(make: Callable[[], Any]) -> nn.Module:
    torch.manual_seed(0)
    model = make()
    broken = [(b, b < 0) for b in model.buffers()]
    randomized(model)
    for b, where in broken:
        b[where] = -1  # what is broken on purpose stays so
    return model.eval()


@pytest.mark.parametrize("given", [True, False], ids=["with a batch", "without"])
@pytest.mark.parametrize("what", CASES)
def test_what_is_not_proven_is_refused_with_the_reason(what: str, given: bool) -> None:
    make, shape, reason = CASES[what]
    model = prepared(make)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before = dict(model.state_dict(keep_vars=True))
    report = nl.fold(model, x if given else None)
    assert not report.changed, str(report)
    assert any(re.search(reason, r.reason) for r in report.refused), str(report)
    assert all(before[n] is a for n, a in model.state_dict(keep_vars=True).items())


ASKS = "torch.fx cannot trace the model (test_surgery_fold_refusals asks for the class of a value, which tracing cannot answer)"


def test_a_model_that_asks_for_classes_needs_a_batch() -> None:
    """Traced without, it would show a path that no tensor takes."""
    model = randomized(Asking()).eval()
    report = nl.fold(model)
    assert report.refused[0] == ("norm", f"{ASKS}; give a batch")
    assert "also goes to aten.add" in str(nl.fold(model, torch.randn(IMAGE)))


def test_a_model_whose_path_depends_on_its_input_needs_a_batch() -> None:
    model = Net(lambda s, x: s.n(s.a(x)) if x.sum() > -1e9 else x, a=conv(), n=norm())
    report = nl.fold(randomized(model).eval())
    assert "TraceError" in report.refused[0].reason and report.refused[0].reason.endswith("give a batch")
    assert len(nl.fold(model, torch.randn(IMAGE)).changed) == 1


def test_a_model_that_cannot_be_traced_is_baked_nevertheless() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), Net(lambda s, x: x if x.sum() > 0 else -x), norm()).eval()
    report = nl.fold(model)
    assert [c.path for c in report.changed] == ["0"] and [r.path for r in report.refused] == ["2"]


def test_weights_without_values_are_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(conv(), norm(), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    report = nl.fold(model.eval())
    assert not report.changed and all("on the meta device" in r.reason for r in report.refused) and len(report.refused) == 2


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_a_scripted_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a scripted model cannot be changed\. Fold the model before"):
        nl.fold(torch.jit.script(nn.Sequential(conv(), norm())))


def test_a_compiled_model_is_folded_inside() -> None:
    model = randomized(nn.Sequential(conv(), norm())).eval()
    x = torch.randn(IMAGE)
    y = model(x)
    compiled: Any = torch.compile(model, backend="eager")
    report = nl.fold(compiled, x)
    assert report.model is compiled and isinstance(model[1], nn.Identity)
    torch.testing.assert_close(compiled(x), y, rtol=1e-5, atol=1e-5)
    assert report.undo() is compiled and isinstance(model[1], nn.BatchNorm2d)


def test_a_failure_half_way_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomized(nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), norm(), nn.LayerNorm(3), nn.Linear(3, 2))).eval()
    x = torch.randn(IMAGE)
    y, before = model(x), dict(model.state_dict(keep_vars=True))
    monkeypatch.setattr("normlab.surgery.folding._Done.end", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nl.fold(model, x)
    after = model.state_dict(keep_vars=True)
    assert list(after) == list(before) and all(before[n] is a for n, a in after.items()) and torch.equal(model(x), y)


def test_a_model_that_fails_says_so_itself_and_stays() -> None:
    model = nn.Sequential(conv(), norm()).train()
    with pytest.raises(RuntimeError, match="expected input"):
        nl.fold(model, torch.randn(2, 5, 6, 5))
    assert model.training and not any(m._forward_hooks for m in model.modules()) and isinstance(model[1], nn.BatchNorm2d)
