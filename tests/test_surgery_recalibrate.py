"""`recalibrate`: running statistics are those of all the data as one, and nothing else of the model changes.

What is right is computed directly, in float64 over the concatenated batches. float32 statistics are stored with half a
unit (6e-8), so 1e-6 leaves room for the order of sums before the layer alone; float64 is held to 1e-12.
"""

from __future__ import annotations

import copy
import random
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

import normlab as nl
from foreign import timm, transformers
from networks import resnet18
from test_surgery_freeze import statistics

torch.set_num_threads(1)

TIGHT = {torch.float32: 1e-6, torch.float64: 1e-12}
CHANNELS = 6
SIZES = (5, 4, 2)  # unequal, the last smaller, none of one sample


class Custom(nn.Module):
    """A batch normalization as people write it, with the biased variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.momentum = 0.1
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        var, mean = torch.var_mean(x, [0, 2, 3], correction=0)
        if self.training:
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(var.detach(), self.momentum)
        else:
            mean, var = self.running_mean, self.running_var
        return (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()


# By name: a layer, the axes that follow the samples, and how its statistics come from all the data.
Statistics = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def of_channels(correction: int = 1) -> Statistics:
    return lambda x: tuple(reversed(torch.var_mean(x.transpose(0, 1).flatten(1), 1, correction=correction)))  # type: ignore[return-value]


def of_samples(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    var, mean = torch.var_mean(x.flatten(2), 2)
    return mean.mean(0), var.mean(0)


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Statistics]] = {
    "1d": (lambda: nn.BatchNorm1d(CHANNELS), (CHANNELS,), of_channels()),
    "1d, positions": (lambda: nn.BatchNorm1d(CHANNELS, momentum=None), (CHANNELS, 5), of_channels()),
    "2d": (lambda: nn.BatchNorm2d(CHANNELS, affine=False), (CHANNELS, 3, 3), of_channels()),
    "3d": (lambda: nn.BatchNorm3d(CHANNELS), (CHANNELS, 3, 2, 2), of_channels()),
    "synchronized": (lambda: nn.SyncBatchNorm(CHANNELS), (CHANNELS, 3), of_channels()),
    "instance": (lambda: nn.InstanceNorm2d(CHANNELS, track_running_stats=True), (CHANNELS, 3, 3), of_samples),
    "ours": (lambda: nl.torch.BatchNorm(CHANNELS), (CHANNELS, 3, 3), of_channels()),
    "ours, biased": (lambda: nl.torch.BatchNorm(CHANNELS, running_var_biased=True, momentum=None), (CHANNELS, 3), of_channels(0)),
    "ours, channels last": (lambda: nl.torch.BatchNorm(3, layout="n ... c"), (CHANNELS, 3), lambda x: of_channels()(x.transpose(1, 2))),
    "whole": (lambda: nl.torch.WholeNorm(CHANNELS), (CHANNELS, 3, 3), lambda x: (x.mean(), x.var())),
    "ours, instance": (lambda: nl.torch.InstanceNorm(CHANNELS, running=True), (CHANNELS, 3, 3), of_samples),
    "timm, activation": (lambda: timm.layers.BatchNormAct2d(CHANNELS), (CHANNELS, 3, 3), of_channels()),
    "custom": (lambda: Custom(CHANNELS), (CHANNELS, 3, 3), of_channels(0)),
}  # fmt: skip
every_layer = pytest.mark.parametrize("name", LAYERS)


def drawn(sizes: tuple[int, ...], rest: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.Tensor]:
    """Batches whose means lie apart, so that the variance between them counts."""
    source = torch.Generator().manual_seed(seed)
    batches = [torch.randn(n, *rest, generator=source, dtype=torch.float64) * 2.0 + 3.0 * k for k, n in enumerate(sizes)]
    return [x.to(dtype) for x in batches]


def check(module: nn.Module, expected: tuple[torch.Tensor, torch.Tensor], tight: float) -> None:
    for name, value in zip(("running_mean", "running_var"), expected, strict=True):
        torch.testing.assert_close(module.get_buffer(name).double(), value.double(), rtol=tight, atol=tight)


@every_layer
@pytest.mark.parametrize("dtype", TIGHT, ids=str)
@pytest.mark.parametrize("sequential", [False, True])
def test_statistics_are_those_of_all_batches_as_one(name: str, dtype: torch.dtype, sequential: bool) -> None:
    make, rest, expected = LAYERS[name]
    model = nn.Sequential(make().to(dtype))
    batches = drawn(SIZES, rest, dtype)
    report = nl.recalibrate(model, batches, sequential=sequential)
    assert [c.path for c in report.changed] == ["0"] and not report.refused, str(report)
    double = name.startswith(("ours", "whole")) and dtype is torch.float32  # kept in float32 at least
    check(model[0], expected(torch.cat(batches).double()), TIGHT[dtype])
    assert double or model[0].running_var.dtype is dtype
    counter = model[0]._buffers.get("num_batches_tracked")
    assert counter is None or int(counter) == len(SIZES)


@every_layer
def test_a_large_mean_costs_no_digits(name: str) -> None:
    """Mean 1e4, spread 2: E[x^2] - E[x]^2 in float32 would leave none."""
    make, rest, expected = LAYERS[name]
    model = nn.Sequential(make())
    batches = [x + 1e4 for x in drawn(SIZES, rest, torch.float32)]
    nl.recalibrate(model, batches)
    check(model[0], expected(torch.cat(batches).double()), 1e-6)


def test_channels_last_and_strided_batches_give_the_same() -> None:
    batches = drawn(SIZES, (CHANNELS, 4, 4), torch.float32)
    model, other = nn.BatchNorm2d(CHANNELS), nn.BatchNorm2d(CHANNELS)
    nl.recalibrate(model, [x.contiguous(memory_format=torch.channels_last) for x in batches])
    nl.recalibrate(other, [x.repeat_interleave(2, 3)[..., ::2] for x in batches])
    for one in (model, other):
        check(one, of_channels()(torch.cat(batches).double()), 1e-6)


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)).double()
    net(torch.randn(4, 3, 9, 9, dtype=torch.float64))
    return net


def test_later_layers_receive_what_earlier_ones_normalize_by_their_batch() -> None:
    net, batches = two_layers(), drawn(SIZES, (3, 9, 9))
    by_batch = nn.Sequential(net[0], nn.BatchNorm2d(4, track_running_stats=False).double(), *net[2:4])
    with torch.no_grad():
        first, second = torch.cat([net[0](x) for x in batches]), torch.cat([by_batch(x) for x in batches])
    nl.recalibrate(net, iter(batches))
    check(net[1], of_channels()(first), 1e-12)
    check(net[4], of_channels()(second), 1e-12)


def test_one_after_another_each_layer_has_the_statistics_of_what_evaluation_gives_it() -> None:
    net, batches = resnet18(5, narrow=16).double(), drawn((3, 2, 1), (3, 32, 32))  # the last one a single sample
    report = nl.recalibrate(net, batches, sequential=True)
    assert len(report.changed) == 20
    received: dict[nn.Module, list[torch.Tensor]] = {}
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    handles = [m.register_forward_pre_hook(lambda m, x: received.setdefault(m, []).append(x[0].detach().clone())) for m in norms]
    with torch.no_grad():
        for x in batches:
            net.eval()(x)
    for handle in handles:
        handle.remove()
    for m in norms:
        check(m, of_channels()(torch.cat(received[m])), 1e-12)
    other = copy.deepcopy(net)
    nl.recalibrate(other, [torch.cat(batches)], sequential=True)  # however the data is cut
    for name, a in statistics(other).items():
        if "num_batches" not in name:
            torch.testing.assert_close(a, statistics(net)[name], rtol=1e-9, atol=1e-12)


def test_it_agrees_with_update_bn_on_one_batch_and_counts_what_that_leaves_out_on_several() -> None:
    ours, theirs = two_layers(), two_layers()
    batches = drawn((4, 4), (3, 9, 9))
    nl.recalibrate(ours, batches[:1])
    update_bn(batches[:1], theirs)
    for name, a in statistics(theirs).items():
        torch.testing.assert_close(statistics(ours)[name], a)
    nl.recalibrate(ours, batches)
    update_bn(batches, theirs)
    torch.testing.assert_close(ours[1].running_mean, theirs[1].running_mean)  # batches of one size
    right = of_channels()(torch.cat([ours[0](x) for x in batches]).detach())[1]
    torch.testing.assert_close(ours[1].running_var, right)
    assert (theirs[1].running_var < right).all() and (theirs[1].running_var < 0.8 * right).any()  # nothing between the batches


def test_dropout_is_not_active_and_random_numbers_stay() -> None:
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(CHANNELS))
    batches = drawn(SIZES, (CHANNELS,), torch.float32)
    before = torch.random.get_rng_state()
    nl.recalibrate(net, (x + 0.0 * torch.rand(1) for x in batches))  # a loader that draws
    check(net[1], of_channels()(torch.cat(batches).double()), 1e-6)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_shared_layer_has_the_statistics_of_all_its_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(CHANNELS)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) + self.norm(input=3.0 * x)

    net, batches = Twice(), drawn(SIZES, (CHANNELS,))
    nl.recalibrate(net.double(), batches)
    x = torch.cat(batches)
    check(net.norm, of_channels()(torch.cat([x, 3.0 * x])), 1e-12)


def test_a_model_of_transformers_takes_dicts() -> None:
    settings = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    net = transformers.ResNetModel(settings)
    batches = drawn(SIZES, (3, 32, 32), torch.float32)
    report = nl.recalibrate(net, [{"pixel_values": x} for x in batches])
    assert len(report.changed) == 8 and not report.refused
    with torch.no_grad():
        expected = of_channels()(net.embedder.embedder.convolution(torch.cat(batches)).double())
    check(net.embedder.embedder.normalization, expected, 1e-5)  # a convolution of one batch or of three rounds otherwise


def test_a_generator_is_read_batch_by_batch_and_nothing_of_it_is_kept() -> None:
    alive: list[int] = []
    references: list[weakref.ref[torch.Tensor]] = []

    def batches() -> Iterator[torch.Tensor]:
        for _ in range(20):
            x = torch.randn(4, CHANNELS)
            references.append(weakref.ref(x))
            alive.append(sum(r() is not None for r in references))
            yield x
            del x

    net = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.BatchNorm1d(CHANNELS))
    nl.recalibrate(net, batches())
    assert len(alive) == 20 and max(alive) <= 2
    assert all(not a.requires_grad for a in net.buffers())


def test_mix_weighs_the_new_statistics_beside_the_old() -> None:
    """AdaBN on another domain, and halfway there."""
    net = nn.BatchNorm1d(CHANNELS).double()
    source, target = (drawn(SIZES, (CHANNELS,), seed=seed) for seed in (0, 1))
    target = [x * 0.5 - 4.0 for x in target]
    nl.recalibrate(net, source)
    report = nl.recalibrate(net, target, mix=0.25)
    pairs = zip(of_channels()(torch.cat(source)), of_channels()(torch.cat(target)), strict=True)
    check(net, tuple(0.75 * a + 0.25 * b for a, b in pairs), 1e-12)  # type: ignore[arg-type]
    assert int(net.num_batches_tracked) == 6 and "11 values a set in 3 calls" in str(report)
    nl.recalibrate(net, target)
    y = net.eval()(torch.cat(target))
    torch.testing.assert_close(y.mean(0), torch.zeros(CHANNELS).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(y.var(0), torch.ones(CHANNELS).double(), atol=1e-4, rtol=0)  # eps is 1e-5 of a variance of 1


def test_a_cumulative_mean_goes_on_from_the_new_statistics() -> None:
    net, (x, y, z) = nn.BatchNorm1d(CHANNELS, momentum=None).double(), drawn((4, 4, 4), (CHANNELS,))
    nl.recalibrate(net, [x, y])
    net(z)
    torch.testing.assert_close(net.running_mean, torch.cat([x, y, z]).mean(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_models_in_half_precision_are_measured_exactly_and_stored_in_their_dtype(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.BatchNorm2d(CHANNELS), nl.torch.BatchNorm(CHANNELS)).to(dtype)
    batches = drawn(SIZES, (CHANNELS, 4, 4), dtype)
    nl.recalibrate(net, batches)
    expected = of_channels()(torch.cat(batches).double())
    for name, value in zip(("running_mean", "running_var"), expected, strict=True):
        assert torch.equal(net[0].get_buffer(name), value.to(dtype))
    assert net[1].running_var.dtype is torch.float32


def test_masked_elements_do_not_count() -> None:
    net = nl.torch.BatchNorm(CHANNELS).double()
    batches = [(x, torch.rand(x.shape[0], 5) < 0.7) for x in drawn(SIZES, (CHANNELS, 5))]
    nl.recalibrate(net, batches, forward=lambda model, batch: model(batch[0], mask=batch[1]))
    valid = torch.cat([x.movedim(1, -1)[mask] for x, mask in batches])
    check(net, (valid.mean(0), valid.var(0)), 1e-12)


def test_compiled_and_wrapped_models_are_measured_alike() -> None:
    batches, expected = drawn(SIZES, (3, 9, 9)), two_layers()
    nl.recalibrate(expected, batches)
    compiled = torch.compile(two_layers(), backend="eager")
    compiled(batches[0])
    inside = two_layers()
    inside[4].compile(backend="eager")
    for net in (compiled, inside, nn.DataParallel(two_layers())):
        report = nl.recalibrate(net, batches)
        assert len(report.changed) == 2
        for a, b in zip(statistics(net).values(), statistics(expected).values(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("seed", range(8))
def test_however_data_is_cut_the_statistics_are_the_same(seed: int) -> None:
    cuts = random.Random(seed)
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((60, CHANNELS, 2)) * 10.0 ** cuts.randint(-3, 3) + cuts.randint(-5, 5))
    sizes = []
    while sum(sizes) < 60:
        sizes.append(min(cuts.randint(1, 15), 60 - sum(sizes)))
    net = nn.BatchNorm1d(CHANNELS).double()
    nl.recalibrate(net, x.split(sizes))
    check(net, of_channels()(x), 1e-12)
