"""The claims: each says in both languages what would make it hold, runs the same twice, and could come out otherwise."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normlab.errors import UnknownNameError
from normlab.experiments.claims import b_larger_learning_rates as rates
from normlab.experiments.claims import c_study_note as note
from normlab.experiments.claims import chosen_claims, claims, running
from normlab.experiments.claims import d_small_batches as batches
from normlab.experiments.claims import e_layer_norm_alone as alone
from normlab.experiments.claims import f_contrast as contrast
from normlab.experiments.claims import h_self_normalizing as selu
from normlab.experiments.claims import i_weight_norm as weight
from normlab.experiments.claims.claim import NOT_REPRODUCED, NOT_RUN, PARTLY, REPRODUCED, Claim, Finding, verdict
from normlab.experiments.claims.inside import at_the_start
from normlab.experiments.claims.recurrent import Recurrent, blank
from normlab.experiments.claims.running import entry_of
from normlab.experiments.compare import run
from normlab.experiments.note_sentences import HALF, HOLDS, note_sentences
from normlab.experiments.repeatable import by_the_formula
from normlab.experiments.training.stack import cross_entropy
from normlab.language import LANGUAGES

LETTERS = "abcdefghijklmno"
HANGUL = re.compile("[가-힣]")
QUICK = "ehi"  # some seconds each with two seeds


def test_every_letter_of_the_alphabet_up_to_o_has_its_claim() -> None:
    assert "".join(claim.letter for claim in claims()) == LETTERS


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.letter)
def test_a_claim_says_all_that_it_must_before_it_runs(claim: Claim) -> None:
    told = [claim.title, claim.setting, *claim.conditions]
    assert all(set(text) == set(LANGUAGES) and all(text.values()) for text in told)
    assert all(HANGUL.search(text["ko"]) and not HANGUL.search(text["en"]) for text in told)
    assert len({text["en"] for text in told}) == len(told) and claim.conditions and claim.source
    assert claim.seeds >= 5 or claim.seeds == 0
    assert set(claim.needs) <= set(running.MODULES) and claim.seconds > 0


def test_all_together_are_said_to_take_less_than_twenty_minutes_on_two_cores() -> None:
    assert sum(claim.seconds for claim in claims()) < 2 * 20 * 60


def test_those_asked_for_come_in_the_order_of_their_letters() -> None:
    assert [claim.letter for claim in chosen_claims(["d", "a"])] == ["a", "d"]
    with pytest.raises(UnknownNameError, match="claim"):
        chosen_claims(["z"])


@pytest.mark.parametrize("letter", QUICK)
def test_the_same_seeds_give_the_same_bytes(letter: str) -> None:
    claim = chosen_claims([letter])[0]
    made = []
    for _ in range(2):
        with by_the_formula():
            made.append(json.dumps([dataclasses.asdict(one) for one in claim.measure(range(2))], allow_nan=False))
    assert made[0] == made[1] and len(json.loads(made[0])) == len(claim.conditions)


def test_two_processes_give_what_one_gives() -> None:
    """The numbers of a claim do not depend on what runs beside it."""
    beside = running.run_claims(["i", "l"], processes=2).to_dict()["claims"]
    own = entry_of("i")
    assert [entry["letter"] for entry in beside] == ["i", "l"]
    assert {**beside[0], "seconds": 0} == {**own, "seconds": 0}
    assert own["verdict"] == REPRODUCED and all(one["holds"] is True for one in own["conditions"])


@pytest.mark.parametrize("claim", [c for c in claims() if c.needs], ids=lambda claim: claim.letter)
def test_a_claim_that_lacks_its_extra_says_so(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = running.MODULES[claim.needs[0]]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == gone else find(name, *rest))
    entry = entry_of(claim.letter)
    assert entry["verdict"] == NOT_RUN and len(entry["conditions"]) == len(claim.conditions)
    assert all(one["holds"] is None and "pip install" in one["said"]["en"] for one in entry["conditions"])


def test_claims_import_their_extras_only_when_they_measure() -> None:
    folder = Path(running.__file__).parent
    early = re.compile(r"^(import|from) (torch|sklearn|mlx|numba)\b", re.M)
    files = [path for path in folder.glob("?_*.py") if early.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in files] == []


def test_a_verdict_counts_the_conditions() -> None:
    yes, no = Finding(True, {}), Finding(False, {})
    assert [verdict(found) for found in ([yes, yes], [yes, no], [no, no])] == [REPRODUCED, PARTLY, NOT_REPRODUCED]


# Each judgement on numbers that were made up: it can come out either way.


def test_larger_rates_are_told_from_equal_ones() -> None:
    ten = {"none": [0.1] * 8, "bn": [1.0] * 8}
    assert rates._times(ten, 5).holds and not rates._times(ten, 30).holds
    assert not rates._times({"none": [0.1] * 8, "bn": [0.1] * 8}, 5).holds
    nowhere = rates._times({"none": [rates.BELOW] * 8, "bn": [30.0] * 8}, 30)
    assert nowhere.holds and "< " in nowhere.said["en"] and "> " in nowhere.said["en"]


def errors(small: float, large: float) -> batches.Errors:
    """Errors of eight seeds that scatter by half a point, from one batch size to the other."""
    shares = np.linspace(0, 1, len(batches.BATCHES))
    scatter = np.tile([-0.005, 0.005], 4)
    return {n: (small + s * (large - small) + scatter).tolist() for n, s in zip(batches.BATCHES, shares, strict=True)}


def test_a_rising_error_is_told_from_a_flat_one() -> None:
    rising, flat, falling = errors(0.13, 0.03), errors(0.03, 0.03), errors(0.03, 0.13)
    assert [batches._rises(one).holds for one in (rising, flat, falling)] == [True, False, False]
    assert [batches._flat(one).holds for one in (rising, flat, falling)] == [False, True, False]
    assert batches._ahead(rising, flat).holds and not batches._ahead(flat, flat).holds
    assert batches._level(rising, flat).holds and not batches._level(flat, falling).holds


def test_contrast_that_costs_more_is_told() -> None:
    plain = {"in": [0.97] * 4 + [0.98] * 4, "bn": [0.98] * 4 + [0.97] * 4}
    worse = {"in": plain["in"], "bn": [0.7] * 4 + [0.72] * 4}
    assert contrast._less(plain, worse, 450).holds and not contrast._less(plain, plain, 450).holds


def test_bytes_that_differ_in_one_row_are_enough() -> None:
    count = 2 * alone.ROWS
    sentence = "{count} {layer} {batch}"
    assert alone._counted({"layer": count, "batch": 0}, 2, sentence).holds
    assert not alone._counted({"layer": count - 1, "batch": 0}, 2, sentence).holds
    assert not alone._counted({"layer": count, "batch": 1}, 2, sentence).holds


def test_lengths_that_cost_accuracy_are_told() -> None:
    seen = [0.95, 0.96, 0.95, 0.96, 0.95, 0.96, 0.95, 0.96]
    found = {0: seen, 16: seen, 24: [v - 0.1 for v in seen]}
    both = {wait: {"ln": own, "none": own} for wait, own in found.items()}
    assert not alone._lengths(both, 450).holds
    assert alone._lengths({**both, 24: both[0]}, 450).holds


def test_moments_off_the_fixed_point_are_told() -> None:
    near = np.array([[0.0, 1.01], [0.01, 1.0], [0.0, 0.99]])
    assert selu._moments(near, "x", (0.0, 1.0))[2] <= selu.NEAR
    far = selu._moments(near + np.array([0.0, 0.6]), "x", (0.0, 1.0))
    assert far[2] > selu.NEAR and far[3] > selu.NEAR
    astride = selu._moments(np.array([[0.0, 0.5], [0.0, 1.5], [0.0, 1.0]]), "x", (0.0, 1.0))
    assert astride[2] > selu.NEAR and astride[3] == 0  # it may be far, and may be at the fixed point


def test_weights_without_the_normalization_fail_every_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    made = weight.stack_of
    monkeypatch.setattr(weight, "SETTINGS", {**weight.SETTINGS, "steps": 5})
    monkeypatch.setattr(weight, "stack_of", lambda arm, *rest, **named: made("none", *rest, **named))
    assert [one.holds for one in weight.measure(range(2))] == [False, False, False]


def test_the_notes_sentences_come_out_as_compare_says() -> None:
    """Seed 0 is the note's own run: its figures are in the documentation of the presets, its verdicts in `compare`."""
    found = at_the_start(note.ARMS, range(8), preset="note-5")
    none, batch = found.values()
    assert none.var[0] == pytest.approx([0.120896, 0.176443, 0.194145, 0.183300, 0.162022], abs=5e-7)
    assert batch.var[0, -1] == pytest.approx(0.044469, abs=5e-7)
    document = run(list(note.ARMS), preset="note-5", seeds=8).to_dict()
    centred, denser, steady, suitable, relieved = [one["verdict"] for one in note_sentences(document)[:5]]
    pair = (none, batch)
    assert (centred, note._enters(pair).holds, note._leaves(pair).holds) == (HALF, True, False)
    assert (denser in (HALF, HOLDS)) == note._denser(pair).holds
    assert (steady == HOLDS) == note._steadier(pair).holds
    assert (suitable == HOLDS) == note._suitable(pair).holds
    assert (relieved == HOLDS) == note._relieves(pair).holds


@pytest.mark.parametrize("arm", ["none", "ln"])
def test_the_recurrent_network_goes_back_as_autograd_does(arm: str) -> None:
    """Float32 keeps seven digits; sums over 10 rows and 5 samples and what they cancel cost three of them."""
    import autograd.numpy as anp
    from autograd import grad

    net = Recurrent(arm, [0, 1], 8, 10, 0.01)
    draws = np.random.default_rng(0)
    x = blank(draws.standard_normal((2, 5, 8, 8)).astype(np.float32), 2)
    y = draws.integers(0, 10, (2, 5))
    net.backward(cross_entropy(net.forward(x, "train"), y)[2])
    names = [net.into, net.again, net.head, net.bias, net.top, *(net.norm.parameters if net.norm else ())]

    def loss(values: list[Any]) -> Any:
        into, again, head, bias, top, *own = values
        h = anp.zeros((2, 5, again.shape[-1]))
        for row in range(x.shape[2]):
            z = x[:, :, row] @ into + h @ again + bias
            if own:
                centred = z - anp.mean(z, axis=-1, keepdims=True)
                z = centred / anp.sqrt(anp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)
                z = z * own[0][:, None] + own[1][:, None]
            h = anp.tanh(z)
        logits = h @ head + top
        odds = logits - anp.log(anp.sum(anp.exp(logits), axis=-1, keepdims=True))
        return -anp.sum(anp.mean(anp.sum(odds * np.eye(10)[y], axis=-1), axis=-1))

    expected = grad(loss)([p.value.astype(np.float64) for p in names])
    for parameter, right in zip(names, expected, strict=True):
        assert np.abs(parameter.gradient - right).max() <= 1e-4 * np.abs(right).max()


def test_a_seed_of_the_recurrent_network_does_not_depend_on_what_stands_beside() -> None:
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    together = Recurrent("ln", [3, 4], 8, 10, 0.01).forward(np.concatenate([x, x]), "evaluate")
    assert np.array_equal(Recurrent("ln", [4], 8, 10, 0.01).forward(x, "evaluate")[0], together[1])
