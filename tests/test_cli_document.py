"""What `--json` prints: the contract's keys, numbers that fit together, a command that repeats it, the same bytes."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import normlab
from commanding import SMALL, Caller, environment

Document = dict[str, Any]
PARTS_OF_A_VERB = {"schema", "command", "versions", "machine", "settings", "wall_s"}
PARTS_OF_A_RUN = PARTS_OF_A_VERB | {"seeds", "arms", "verdicts", "notes", "nonfinite"}
PARTS_OF_AN_ARM = {"method", "options", "label", "role", "refused", "layers", "gain", "first_over_last", "sample"}
MEASURED = ("mean", "var", "signal_var", "offset_var", "saturated", "slope", "grad_norm")
PARTS_OF_A_LAYER = {"layer", "nonfinite", "histogram", "pre", *MEASURED}


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def run_of(call: Caller, *arguments: str, code: int = 0) -> Document:
    said = call("compare", *arguments, "--json")
    assert said.code == code, said.err
    document = json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert isinstance(document, dict)
    return document


def is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_measured(value: Any, seeds: int) -> None:
    """A number or null; over several seeds an interval around it."""
    if seeds == 1:
        assert value is None or is_finite(value)
        return
    assert set(value) == {"mean", "low", "high"}
    if None not in value.values():
        assert all(map(is_finite, value.values()))
        room = 1e-12 * abs(value["mean"])
        assert value["low"] - room <= value["mean"] <= value["high"] + room


def check_layer(layer: Document, number: int, seeds: int, elements: int) -> None:
    assert set(layer) == PARTS_OF_A_LAYER and layer["layer"] == number
    for key in MEASURED:
        check_measured(layer[key], seeds)
    assert set(layer["pre"]) == {"mean", "var"}
    for value in layer["pre"].values():
        check_measured(value, seeds)
    drawn = layer["histogram"]
    assert set(drawn) == {"edges", "counts", "below", "above"}
    assert len(drawn["edges"]) == len(drawn["counts"]) + 1 and drawn["edges"] == sorted(set(drawn["edges"]))
    assert all(isinstance(n, int) and n >= 0 for n in (*drawn["counts"], drawn["below"], drawn["above"]))
    shown = sum(drawn["counts"]) + drawn["below"] + drawn["above"]
    assert elements * seeds - layer["nonfinite"] <= shown <= elements * seeds  # a gradient that is not finite counts too


def check_text(text: Mapping[str, Any]) -> None:
    assert set(text) == {"en", "ko"} and all(isinstance(one, str) and one for one in text.values())


def check_run(document: Document) -> None:
    """Every part of a `normlab.compare/1` document, and how the parts fit together."""
    assert set(document) == PARTS_OF_A_RUN and document["schema"] == "normlab.compare/1"
    assert document["command"].startswith("normlab compare") and is_finite(document["wall_s"])
    assert {"normlab", "python", "numpy"} <= set(document["versions"]) and {"system", "processor", "cpus"} <= set(document["machine"])
    settings, seeds = document["settings"], len(document["seeds"])
    assert document["seeds"] == [settings["seed"] + k for k in range(settings["seeds"])]
    assert settings["methods"] == [arm["label"] for arm in document["arms"]]
    elements = settings["batch"] * settings["width"] * (64 if settings["net"] == "conv" else 1)
    for arm in document["arms"]:
        assert set(arm) == PARTS_OF_AN_ARM and isinstance(arm["options"], dict)
        assert arm["method"] == "none" or arm["method"] in normlab.list_methods() or "[" in arm["method"]
        assert set(arm["gain"]) == {"measured", "predicted"}
        if arm["refused"]:
            assert set(arm["refused"]) == {"en", "ko", "command"} and arm["layers"] == [] and arm["sample"] is None
            continue
        assert len(arm["layers"]) == settings["layers"]
        for number, layer in enumerate(arm["layers"], 1):
            check_layer(layer, number, seeds, elements)
        check_measured(arm["first_over_last"], seeds) if settings["layers"] > 1 else None
    assert len({tuple(layer["histogram"]["edges"]) for arm in document["arms"] for layer in arm["layers"]}) <= 1
    for text in (*document["verdicts"], *document["notes"]):
        check_text(text)
    if document["nonfinite"] is not None:
        assert set(document["nonfinite"]) == {"where", "layer", "arm", "count"}


RUNS = (
    ["none", "bn", "ln", *SMALL],
    ["none", "bn", *SMALL, "--seeds", "3"],
    ["bn", *SMALL, "--layers", "1"],
    ["none", "sn", "wn", "selu", "adrop", "lrn", "film", "in", "whole", "unit", "rms", "gn", *SMALL, "--width", "16"],
    ["none", "in", "gn:groups=2", "--net", "conv", "--width", "4", "--batch", "6", "--layers", "2", "--cotangents", "2"],
    ["none", "n (g [c]) [...]:g=4", "bn:eps=1e-3", *SMALL, "--top", "loss"],
    ["all", "--preset", "note-1"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", RUNS, ids=lambda arguments: " ".join(arguments)[:60])
def test_a_run_has_every_key_of_the_contract_and_its_numbers_fit(call: Caller, arguments: list[str]) -> None:
    check_run(run_of(call, *arguments))


def test_signal_and_offset_add_up_and_the_gain_is_the_root_of_the_ratio(call: Caller) -> None:
    for arm in run_of(call, "none", "bn", "ln", *SMALL)["arms"]:
        layers = arm["layers"]
        for layer in layers:
            assert layer["signal_var"] + layer["offset_var"] == pytest.approx(layer["var"], rel=1e-12)
        ratio = layers[0]["grad_norm"] / layers[-1]["grad_norm"]
        assert arm["first_over_last"] == pytest.approx(ratio, rel=1e-12)
        assert arm["gain"]["measured"] == pytest.approx(ratio ** (1 / (len(layers) - 1)), rel=1e-12)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_not_finite_leaves_the_document_complete(call: Caller, value: str) -> None:
    Path("data.csv").write_text(f"1,2,3\n4,{value},6\n7,8,9\n2,1,{value}\n", encoding="utf-8")
    document = run_of(call, "none", "bn", "--data", "data.csv", *SMALL, code=4)
    check_run(document)
    assert document["nonfinite"] == {"where": "data", "layer": 1, "arm": None, "count": 2}
    assert sum(layer["nonfinite"] for arm in document["arms"] for layer in arm["layers"]) > 0


def test_a_layer_that_overflows_is_named_with_its_arm_and_count(call: Caller) -> None:
    arguments = ["none", "bn", *SMALL, "--activation", "relu", "--init", "1e200"]
    document = run_of(call, *arguments, code=4)
    check_run(document)
    found = document["nonfinite"]
    # Layer 1's values are near 1e200 and finite, but their variance is beyond any float64.
    assert found["arm"] == "none" and found["layer"] == 1 and found["count"] > 0
    said = call("compare", *arguments)
    assert said.code == 4 and f"layer {found['layer']} of none: {found['count']}" in said.err


def unchanging(document: Document) -> str:
    return json.dumps({key: value for key, value in document.items() if key not in ("wall_s", "machine")})


PASTED = (
    [*SMALL],
    ["none", "n (g [c]) [...]:g=4", "gn:groups=3,eps=1e-3", *SMALL, "--seeds", "2", "--seed", "5"],
    ["--preset", "note-5", "--layers", "2", "--no-bias", "--batch", "20"],
    ["none", "in", "--net", "conv", "--batch", "4", "--layers", "2"],
    ["bn", *SMALL, "--init", "1e-05", "--place", "after", "--dtype", "float32", "--bias", "--top", "loss", "--activation", "tanh"],
    ["bn", *SMALL, "--data", "it's $HOME.csv"],
)  # fmt: skip


@pytest.mark.parametrize("arguments", PASTED, ids=lambda arguments: " ".join(arguments)[:60])
def test_the_command_in_the_document_gives_the_same_document(call: Caller, arguments: list[str]) -> None:
    Path("it's $HOME.csv").write_text("\n".join(f"{k},{k * k}" for k in range(40)), encoding="utf-8")
    first = run_of(call, *arguments)
    program, verb, *words = shlex.split(first["command"])
    assert (program, verb) == ("normlab", "compare")
    assert unchanging(run_of(call, *words)) == unchanging(first)


def test_the_command_can_be_pasted_into_a_shell(call: Caller) -> None:
    """The line of notation has brackets, a space and dots in it, the file's name a quote and a dollar sign."""
    Path("it's $HOME.csv").write_text("\n".join(f"{k},{k * k}" for k in range(40)), encoding="utf-8")
    first = run_of(call, "n (g [c]) [...]:g=4", *SMALL, "--data", "it's $HOME.csv")
    name = 'normlab() { "$PYTHON" -m normlab "$@"; }\n'
    run = subprocess.run(
        ["bash", "-c", f"{name}{first['command']} --json"], capture_output=True, text=True, encoding="utf-8",
        env=environment(PYTHON=sys.executable),
    )  # fmt: skip
    assert run.returncode == 0 and run.stderr == ""
    assert unchanging(json.loads(run.stdout)) == unchanging(first)


def test_the_same_seed_gives_the_same_bytes_in_another_process_with_more_threads(call: Caller) -> None:
    arguments = ["none", "bn", "sn", "--width", "150", "--batch", "200", "--seed", "3"]
    first = run_of(call, *arguments)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    run = subprocess.run(
        [sys.executable, "-m", "normlab", "compare", *arguments, "--json"],
        capture_output=True, text=True, encoding="utf-8", env=environment(**threads, PYTHONHASHSEED="7"),
    )  # fmt: skip
    assert unchanging(json.loads(run.stdout)) == unchanging(first)
    assert unchanging(run_of(call, *arguments, "--seed", "4")) != unchanging(first)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_language_changes_nothing_in_a_run(call: Caller, lang: str) -> None:
    assert unchanging(run_of(call, *SMALL, "--lang", lang)) == unchanging(run_of(call, *SMALL))


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["guide"], {"markdown", "code"}), (["guide", "ln"], {"markdown", "code"}),
        (["guide", "ln", "--steps"], {"markdown", "code"}),
        (["info"], {"packages", "faces", "kernels", "extras"}), (["report", "run.json", "-o", "a page.html"], {"written"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_other_verb_has_the_parts_that_all_share(call: Caller, arguments: list[str], more: set[str], lang: str) -> None:
    if arguments[0] == "report":
        assert call("compare", "bn", *SMALL, "-o", "run.json").code == 0
    said = call(*arguments, "--json", "--lang", lang)
    document = json.loads(said.out)
    assert said.code == 0 and set(document) == PARTS_OF_A_VERB | more
    assert document["schema"] == f"normlab.{arguments[0]}/1" and is_finite(document["wall_s"])
    again = json.loads(call(*shlex.split(document["command"])[1:], "--json", "--lang", lang).out)
    assert unchanging(again) == unchanging(document)
    for part in ("versions", "machine", "settings"):
        assert isinstance(document[part], dict) and document[part]
