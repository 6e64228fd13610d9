"""What `recalibrate` must not do: change anything else, leave a trace after an error, guess, or speak in riddles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import foreign
import normlab as nl
from foreign import timm
from networks import transformer
from normlab.errors import NonFiniteError, ShapeError, UsageError
from test_surgery_freeze import equal, kept, statistics
from test_surgery_recalibrate import CHANNELS, SIZES, drawn

torch.set_num_threads(1)


def everything(model: nn.Module) -> Any:
    """All that a forward pass or an operation could leave behind, comparable."""
    state = {n: (id(a), a._version, a.detach().clone().numpy().tobytes()) for n, a in (*model.named_parameters(), *model.named_buffers())}
    grads = {n: None if p.grad is None else p.grad.numpy().tobytes() for n, p in model.named_parameters()}
    own = [{n: len(v) if isinstance(v, dict) else id(v) for n, v in vars(m).items()} for m in model.modules()]
    return state, grads, own, [m.training for m in model.modules()], torch.random.get_rng_state().numpy().tobytes()


class Watched(nn.Module):
    """What surgery must not disturb: a counter, spectral vectors, dropout, frozen and shared parts, mixed modes."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.utils.parametrizations.spectral_norm(nn.Linear(CHANNELS, CHANNELS))
        self.first = self.again = nn.BatchNorm1d(CHANNELS)
        self.still = nn.BatchNorm1d(CHANNELS).eval()
        self.never = nn.BatchNorm1d(CHANNELS)
        self.drop = nn.Dropout()
        self.register_buffer("calls", torch.zeros(()))
        self.first.register_forward_hook(lambda m, x, y: None)

    def forward(self, x: torch.Tensor, scale: Any = None) -> torch.Tensor:
        self.calls += 1
        x = self.still(self.drop(self.first(self.dense(x))) + self.again(x))
        return x if scale is None else x * scale


def watched() -> Watched:
    torch.manual_seed(0)
    net = Watched()
    net(torch.randn(5, CHANNELS)).square().sum().backward()
    return net


def failing(kind: str) -> Iterator[torch.Tensor]:
    yield torch.randn(4, CHANNELS)
    if kind == "loader":
        raise KeyError("row 7")
    if kind == "interrupted":
        raise KeyboardInterrupt
    yield {"nan": torch.full((4, CHANNELS), torch.nan), "one": torch.ones(1, CHANNELS), "shape": torch.ones(4, 3)}.get(kind, torch.ones(2, CHANNELS))
    yield [torch.ones(4, CHANNELS)]  # type: ignore[misc]


FAILURES: dict[str, tuple[type[BaseException], str]] = {
    "loader": (KeyError, "row 7"),
    "interrupted": (KeyboardInterrupt, ""),
    "nan": (NonFiniteError, r"recalibrate: first \(BatchNorm1d\) was given x of shape \(4, 6\) with NaN"),
    "one": (ShapeError, r"first \(BatchNorm1d\) was given x of shape \(1, 6\), 1 value in each set.*drop_last=True"),
    "shape": (UsageError, r"the model refused batch 2 \(shape \(4, 3\)\): RuntimeError: .*forward="),
    "list": (UsageError, r"batch 3 must be a tensor, a tuple or a dict, got list.*model\(batch\[0\]\)"),
}


# One after another, nothing is normalized by its batch, and a single value is no error.
@pytest.mark.parametrize(("kind", "sequential"), [(k, s) for k in FAILURES for s in (False, True) if not (s and k == "one")])
def test_after_an_error_the_model_is_exactly_as_before(kind: str, sequential: bool) -> None:
    net = watched()
    before = everything(net)
    error, text = FAILURES[kind]

    class Loader:
        def __iter__(self) -> Iterator[torch.Tensor]:
            return failing(kind)

    with pytest.raises(error, match=f"(?s){text}"):
        nl.recalibrate(net, Loader(), sequential=sequential)
    assert everything(net) == before


def test_only_running_statistics_change_and_undo_gives_them_back() -> None:
    net = watched()
    before, old = everything(net), kept(net)
    report = nl.recalibrate(net, drawn(SIZES, (CHANNELS,), torch.float32))
    assert [c.path for c in report.changed] == ["first", "again", "still"]
    assert [(r.path, r.reason) for r in report.refused] == [("never", "no batch reached it")]
    after = everything(net)
    assert after[1:] == before[1:]
    moved = {n for n, a in kept(net).items() if not torch.equal(a, old[n])}
    wanted = ("running_mean", "running_var", "num_batches_tracked")
    assert moved == {f"{layer}.{n}" for layer in ("first", "again", "still") for n in wanted}
    assert int(net.first.num_batches_tracked) == 2 * len(SIZES)  # it is called twice
    assert report.undo() is net and equal(kept(net), old)


@pytest.mark.parametrize("kind", ["tensors", "tuples", "dicts", "pairs", "loader"])
def test_batches_come_in_every_form(kind: str) -> None:
    net, batches = watched(), drawn(SIZES, (CHANNELS,), torch.float32)
    given: dict[str, Any] = {
        "tensors": batches, "tuples": [(x, 2.0) for x in batches], "dicts": [{"x": x, "scale": torch.ones(1)} for x in batches],
        "pairs": [[x, "label"] for x in batches],
        "loader": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.cat(batches)), batch_size=4),
    }  # fmt: skip
    forward = (lambda model, batch: model(batch[0])) if kind in ("pairs", "loader") else None
    nl.recalibrate(net, given[kind], forward=forward)
    other = watched()
    nl.recalibrate(other, torch.cat(batches).split(4) if kind == "loader" else batches)
    assert equal(statistics(net), statistics(other))


def test_a_statistic_that_its_dtype_cannot_hold_is_an_error_and_nothing_changes() -> None:
    net = nn.BatchNorm2d(CHANNELS).half()
    before = everything(net)
    with pytest.raises(NonFiniteError, match=r"the model \(BatchNorm2d\): a statistic is not finite in torch.float16.*keep_norms_fp32"):
        nl.recalibrate(net, [x * 300 for x in drawn(SIZES, (CHANNELS, 4, 4), torch.float16)])
    assert everything(net) == before


def test_a_model_without_running_statistics_is_told_so_and_no_batch_is_read() -> None:
    net = transformer(8, 1, 2)
    before = everything(net)
    report = nl.recalibrate(net, failing("loader"))
    assert report.changed == () and "nothing in it keeps running statistics" in str(report) and everything(net) == before


def test_what_cannot_be_measured_is_left_alone_and_named() -> None:
    from vocabulary.iter_norm import definition

    frozen = nn.BatchNorm2d(CHANNELS)
    net = nn.Sequential(
        frozen, timm.layers.SplitBatchNorm2d(CHANNELS, num_splits=2), foreign.torchvision.ops.FrozenBatchNorm2d(CHANNELS),
        timm.layers.EvoNorm2dB0(CHANNELS), nl.torch.build(definition, CHANNELS), nn.BatchNorm2d(CHANNELS, track_running_stats=False),
        nn.BatchNorm2d(CHANNELS),
    )  # fmt: skip
    nl.freeze(frozen)
    old = kept(net)
    report = nl.recalibrate(net, drawn((4, 6), (CHANNELS, 4, 4), torch.float32))
    reasons = {r.path: r.reason for r in report.refused}
    assert "frozen; undo that first" in reasons["0"] and "SplitBatchNorm2d does not keep the mean and variance of what" in reasons["1"]
    assert "class is frozen" in reasons["2"] and reasons["3"] == reasons["4"] == "its running statistics are not a mean and a variance"
    assert "normalizes by the batch in evaluation as well" in reasons["5"]
    assert reasons["1.aux_bn.0"] == "no batch reached it"  # in evaluation, which its host is in
    assert {n.split(".")[0] for n, a in kept(net).items() if not torch.equal(a, old[n])} == {"6"}
    assert [c.path for c in report.changed] == ["6"]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"batches": torch.ones(4, 6)}, r"batches must give one batch after another, got Tensor. One: \[batch\]"),
        ({"batches": {"x": torch.ones(4, 6)}}, "got dict"),
        ({"batches": 3}, "got int"),
        ({"mix": 0}, "mix must be a number above 0, at most 1, got 0"),
        ({"mix": True}, "got True"),
        ({"batches": iter([]), "sequential": True}, "goes through batches once for each layer; list_iterator gives them only once"),
        ({"model": nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3))}, "recalibrate: 0: it is lazy and has no shape yet; call the model once"),
        ({"model": "net"}, "model must be a torch.nn.Module, got str"),
        ({"process_group": "all"}, "recalibrate: process_group must be a group of torch.distributed"),
    ],
    ids=lambda v: str(sorted(v)) if isinstance(v, dict) else "",
)  # fmt: skip
def test_what_is_no_recalibration_is_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        nl.recalibrate(**{"model": nn.BatchNorm1d(6), "batches": [torch.ones(4, 6)], **wrong})


def test_no_batches_leave_the_statistics_alone_and_say_so() -> None:
    net = nn.BatchNorm1d(CHANNELS)
    old = kept(net)
    report = nl.recalibrate(net, [torch.ones(0, CHANNELS)] * 0)
    assert not report.changed and report.refused[0].reason == "no batch reached it" and equal(kept(net), old)
    copied = nl.recalibrate(net, drawn(SIZES, (CHANNELS,), torch.float32), copy=True)
    assert equal(kept(net), old) and not equal(kept(copied.model), old)
