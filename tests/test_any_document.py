"""Whatever numbers a document holds, sentences come out of it, in both languages, and never an exception."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.experiments.note_sentences import VERDICTS, note_sentences
from normlab.experiments.verdicts import limits, verdicts
from normlab.language import LANGUAGES

Document = dict[str, Any]

plain_numbers = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 1.0, -1.0, 1e-320, 5e-324, 1e308, 0.1, 10.0, 0.01]),
)
numbers = st.one_of(
    plain_numbers,
    st.fixed_dictionaries({"mean": plain_numbers, "low": plain_numbers, "high": plain_numbers}),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
layers = st.fixed_dictionaries(
    {"layer": st.integers(1, 64), "nonfinite": st.sampled_from([0, 0, 0, 3])}
    | dict.fromkeys(("mean", "var", "signal_var", "offset_var", "saturated", "slope", "grad_norm"), numbers)
    | {"pre": st.fixed_dictionaries({"mean": numbers, "var": numbers})}
)
arms = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["none", "batch_norm", "x"]),
        "label": st.text(max_size=40),
        "role": st.sampled_from(["none", "norm", "activation", "weight"]),
        "layers": st.lists(layers, max_size=3),
        "first_over_last": numbers,
        "gain": st.fixed_dictionaries({"measured": numbers, "predicted": numbers}),
    }
)
runs = st.fixed_dictionaries(
    {
        "arms": st.lists(arms, max_size=4),
        "seeds": st.lists(st.integers(0, 9), max_size=3),
        "settings": st.fixed_dictionaries({"activation": st.sampled_from(["sigmoid", "relu", "tanh"])}),
    }
)


@settings(deadline=None, max_examples=200)
@given(runs)
def test_any_document_brings_sentences_in_both_languages(document: Document) -> None:
    found = verdicts(document)
    assert len(found) <= limits.MOST_SENTENCES
    for verdict in found:
        assert set(verdict) == set(LANGUAGES)
        assert all(text and "nan" not in _without(text, _labels(document)) for text in verdict.values())


@settings(deadline=None, max_examples=60)
@given(runs)
def test_any_document_is_read_beside_the_note(document: Document) -> None:
    assert all(entry["verdict"] in VERDICTS for entry in note_sentences(document))


def _labels(document: Document) -> Iterable[str]:
    return (arm["label"] for arm in document["arms"])


def _without(text: str, labels: Iterable[str]) -> str:
    for label in labels:
        text = text.replace(label, "") if label else text
    return text
