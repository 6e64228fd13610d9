"""The cards' code tabs: every program runs on its framework and gives what the NumPy layer gives of the same numbers.

Programs are made from definitions, so the tests act by role as well: what a program leaves under which names is all they
know. The NumPy layer gets the framework's own parameters and state, which may be random.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import normlab as nl
from carding import every_card
from commanding import Caller, too_wide
from comparing import compare
from faces import of
from normlab import cards, registry, tabs
from normlab.definition import Definition
from normlab.errors import UnknownNameError

DRAWS = 400
"""Of an element that one draw drops with the probability of 0.05: it is kept in all with that of 1e-9."""
DEFINITIONS = registry.methods()
EVERY_TAB = [pytest.param(d, face, id=f"{d.name}-{face}") for d in DEFINITIONS for face in tabs.FRAMEWORKS]
every_tab = pytest.mark.parametrize(("definition", "face"), EVERY_TAB)
Names = Mapping[str, Any]


@cache
def ran(definition: Definition, face: str) -> Names:
    """What the program leaves."""
    of(face)  # skips, with its reason, where the framework is missing
    names: dict[str, Any] = {}
    exec(compile(tabs.program(definition, face), f"{definition.name} on {face}", "exec"), names)
    return names


def arrays(face: str, found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {n: np.asarray(of(face).back(a)) for n, a in found.items() if a is not None}


def held(d: Definition, face: str, names: Names) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Parameters and state of the layer, after the program."""
    if "params" in names:
        return arrays(face, names["params"]), arrays(face, names["state"])
    layer = names["linear"] if d.role == "weight" else names["layer"]
    if face == "mlx":
        layer = layer.norm if d.role == "weight" else layer
        params = {p.name: layer[p.name] for p in d.params}
        return arrays(face, params), arrays(face, {s.name: layer[s.name] for s in d.states if s.name in layer})
    if d.role == "weight":
        joined = layer.parametrizations.weight
        params = {p.name: getattr(joined, f"original{k}").flatten() for k, p in enumerate(d.params)}
        return arrays(face, params), arrays(face, {s.name: getattr(joined[0], f"_{s.name}") for s in d.states})
    return arrays(face, {p.name: getattr(layer, p.name) for p in d.params}), arrays(face, dict(layer.named_buffers()))


def raw(d: Definition, face: str, names: Names) -> tuple[np.ndarray, np.ndarray | float]:
    """The weight before the method, and what is added behind it."""
    if d.subject in names:
        return of(face).back(names[d.subject]), 0.0
    linear = names["linear"]
    if face == "mlx":
        return of(face).back(linear.module.weight), of(face).back(linear.module.bias)
    joined = linear.parametrizations.weight
    weight = joined.original if not d.params else getattr(joined, f"original{len(d.params)}")
    return of(face).back(weight), of(face).back(linear.bias)


def our_layer(d: Definition, params: Names, state: Names | None, key: int = 0) -> Any:
    """The NumPy layer with the program's options and these arrays."""
    channels = tabs.CHANNELS if d.params or d.states else None
    layer = nl.numpy.build(d, channels, options=tabs.options(d), key=key)
    layer.params.update({n: np.asarray(a, np.float64) for n, a in params.items()})
    layer._started = True
    layer.state.update({n: np.asarray(a, np.float64) for n, a in (state or {}).items()})
    return layer


def wanted(d: Definition, face: str, names: Names, training: bool) -> np.ndarray:
    """The NumPy layer's answer to the program's own arrays."""
    params, state = held(d, face, names)
    if d.role == "weight":  # the state is the one that the training call left, and evaluation uses
        weight, bias = raw(d, face, names)
        normalized = our_layer(d, params, state).eval()(np.float64(weight))
        return np.float64(of(face).back(names["x"])) @ normalized.T + bias
    layer = our_layer(d, params, None if training else state)
    given = [np.float64(of(face).back(names[n])) for n in ("x", *(i.name for i in d.inputs if i.where != "function"))]
    return (layer.train() if training else layer.eval())(*given)


def kept_or_dropped(d: Definition, face: str, names: Names) -> None:
    """A dropout's own random numbers are its framework's: each element is one of the two values that NumPy gives it."""
    x = np.float64(of(face).back(names["x"]))
    drawn = np.stack([our_layer(d, {}, None, key=k)(x) for k in range(DRAWS)])
    kept, dropped, y = drawn.max(0), drawn.min(0), of(face).back(names["y"])
    low = np.abs(y - dropped) < np.abs(y - kept)
    compare(y, np.where(low, dropped, kept), "transcendental", face)
    assert low.any() and (~low).any()


ROLES: Mapping[str, Callable[[Definition, str, Names], None]] = {"dropout": kept_or_dropped}


@every_tab
def test_a_program_gives_what_the_numpy_layer_gives(definition: Definition, face: str) -> None:
    names = ran(definition, face)
    if definition.role == "input":
        scaled = getattr(nl.data, definition.class_name)().fit(names["table"], names["classes"][:200])
        compare(of(face).back(names["y"]), scaled.transform(names["table"]).astype(np.float32), "half", face)
        return
    row = "identity" if definition.role == "weight" else "transcendental"
    if definition.role in ROLES:
        ROLES[definition.role](definition, face, names)
    else:
        y = of(face).back(names["y"])
        assert y.shape == (of(face).back(names["x"]).shape if definition.role != "weight" else (8, tabs.CHANNELS))
        compare(y, wanted(definition, face, names, True), row, f"{definition.name} on {face}")
    if "evaluated" in names:
        compare(of(face).back(names["evaluated"]), wanted(definition, face, names, False), row, face)


@every_tab
def test_evaluation_is_shown_where_it_is_another_function(definition: Definition, face: str) -> None:
    differs = definition.role == "dropout" or any(
        s.name not in ("running_mean", "running_var") or definition.running for s in definition.states
    )
    assert ("evaluated" in tabs.program(definition, face)) == differs


def test_another_result_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    d = registry.method("group_norm")
    other = {**ran(d, "torch"), "y": ran(d, "torch")["y"] * (1 + 1e-5)}
    monkeypatch.setattr("test_cards_tabs.ran", lambda *_: other)
    with pytest.raises(AssertionError, match="units of float32"):
        test_a_program_gives_what_the_numpy_layer_gives(d, "torch")


TWINS = [pytest.param(d, f, id=f"{d.name}-{f}") for d in DEFINITIONS for f in tabs.FRAMEWORKS if tabs.twin(d, f)]


@pytest.mark.parametrize(("definition", "face"), TWINS)
def test_the_frameworks_own_class_is_the_same_function(definition: Definition, face: str) -> None:
    import torch

    package, expression = tabs.twin(definition, face) or ("", "")
    assert expression.startswith(f"{package}.") and expression in tabs.remarks(definition, face, "en")
    names = ran(definition, face)
    theirs = eval(expression, {"torch": torch})
    if definition.role == "weight":  # its weights are random, its own; ours are loaded, keys and all
        theirs.load_state_dict(names["linear"].state_dict())
    theirs.eval()
    shown = "evaluated" if "evaluated" in names else "y"
    layer = names.get("layer")
    if layer is not None and layer.state_dict():
        theirs.load_state_dict(layer.state_dict())
    with torch.no_grad():
        y = theirs(names["x"])
    compare(y.numpy(), names[shown].detach().double().numpy(), "torch", expression)


def test_the_registry_has_twins() -> None:
    assert len(TWINS) >= 8


@pytest.mark.parametrize("definition", [d for d in DEFINITIONS if d.role != "input"], ids=lambda d: d.name)
def test_the_module_for_flax_can_be_made(definition: Definition) -> None:
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
    (expression,) = re.findall(r"`(nl\.jax\.nnx\.[^`]+)`", tabs.remarks(definition, "jax", "en"))
    assert isinstance(eval(expression, {"nl": nl, "nnx": nnx}), nnx.Module)


@every_tab
def test_names_of_other_classes_exist(definition: Definition, face: str) -> None:
    of(face)
    for package in filter(None, [tabs.FRAMEWORKS[face].near]):
        module = importlib.import_module(package)
        for name in re.findall(rf"`{re.escape(package)}\.(\w+)`", tabs.remarks(definition, face, "en")):
            assert hasattr(module, name), name


@every_tab
def test_code_is_short_narrow_and_the_same_in_both_languages(definition: Definition, face: str) -> None:
    program = tabs.program(definition, face)
    assert max(map(len, program.splitlines())) <= tabs.COLUMNS and program.count("\n") <= 20
    english, korean = (tabs.text(definition, face, lang) for lang in cards.LANGUAGES)
    assert english.startswith(f"```python\n{program}```") and korean.startswith(f"```python\n{program}```")
    codes = [sorted(re.findall(r"`[^`]+`", tabs.remarks(definition, face, lang))) for lang in cards.LANGUAGES]
    assert codes[0] == codes[1] and re.search("[가-힣]", korean) and not re.search("[가-힣]", english)


@every_card
def test_every_tab_of_a_card_holds_all_its_methods(lang: str, card: cards.Card) -> None:
    for face in tabs.FRAMEWORKS:
        text = card.code(face)
        assert all(tabs.program(d, face) in text for d in card.definitions)
        assert text in card.markdown(face) and card.section("code") not in card.markdown(face)
    assert card.code(tabs.SCRATCH) == card.section("code") and card.markdown(tabs.SCRATCH) == card.markdown()


def test_an_unknown_tab_lists_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="numpy, torch, jax, mlx"):
        cards.card("bn").code("tensorflow")


# --- where they are shown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", cards.LANGUAGES)
@pytest.mark.parametrize("face", tabs.FRAMEWORKS)
@pytest.mark.parametrize("name", [c.name for c in cards.cards("en")])
def test_the_guide_shows_a_tab_within_80_columns(call: Caller, name: str, face: str, lang: str) -> None:
    said = call("guide", name, "--code", face, "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == []
    assert all(line.strip() in said.out for d in cards.card(name).definitions for line in tabs.program(d, face).splitlines())


def test_the_document_holds_every_tab(call: Caller) -> None:
    document = json.loads(call("guide", "selu", "--json").out)
    assert document["code"] == {tab: cards.card("selu").code(tab) for tab in ("numpy", "torch", "jax", "mlx")}
    asked = json.loads(call("guide", "selu", "--code", "mlx", "--json").out)
    assert asked["markdown"] == cards.card("selu").markdown("mlx") and asked["command"] == "normlab guide selu --code mlx"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--code", "torch"], "normlab guide bn --code torch"),
        (["bn", "--code", "torch", "--steps"], "cannot be given together"),
        (["bn", "--code", "pytorch"], "torch"),
    ],
)
def test_what_cannot_be_shown_is_refused(call: Caller, arguments: list[str], said: str) -> None:
    refused = call("guide", *arguments)
    assert refused.code == 2 and said in refused.err


def test_a_page_has_the_tabs_of_each_card_once_and_without_script() -> None:
    page = nl.compare(["none", "bn", "selu"], layers=2).to_html("ko")
    for name in ("batch_norm", "self_normalizing"):
        place = f"c1-card-{name}-code"
        assert page.count(f'name="{place}"') == 1 + len(tabs.FRAMEWORKS)
        assert [page.count(f'id="{place}-{k}"') for k in range(1, 5)] == [1] * 4
        assert page.count(f'id="{place}-1" checked') == 1 and page.count(f'for="{place}-4">MLX<') == 1
    assert page.count("nl.torch.BatchNorm(64)") == page.count("nl.mlx.SELU()") == 1
