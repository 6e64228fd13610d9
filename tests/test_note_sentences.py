"""The study note's claims: each verdict is computed from the document at hand, whatever it says."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import documents as d
from normlab.experiments import note_sentences as module
from normlab.experiments.note_sentences import VERDICTS, note_sentences
from normlab.language import LANGUAGES

Document = dict[str, Any]
BATCH = {"method": "batch_norm", "label": "bn"}


def found(document: Document, claim: str) -> tuple[str, str]:
    """The verdict on a claim, and what was measured, in English."""
    entry = next(e for e in note_sentences(document) if e["claim"]["en"] == claim)
    return entry["verdict"], entry["measured"]["en"]


def usual(none: float | None = 0.0062, batch: float | None = 1.06, depth: int = 5, **numbers: Any) -> Document:
    """The usual sigmoid layers, `numbers` being the batch norm arm's."""
    without = d.arm("none", ratio=none, depth=depth, var=[0.05 - 0.008 * k for k in range(depth)], signal=0.1,
                    saturated=0.0, slope=0.23, mean=[0.5 + 0.01 * k for k in range(depth)])  # fmt: skip
    return d.document(without, d.arm("bn", ratio=batch, depth=depth, **numbers))


def test_the_note_s_own_five_layers() -> None:
    document = d.saturated_not_vanished()
    for k, layer in enumerate(document["arms"][0]["layers"]):
        layer["mean"], layer["var"] = 0.43 + 0.03 * k, 0.12 + 0.01 * k
    verdicts = [entry["verdict"] for entry in note_sentences(document)]
    assert verdicts == ["half", "half", "holds", "holds", "elsewhere", *["not measured here"] * 4]
    assert "nothing vanished" in found(document, module.RELIEVED)[1]


def test_its_one_layer() -> None:
    verdicts = [entry["verdict"] for entry in note_sentences(d.one_layer())]
    assert verdicts == ["half", "half", "not measured here", "holds", *["not measured here"] * 5]
    assert "0.130 to 0.0439" in found(d.one_layer(), module.DENSER)[1]


@pytest.mark.parametrize(
    ("none", "batch", "verdict"),
    [
        (0.0062, 1.06, "holds"),
        (0.0062, 0.05, "half"),
        (0.0062, 0.007, "fails"),
        (0.0062, 500.0, "fails"),
        (0.42, 1.2, "elsewhere"),
        (0.42, 0.02, "fails"),
        (1.0, 36.0, "fails"),
        (0.0062, None, "not measured here"),
    ],
)
def test_relief_is_judged_by_both_ratios(none: float, batch: float | None, verdict: str) -> None:
    assert found(usual(none, batch), module.RELIEVED)[0] == verdict


def test_overlapping_seeds_leave_relief_open() -> None:
    document = d.over_seeds(usual(0.02, 0.04), factor=2.0)
    assert found(document, module.RELIEVED) == (
        "not measured here",
        "Layer 1 over layer 5: 1/50 without, 1/25 with; over 5 seeds the intervals overlap.",
    )


def test_overlapping_seeds_leave_the_rest_open_too() -> None:
    document = d.over_seeds(usual(0.12, 1.0, var=0.019), factor=1.5)
    assert found(document, module.RELIEVED)[0] == found(document, module.DENSER)[0] == "not measured here"
    assert "vanishing without is open" in found(document, module.RELIEVED)[1]


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ({"pre": (0.0, 1.0), "mean": 0.5, "var": 0.044}, "half"),
        ({"pre": (0.0, 1.0), "mean": 0.02, "var": 0.97}, "holds"),
        ({"pre": (0.4, 3.0), "mean": 0.5, "var": 0.044}, "fails"),
        ({"pre": (None, None)}, "not measured here"),
    ],
)
def test_mean_and_variance_are_judged_before_and_after_the_activation(numbers: dict[str, Any], verdict: str) -> None:
    assert found(usual(**numbers), module.CENTRED)[0] == verdict


@pytest.mark.parametrize(
    ("var", "signal", "verdict"), [(0.01, 1.0, "half"), (0.001, 1.0, "holds"), (0.044, 1.0, "fails")]
)
def test_denser_is_judged_by_the_whole_and_by_its_signal(var: float, signal: float, verdict: str) -> None:
    assert found(usual(var=var, signal=signal), module.DENSER)[0] == verdict


def test_steadier_and_suitable_follow_their_numbers() -> None:
    assert found(usual(), module.STEADY)[0] == "holds"
    assert found(usual(mean=[0.1, 0.3, 0.5, 0.7, 0.9]), module.STEADY)[0] == "half"
    assert found(usual(saturated=0.4), module.SUITABLE)[0] == "half"
    assert found(usual(saturated=0.4, slope=0.01), module.SUITABLE)[0] == "fails"


@pytest.mark.parametrize(
    ("method", "options", "applies"),
    [
        ("batch_norm", {}, True),
        ("[n] c [...]", {}, True),
        ("(k [n]) c [...]", {"k": 4}, True),
        ("whole_norm", {}, False),
        ("layer_norm", {}, False),
        ("group_norm", {"groups": 4, "eps": 1e-3}, False),
        ("[n c ...]", {}, False),
        ("selu", {}, False),
        ("spectral_norm", {}, False),
        ("nothing known", {}, False),
    ],
)
def test_it_applies_where_an_arm_pools_the_batch_and_keeps_the_channels(
    method: str, options: dict[str, Any], applies: bool
) -> None:
    document = d.document(d.arm("none"), d.arm("other", method=method, options=options))
    assert bool(note_sentences(document)) is applies


def test_it_needs_the_arm_without() -> None:
    assert note_sentences(d.document(d.arm("bn"), d.arm("ln"))) == []


def test_every_entry_speaks_both_languages_and_leaves_the_document_alone() -> None:
    document = d.not_finite()
    before = copy.deepcopy(document)
    for entry in note_sentences(document):
        assert set(entry) == {"claim", "measured", "verdict"}
        assert set(entry["claim"]) == set(entry["measured"]) == set(LANGUAGES)
        assert entry["verdict"] in VERDICTS
    assert document == before
