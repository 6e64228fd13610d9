"""`compare` against the study note: its figures to the last printed digit, its table within its spread, its bytes."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import pytest

import normlab as nl
from normlab.experiments.presets import DEFAULTS, PRESETS
from normlab.result import center

PAIR = ("none", "bn")
TABLE_ARMS = ["none", "bn", "ln", "gn:groups=4", "whole_norm", "rms", "unit_norm", "wn:start=one", "sn", "selu", "lrn"]
# last variance, signal in per cent (None: "~0"), first over last in the note's five layers; the same in the usual
# five; first over last in the usual twenty.
TABLE: dict[str, tuple[Any, ...]] = {
    "none": (0.1620, 2.96, 0.32, 0.0138, 0.0029, 0.0053, 2.6e-12),
    "bn": (0.0445, 99.99, 1.20, 0.0439, 100, 1.09, 1.56),
    "ln": (0.0450, 0.0084, 0.0215, 0.0432, 0.063, 0.025, 2.3e-8),
    "gn:groups=4": (0.0450, 0.0117, 0.024, 0.0450, 0.087, 0.029, 4.2e-8),
    "whole": (0.0450, 0.0091, 0.022, 0.0432, 0.066, 0.025, 2.7e-8),
    "rms": (0.0439, 0.0098, 0.022, 0.0429, 0.059, 0.024, 2.0e-8),
    "unit": (0.0010, None, 1.3e-5, 0.0006, None, 6.4e-6, 1.7e-25),
    "wn:start=one": (0.0608, 2e-5, 0.0011, 0.0134, 0.0030, 0.0052, 2.7e-12),
    "sn": (0.0549, None, 7.9e-5, 0.0034, 2e-5, 4.3e-4, 1.5e-17),
    "lrn": (0.1245, 0.42, 0.13, 0.0050, 7e-5, 8e-4, 2.8e-16),
}
# SELU's weights are drawn at other moments there, so its range over seeds is compared, not one seed.
SELU = (0.7617, 24.1, 0.54, 0.9894, 99.9, 1.16)
# Its first over last at 20 layers is 2.27 there. That is NOT reproduced: over 40 seeds we measure 2.04 with a
# standard deviation of 0.07 and never more than 2.2, and a second implementation measures the same. Per layer they
# are 0.5 % apart.
SELU_DEEP = 2.27
# Eight cotangents scatter: relative standard deviation of first over last over 20 streams, the largest of all arms.
SCATTER = {0: 0.071, 3: 0.036}


def arms_of(*methods: Any, **settings: Any) -> dict[str, dict[str, Any]]:
    """The arms' documents by label."""
    document = nl.compare(*methods, **settings).to_dict()
    return {arm["label"]: arm for arm in document["arms"]}


def row(arm: dict[str, Any]) -> tuple[float, float, float]:
    """Last variance, signal in per cent, first over last."""
    last = arm["layers"][-1]
    return last["var"], 100 * last["signal_var"] / last["var"], arm["first_over_last"]


def strip(text: str) -> dict[str, Any]:
    """The document without what may differ between two runs."""
    return {key: value for key, value in json.loads(text).items() if key not in ("wall_s", "machine")}


def test_note_1_gives_the_note_s_figures_to_every_printed_digit() -> None:
    arms = arms_of(preset="note-1")
    assert tuple(arms) == PAIR
    (none,), (bn,) = (arms[name]["layers"] for name in PAIR)
    assert (none["mean"], none["var"]) == pytest.approx((0.4504144433963924, 0.1300689206779604), abs=2e-16)
    assert (bn["mean"], bn["var"]) == pytest.approx((0.500240082009867, 0.04393100692011483), abs=2e-16)
    assert f"{none['pre']['mean']:.6f} {none['pre']['var']:.6f}" == "-0.321707 7.374881"
    assert abs(bn["pre"]["mean"]) < 1e-15 and f"{bn['pre']['var']:.8f}" == "0.99999999"
    assert f"{none['signal_var']:.6f} {none['offset_var']:.6f}" == "0.028724 0.101345"
    assert f"{bn['signal_var']:.6f} {bn['offset_var']:.7f}" == "0.043924 0.0000067"
    assert f"{none['saturated']:.2%} {bn['saturated']:.2%}" == "29.22% 0.09%"
    assert f"{none['slope']:.6f} {bn['slope']:.6f}" == "0.117472 0.206069"
    assert all(arm["first_over_last"] is None and arm["gain"]["measured"] is None for arm in arms.values())


def test_note_5_gives_the_note_s_figures_to_every_printed_digit() -> None:
    none, bn = (arm["layers"] for arm in arms_of(preset="note-5").values())
    assert [f"{layer['mean']:.6f}, {layer['var']:.6f}" for layer in none] == [
        "0.489019, 0.120896", "0.478779, 0.176443", "0.438061, 0.194145", "0.427608, 0.183300", "0.574895, 0.162022",
    ]  # fmt: skip
    assert [f"{layer['mean']:.6f}, {layer['var']:.6f}" for layer in bn] == [
        "0.500240, 0.043931", "0.499877, 0.043939", "0.500186, 0.043995", "0.500572, 0.044404", "0.499944, 0.044469",
    ]  # fmt: skip
    shares = [100 * layer["signal_var"] / layer["var"] for layer in none]
    assert [f"{share:.2f}" for share in shares] == ["27.12", "13.64", "5.57", "3.62", "2.96"]
    assert all(99.985 <= round(100 * layer["signal_var"] / layer["var"], 3) <= 99.991 for layer in bn)


def test_the_note_s_two_presets_prove_that_batch_norm_cancels_the_bias() -> None:
    one, five = arms_of(preset="note-1"), arms_of(preset="note-5")
    for key in ("mean", "var", "signal_var", "offset_var"):
        assert one["bn"]["layers"][0][key] == pytest.approx(five["bn"]["layers"][0][key], abs=1e-12)
    assert abs(one["none"]["layers"][0]["mean"] - five["none"]["layers"][0]["mean"]) > 0.01


@pytest.mark.parametrize(
    "settings", [{"preset": "note-5"}, {"net": "conv", "activation": "tanh"}], ids=["dense", "conv"]
)
def test_signal_and_offset_add_up_to_the_variance(settings: dict[str, Any]) -> None:
    for arm in arms_of(["none", "bn", "ln", "selu"], **settings).values():
        for layer in arm["layers"]:
            assert layer["signal_var"] + layer["offset_var"] == pytest.approx(layer["var"], rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "at"),
    [({"preset": "note-5"}, 0), ({"preset": "dlfs"}, 3), ({"preset": "dlfs", "layers": 20}, 6)],
    ids=["note-5", "dlfs", "dlfs of 20 layers"],
)
def test_the_eleven_arm_table_is_the_note_s(settings: dict[str, Any], at: int) -> None:
    arms = arms_of(TABLE_ARMS, **settings)
    assert list(arms) == [*list(TABLE)[:9], "selu", "lrn"]
    for label, expected in TABLE.items():
        var, signal, ratio = row(arms[label])
        if at == 6:
            assert ratio == pytest.approx(expected[6], rel=0.15), label  # over seeds it moves by a third
            continue
        assert var == pytest.approx(expected[at], rel=0.01, abs=6e-5), label  # printed to four decimals
        if expected[at + 1] is not None:
            assert signal == pytest.approx(expected[at + 1], rel=0.25 if expected[at + 1] < 1e-4 else 0.03), label
        # Two draws of cotangents, theirs and ours: three standard deviations of their difference.
        tolerance = 3 * math.sqrt(2) * SCATTER[at]
        assert ratio == pytest.approx(expected[at + 2], rel=tolerance), label


def test_selu_s_row_of_the_table_lies_in_its_range_over_five_seeds() -> None:
    for at, settings in ((0, {"preset": "note-5"}), (3, {"preset": "dlfs"})):
        rows = [row(arms_of("selu", seed=seed, **settings)["selu"]) for seed in range(5)]
        for column, expected in zip(zip(*rows, strict=True), SELU[at : at + 3], strict=True):
            assert min(column) * 0.98 <= expected <= max(column) * 1.02


def test_selu_over_twenty_layers_has_the_note_s_gain_per_layer_though_not_its_ratio() -> None:
    deep = [arms_of("selu", preset="dlfs", layers=20, seed=seed)["selu"] for seed in range(5)]
    gains = [arm["gain"]["measured"] for arm in deep]
    assert sum(gains) / 5 == pytest.approx(SELU_DEEP ** (1 / 19), rel=0.01)
    assert max(arm["first_over_last"] for arm in deep) < SELU_DEEP  # should this ever hold no longer, say so above


def test_the_ranges_over_five_weight_seeds_are_the_note_s() -> None:
    expected = {
        5: {"none": (0.0047, 0.0062), "bn": (1.05, 1.13), "ln": (0.0215, 0.0303)},
        20: {"none": (1.5e-12, 2.7e-12), "bn": (1.42, 1.58), "ln": (1.2e-8, 2.3e-8)},
    }
    for layers, ranges in expected.items():
        found = [arms_of(list(ranges), preset="dlfs", layers=layers, seed=seed) for seed in range(5)]
        for label, (low, high) in ranges.items():
            ratios = [arms[label]["first_over_last"] for arms in found]
            # Their five seeds and ours share the first: the ranges must overlap by more than half.
            overlap = math.log(min(high, max(ratios)) / max(low, min(ratios)))
            assert overlap > 0.5 * min(math.log(high / low), math.log(max(ratios) / min(ratios))), (layers, label)


def test_weight_norm_s_default_start_changes_nothing_and_its_data_start_is_batch_norm_forward() -> None:
    arms = arms_of(["none", "wn", "bn:eps=0", "wn:start=data"], activation="tanh")
    for a, b in (("none", "wn"), ("bn:eps=0", "wn:start=data")):
        for x, y in zip(arms[a]["layers"], arms[b]["layers"], strict=True):
            assert (x["var"], x["signal_var"]) == pytest.approx((y["var"], y["signal_var"]), rel=1e-11)
    assert arms["none"]["first_over_last"] == pytest.approx(arms["wn"]["first_over_last"], rel=1e-11)
    assert arms["wn:start=data"]["first_over_last"] > 1.3 * arms["bn:eps=0"]["first_over_last"]


def test_the_same_seed_gives_the_same_bytes() -> None:
    settings: dict[str, Any] = {"layers": 4, "batch": 200, "seeds": 2}
    first, second = (nl.compare(["none", "bn", "sn", "adrop"], **settings).to_json() for _ in range(2))
    assert strip(first) == strip(second)
    assert json.dumps(strip(first)) == json.dumps(strip(second))


def test_another_arm_beside_it_changes_nothing_for_an_arm() -> None:
    alone = arms_of(["adrop"], layers=4, batch=200)
    beside = arms_of(["none", "sn", "adrop", "bn"], layers=4, batch=200)
    assert alone["adrop"] == beside["adrop"]


def test_the_weights_depend_neither_on_the_batch_nor_on_the_depth() -> None:
    small, large = (arms_of("none", batch=batch, layers=layers)["none"] for batch, layers in ((100, 3), (1000, 5)))
    # The offsets are the weights' doing, so with the same weights they agree up to the inputs' scatter.
    assert small["layers"][1]["mean"] == pytest.approx(large["layers"][1]["mean"], abs=2e-3)
    assert arms_of("none", layers=3)["none"]["layers"][1]["var"] == large["layers"][1]["var"]


def test_a_preset_fills_in_and_what_is_given_wins() -> None:
    document = nl.compare(preset="note-5", layers=2, activation="tanh").to_dict()
    settings = document["settings"]
    assert (settings["layers"], settings["activation"], settings["width"], settings["bias"]) == (2, "tanh", 64, True)
    assert settings["methods"] == ["none", "bn"] and settings["preset"] == "note-5"
    assert (
        nl.compare("ln", preset="note-1", layers=5).to_dict()["settings"]["layers"] == 5
    )  # equal to the default, yet given


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_runs_and_its_command_repeats_it(preset: str) -> None:
    document = nl.compare(preset=preset, batch=50).to_dict()
    assert document["command"] == f"normlab compare --preset {preset} --batch 50"
    assert document["schema"] == "normlab.compare/1" and document["seeds"] == [0]
    assert all(arm["layers"] for arm in document["arms"])


def test_a_command_names_what_differs_and_quotes_what_a_shell_would_read() -> None:
    document = nl.compare(["none", "n (g [c]) [...]:g=2"], width=8, batch=20, bias=True, init=0.5, layers=2).to_dict()
    assert document["command"] == (
        "normlab compare none 'n (g [c]) [...]:g=2' --layers 2 --width 8 --batch 20 --init 0.5 --bias"
    )


def test_the_signature_is_the_contract_s() -> None:
    parameters = inspect.signature(nl.compare).parameters
    assert list(parameters) == ["methods", "preset", *DEFAULTS]
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS
    assert nl.compare.__name__ == "compare" and "preset" in (nl.compare.__doc__ or "")


def test_the_document_has_every_field_of_the_contract() -> None:
    document = nl.compare(["none", "gn:groups=4"], layers=3, batch=60).to_dict()
    assert set(document) >= {
        "schema", "command", "versions", "machine", "wall_s", "settings", "seeds", "arms", "verdicts", "notes",
    }  # fmt: skip
    arm = document["arms"][1]
    assert (arm["method"], arm["label"], arm["role"], arm["refused"]) == ("group_norm", "gn:groups=4", "norm", None)
    assert arm["options"] == {"groups": 4, "eps": 1e-5}
    layer = arm["layers"][0]
    assert set(layer) == {
        "layer", "mean", "var", "signal_var", "offset_var", "saturated", "nonfinite", "grad_norm", "histogram", "pre",
        "slope",
    }  # fmt: skip
    histogram = layer["histogram"]
    assert len(histogram["edges"]) == 31 and len(histogram["counts"]) == 30
    assert sum(histogram["counts"]) + histogram["below"] + histogram["above"] == 60 * 100
    assert arm["gain"]["measured"] == pytest.approx(arm["first_over_last"] ** 0.5)
    sample = arm["sample"]
    assert (len(sample["values"]), len(sample["values"][0])) == (sample["inputs"], sample["units"]) == (24, 24)
    assert {v for line in sample["values"] for v in line} >= {0, 255}
    assert set(document["verdicts"][0]) == {"en", "ko"}


def test_results_can_be_looked_at() -> None:
    result = nl.compare(["none", "bn"], layers=2, batch=50)
    changed = result.to_dict()
    changed["arms"].clear()
    assert len(result.to_dict()["arms"]) == 2
    assert json.loads(result.to_json()) == result.to_dict()
    assert "bn" in str(result) and "<svg" in result._repr_html_() and "<script" not in result._repr_html_()
    assert result.to_html("ko").lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(("value", "middle"), [(None, None), (2, 2.0), ({"mean": 1.5, "low": 1, "high": 2}, 1.5)])
def test_the_centre_of_a_number_or_an_interval(value: Any, middle: float | None) -> None:
    assert center(value) == middle
