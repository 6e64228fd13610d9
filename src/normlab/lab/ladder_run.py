"""What the ladder's state means for `compare`: its arguments, smaller ones while somebody drags, and the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..errors import UsageError
from ..experiments.arms import NONE, read_arms
from ..experiments.compare import run
from ..experiments.presets import NO_PRESET, PRESETS, Preset
from ..experiments.sampling import samples
from ..experiments.settings import Settings
from ..registry import method
from .fields import State

__all__ = ["NOTE", "NOTE_PRESET", "PRESET_NAMES", "document_of", "preset_state", "same_arms", "sampled_at", "take"]

NOTE, NOTE_PRESET = "note", "note-5"  # the data of the note come with the rest of its code: biases, eps, generator
PRESET_NAMES = ("note-5", "too-small", "too-large", "deep", "tiny-batch", "same-moments")
QUICK_INPUTS, QUICK_IMAGES, QUICK_COTANGENTS = 256, 32, 1
KEPT = 48  # documents; the largest takes less than half a megabyte

Document = Mapping[str, Any]


def document_of(state: State, quick: bool) -> Document:
    """The comparison that the state describes; kept, because the next one is shown beside it."""
    return _document((state["left"], state["right"]), tuple(_arguments(state, quick).items()))


def sampled_at(state: State, quick: bool) -> Document:
    """The same document with the open row's sample in place of the last layer's."""
    document = document_of(state, quick)
    labels = [arm["label"] for arm in document["arms"] if arm["layers"]]
    if not state["row"] or not labels:
        return document
    found = dict(zip(labels, samples(labels, state["row"], **_arguments(state, quick)), strict=True))
    return {**document, "arms": [{**arm, "sample": found.get(arm["label"])} for arm in document["arms"]]}


def take(state: State) -> tuple[str, str]:
    """The command and the lines of Python that give the numbers of the full run."""
    given = _arguments(state, quick=False)
    settings = Settings.read(given.pop("preset", None), given)
    arms = [state["left"], state["right"]]
    return settings.command(arms), settings.python(arms)


def same_arms(left: str, right: str) -> bool:
    """Whether two arms, each of which can be read, are the same one."""
    try:
        read_arms([left, right], NO_PRESET)
    except UsageError:
        return True
    return False


def preset_state(name: str) -> State:
    """What a preset sets, of those settings that the ladder has."""
    preset: Preset = PRESETS[name]
    settings = {key: value for key, value in preset.settings.items() if key not in ("width", "bias")}
    left, right = (one if one == NONE else method(one).short for one in preset.methods[:2])
    return {"left": left, "right": right, **settings}


def _arguments(state: State, quick: bool) -> dict[str, Any]:
    names = ("layers", "activation", "init", "batch", "seed", "place")
    found = {name: state[name] for name in names}
    if state["data"] == NOTE:
        found["preset"] = NOTE_PRESET
    else:
        found |= {"data": state["data"], "net": state["net"]}
    if quick:
        found["batch"] = min(state["batch"], QUICK_IMAGES if state["net"] == "conv" else QUICK_INPUTS)
        found["cotangents"] = QUICK_COTANGENTS
    return found


@lru_cache(KEPT)
def _document(arms: tuple[str, ...], arguments: tuple[tuple[str, Any], ...]) -> Document:
    found: Document = json.loads(run(list(arms), **dict(arguments)).to_json())  # a third of the time of a deep copy
    return found
