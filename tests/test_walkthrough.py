"""`normlab guide NAME --steps`: the code that is shown is the code that ran, and it is what the layer computes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from normlab import cards, registry, walkthrough
from normlab import numpy as face
from normlab.definition import AFFINE, Definition

METHODS = [registry.method(n) for n in registry.list_methods()]
WALKED = [d for d in METHODS if walkthrough.walk(d) is not None]


def invented(**fields) -> Definition:
    defaults = {
        "name": "invented", "short": "inv", "class_name": "Invented", "title": "Invented", "title_ko": "지어낸 것",
        "family": "activation", "role": "norm", "source": "a test", "year": 2024, "covers": (), "pools": "n [c ...]",
        "params": AFFINE,
    }  # fmt: skip
    return Definition(**(defaults | fields))


INVENTED = [
    invented(spread=spread, centre=centre, eps_rule=rule, eps=0.25)
    for spread in ("std", "rms", "l2", "mean_abs", "l1", "max", None)
    for centre in (True, False)
    for rule in ("inside", "outside", "floor")
]


def walked_layer(definition):
    """The walk of a method, and the NumPy face's layer after the same forward pass."""
    walk = walkthrough.walk(definition)
    names = walk.names
    options = {o.name: 2 for o in definition.options if o.factor is not None}
    layer = face.build(definition, names["x"].shape[1], layout="n c ...", options=options)
    for name in ("weight", "bias"):
        if name in names:
            layer.params[name][...] = names[name].reshape(layer.params[name].shape)
    return walk, layer


def test_the_methods_made_of_statistics_have_steps():
    made = {d.name for d in METHODS if d.forward is None and d.pools is not None and d.role == "norm"}
    assert made <= {d.name for d in WALKED}
    assert {"batch_norm", "layer_norm", "group_norm", "rms_norm"} <= made


@pytest.mark.parametrize("definition", WALKED + INVENTED, ids=lambda d: f"{d.name}-{d.spread}-{d.centre}-{d.eps_rule}")
def test_the_steps_compute_what_the_layer_computes(definition):
    walk, layer = walked_layer(definition)
    np.testing.assert_allclose(walk.names["y"], layer(walk.names["x"]), rtol=1e-12, atol=1e-12)
    if "dx" not in walk.names:
        assert definition.spread in ("mean_abs", "l1", "max", "std")
        return
    shape = walk.plan.shape
    dx = layer.backward(walk.names["dy"].reshape(shape))
    np.testing.assert_allclose(walk.names["dx"].reshape(shape), dx, rtol=1e-9, atol=1e-11)
    for name in ("weight", "bias"):
        if name in walk.names:
            np.testing.assert_allclose(walk.names[f"d{name}"].ravel(), layer.grads[name].ravel(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("definition", [d for d in WALKED if d.has_running and d.running], ids=lambda d: d.name)
def test_the_running_averages_are_the_layers(definition):
    walk, layer = walked_layer(definition)
    layer(walk.names["x"])
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(np.ravel(walk.names[name]), np.ravel(layer.state[name]), rtol=1e-12)


@pytest.mark.parametrize("lang", cards.LANGUAGES)
@pytest.mark.parametrize("definition", WALKED, ids=lambda d: d.name)
def test_the_printed_lines_can_be_pasted_and_give_the_printed_values(definition, lang):
    text = walkthrough.steps(definition.short, lang)
    lines = [line.strip().split(" | ")[0].strip() for line in text.splitlines() if re.match(r"[a-z_]+ = ", line)]
    names = {"np": np}
    exec("\n".join(lines), names)
    np.testing.assert_array_equal(names["y"], walkthrough.walk(definition).names["y"])
    assert "dx = " in text


@pytest.mark.parametrize("lang", cards.LANGUAGES)
def test_batch_normalization_walks_a_4_x_3_batch(lang):
    text = walkthrough.steps("bn", lang)
    order = ("x", "mean", "d", "square", "q", "q_eps", "s", "xhat", "scaled", "y", "a", "slope", "dy", "dx")
    at = [text.index(f"\n{name} = ") for name in order]
    assert at == sorted(at)
    assert "(4, 3)" in text and "[n] c" in text
    assert re.search(r"2\s+6\s+-4\n", text)  # the means
    shown = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert all(len(line) <= 76 for block in shown for line in block.splitlines())


@pytest.mark.parametrize("lang", cards.LANGUAGES)
@pytest.mark.parametrize("definition", [d for d in METHODS if d not in WALKED], ids=lambda d: d.name)
def test_a_technique_without_statistics_says_what_to_read_instead(definition, lang):
    text = walkthrough.steps(definition.name, lang)
    assert f"normlab guide {definition.short}" in text
    assert cards.heading("worked", lang) in text
    assert "{" not in text


def test_groups_are_walked_with_two_groups_of_two():
    walk = walkthrough.walk(registry.method("gn"))
    assert walk.plan.split == (1, 2, 2, 3)


def test_a_set_of_one_is_avoided():
    assert walkthrough.walk(registry.method("in")).plan.shape == (2, 2, 3)
