"""The claims that need torch, scikit-learn or MLX: each on a small setting, and what each computes on what is known."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import normlab as nl
from normlab import kernels
from normlab.experiments.claims import g_spectral_ring as g
from normlab.experiments.claims import j_local_response as j
from normlab.experiments.claims import k_root_mean_square as k
from normlab.experiments.claims import l_placement as l_
from normlab.experiments.claims import m_feature_wise as m
from normlab.experiments.claims import n_dynamic_tanh as n
from normlab.experiments.claims import o_mlx_speed as o
from normlab.experiments.claims import torch_networks
from normlab.experiments.claims.claim import Finding
from normlab.experiments.claims.saying import bracketed, percent
from normlab.experiments.repeatable import by_the_formula

# Two seeds and a few steps: enough to run every line, far too few to claim anything.
SMALL: dict[ModuleType, dict[str, Any]] = {
    g: {"STEPS": 20, "LOOKED_EVERY": 10, "WIDTH": 8, "DRAWN": 50},
    j: {"SETTINGS": {"rates": (1e-3,), "batch": 16, "steps": 2}, "WIDTHS": (2, 3, 4), "TIMED_S": 0.001},
    k: {"SETTINGS": {**k.SETTINGS, "layers": 1, "width": 8, "steps": 20}, "SHAPES": ((4, 8),), "TIMED_S": 0.001},
    l_: {"DEPTHS": (1, 2), "WIDTH": 8, "ROWS": 2, "TOKENS": 3},
    m: {"POOL": ("none", "z_score"), "PIXELS": 2},
    n: {"SETTINGS": {"rates": (1e-3, 3e-3), "batch": 16, "steps": 2}},
    o: {"SETTINGS": {**o.SETTINGS, "methods": ("layer_norm",), "tiers": ("L1",), "passes": ("both",), "seconds": 0.001}},
}
TIMES = {j: 1, k: 2, o: 2}  # how many of the last findings are of times, which no two runs share
IDS = [module.claim.letter for module in SMALL]


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Sequence[Finding]:
    for name, value in SMALL[module].items():
        monkeypatch.setattr(module, name, value)
    with by_the_formula():
        found: Sequence[Finding] = module.claim.measure(range(min(module.claim.seeds, 2)))
    return found


@pytest.mark.parametrize("module", SMALL, ids=IDS)
def test_a_claim_answers_every_condition_in_both_languages(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(module, monkeypatch)
    assert len(found) == len(module.claim.conditions)
    assert all(type(f.holds) is bool and set(f.said) == {"en", "ko"} for f in found)
    texts = [module.claim.title, module.claim.setting, *module.claim.conditions, *(f.said for f in found)]
    assert all(text["en"] != text["ko"] for text in texts)
    assert any("[" in f.said["en"] for f in found) or module is o  # an interval; MLX may have been disturbed


@pytest.mark.parametrize("module", [module for module in SMALL if module is not o], ids=lambda module: module.claim.letter)
def test_the_same_seeds_give_the_same_findings(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = (run(module, monkeypatch) for _ in range(2))
    settled = len(first) - TIMES.get(module, 0)
    assert settled and first[:settled] == again[:settled]


def test_the_ring_counts_the_modes_that_have_a_sample_near_them() -> None:
    at = g.centres()
    off = np.array([0, g.NEAR])
    inside, outside = at[:3] + 0.99 * off, at[3:5] + 1.01 * off
    assert g.hits(np.concatenate([inside, inside[:1], outside])) == (3, 4 / 6)
    assert g.hits(np.zeros((5, 2))) == (0, 0.0)


def test_the_ring_is_the_one_of_the_setting() -> None:
    assert np.allclose(np.linalg.norm(g.centres(), axis=1), 2.0)
    assert len({tuple(c) for c in g.centres().round(6)}) == 8


def test_the_bound_is_the_product_of_the_largest_singular_values() -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LeakyReLU(0.1), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.0, -2.0], [1.5, 0.0]]))
        network[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
    assert g.product_of_norms(network) == pytest.approx(2.0 * 5.0)
    # At (1, -1) both units are positive: the slope is (3, 4) times the matrix, that is (6, -6).
    assert g.steepest(network, torch.tensor([[1.0, -1.0]])) == pytest.approx(6 * 2**0.5)
    # At (-1, 1) both are negative: a tenth of it. The steepest of both counts.
    assert g.steepest(network, torch.tensor([[-1.0, 1.0]])) == pytest.approx(0.6 * 2**0.5)
    assert g.steepest(network, torch.tensor([[-1.0, 1.0], [1.0, -1.0]])) == pytest.approx(6 * 2**0.5)


def test_a_discriminator_with_converged_norms_has_the_bound_1_and_one_without_has_not() -> None:
    torch.manual_seed(0)
    judge = g.networks(True)[1]
    for _ in range(200):  # a power iteration each; singular values that lie close together need many
        judge(torch.zeros(1, 2))
    assert g.product_of_norms(judge.eval()) == pytest.approx(1, abs=1e-3)
    assert g.steepest(judge, torch.randn(100, 2)) <= 1
    assert g.product_of_norms(g.networks(False)[1]) != pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("power", [0.0, -0.5, 0.3])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    norms = np.array([[c * depth**power for c in (1.0, 2.0, 7.0)] for depth in l_.DEPTHS])
    found = l_.exponent(norms)
    assert found.mean == pytest.approx(power, abs=1e-12)
    assert l_.within(l_.exponent(norms * [[1.0, 1.01, 0.99]] ** np.arange(4)[:, None]), power, 0.1)


def test_an_exponent_counts_only_where_its_whole_interval_does() -> None:
    norms = np.array([[depth**p for p in (-0.2, -0.5, -0.8)] for depth in l_.DEPTHS])
    found = l_.exponent(norms)
    assert found.mean == pytest.approx(-0.5) and not l_.within(found, -0.5, l_.NEAR)
    assert not l_.within(l_.interval([0.3]), 0.3, 1.0)  # one seed has no interval


@pytest.mark.parametrize("before", [True, False], ids=["inside the branch", "after the sum"])
def test_a_block_is_the_one_that_torch_has(before: bool) -> None:
    torch.manual_seed(0)
    ours = torch_networks.Block(8, 2, 12, nn.LayerNorm, before).double()
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=before).double()
    pairs = {
        "self_attn.in_proj_weight": ours.ask.weight, "self_attn.in_proj_bias": ours.ask.bias,
        "self_attn.out_proj.weight": ours.answer.weight, "self_attn.out_proj.bias": ours.answer.bias,
        "linear1.weight": ours.up.weight, "linear1.bias": ours.up.bias,
        "linear2.weight": ours.down.weight, "linear2.bias": ours.down.bias,
        "norm1.weight": torch.randn(8), "norm1.bias": torch.randn(8),
        "norm2.weight": torch.randn(8), "norm2.bias": torch.randn(8),
    }  # fmt: skip
    theirs.load_state_dict(pairs)
    for at, norm in enumerate(ours.norms):
        norm.load_state_dict({name: pairs[f"norm{at + 1}.{name}"] for name in ("weight", "bias")})
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)  # sums of 12 terms of order one in float64


def test_the_tanh_is_that_of_the_paper() -> None:
    layer = n.dynamic_tanh(3)
    assert [p.numel() for p in layer.parameters()] == [1, 3, 3]
    x = torch.tensor([[0.0, 1.0, -4.0]])
    np.testing.assert_allclose(layer(x).detach(), np.tanh(0.5 * x.numpy()), rtol=1e-6)
    with torch.no_grad():
        layer.slope.fill_(2.0)
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
    right = [1.0, 2 * np.tanh(2.0), 3 * np.tanh(-8.0) - 1]
    np.testing.assert_allclose(layer(x).detach()[0], right, rtol=1e-6)


def test_the_network_is_the_note_s() -> None:
    made = {label: j.network(label) for label in (j.LRN, j.TIMES, j.NONE)}
    assert {sum(p.numel() for p in network.parameters()) for network in made.values()} == {620_362}
    assert made[j.NONE](torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    order = [type(layer).__name__ for layer in made[j.LRN]][:4]
    assert order == ["Conv2d", "LocalResponseNorm", "ReLU", "MaxPool2d"]


def test_the_constant_is_what_the_window_makes_of_small_activations() -> None:
    x = 0.1 * torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    lrn, times = (j.network(label)[1] for label in (j.LRN, j.TIMES))
    # Five squares below 0.2 times 1e-4 / 5 beside k = 2, to the power 0.75: less than 1e-5 of the value.
    torch.testing.assert_close(lrn(x), times(x), rtol=1e-5, atol=0)
    assert not torch.allclose(lrn(1000 * x), times(1000 * x), rtol=0.1)


def test_time_is_saved_where_the_whole_interval_says_so() -> None:
    assert k.saves((0.80, 0.85, 0.92)) and not k.saves((0.80, 0.85, 0.94))


def test_the_z_score_s_accuracy_is_that_of_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = m.table("wine")
    theirs = make_pipeline(StandardScaler(), KNeighborsClassifier(m.NEIGHBOURS))
    folds = StratifiedKFold(m.FOLDS, shuffle=True, random_state=np.random.RandomState(3))
    right = cross_val_score(theirs, x, y, cv=folds).mean()
    assert m.judged(x, y, [3])[m.Z_SCORE] == [pytest.approx(right)]


def test_a_scaler_for_each_column_wins_where_the_columns_ask_for_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m, "POOL", ("none", "z_score"))
    draw, y = np.random.default_rng(0), np.repeat([0, 1], 60)
    # The class lies in a small column and in a large one; noise lies in small ones that a z-score would make as large.
    noise = 1e-3 * draw.standard_normal((120, 20))
    x = np.column_stack([y + 0.4 * draw.standard_normal(120), 1e4 * draw.standard_normal(120), noise])
    found = m.judged(x, y, [0, 1])
    assert np.mean(found[m.WISE]) > np.mean(found[m.SINGLE]) + 0.05
    assert np.mean(found[m.WISE]) > np.mean(found[m.Z_SCORE]) + 0.05


def test_the_digits_come_in_their_most_variable_pixels() -> None:
    x, y = m.table("digits")
    every = nl.data.load_digits()[0].reshape(len(y), -1)
    assert x.shape == (1797, m.PIXELS)
    assert sorted(x.var(axis=0)) == pytest.approx(sorted(every.var(axis=0))[-m.PIXELS:])  # fmt: skip


def case(mlx: float | None, numpy: float, disturbed: bool = False) -> dict[str, Any]:
    def contestant(us: float) -> dict[str, Any]:
        return {"us": us, "disturbed": disturbed}

    others = {"numpy": contestant(numpy), "torch": contestant(numpy)}
    return {"contestants": others if mlx is None else {**others, "mlx": contestant(mlx)}}


def test_mlx_is_as_many_times_as_fast_as_the_undisturbed_cases_say() -> None:
    rows = [case(10, 20), case(5, 10.1), case(7, 13.9), case(1, 1000, disturbed=True), case(None, 3)]
    found = o._compared("NumPy", o.times(rows, "numpy"))
    assert found.holds and found.figures["cases"] == 3
    assert found.figures["ratio"] == pytest.approx((20 / 10 * 10.1 / 5 * 13.9 / 7) ** (1 / 3))
    slower = o._compared("NumPy", o.times([case(20, 10), case(30, 16), case(11, 5)], "numpy"))
    assert not slower.holds and slower.figures["high"] < 1
    assert not o._compared("NumPy", o.times([case(1, 2, disturbed=True)] * 3, "numpy")).holds


def test_steps_are_timed_with_the_kernels_that_users_have_and_claims_run_without() -> None:
    seen: list[bool] = []
    with by_the_formula():
        torch_networks.timed({"look": lambda: seen.append(kernels.available())}, 0.001)
        assert not kernels.available()
    assert seen and set(seen) == {kernels.available()}


def test_a_claim_leaves_torch_as_it_was() -> None:
    threads, draws = torch.get_num_threads(), torch.get_rng_state()
    with torch_networks.alone():
        assert torch.get_num_threads() == 1
        torch.manual_seed(123)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), draws)


def test_figures_carry_their_interval_where_there_is_one() -> None:
    assert bracketed(1.25, 1.0, 1.5, ".2f") == "1.25 [1.00, 1.50]"
    assert bracketed(1.25, None, None, ".2f") == "1.25" and bracketed(None, None, None) == "-"
    assert percent([0.5]) == "50.0 %" and percent([0.5, None]).startswith("-")
