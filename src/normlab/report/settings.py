"""A run's settings in words: the line under the verdict, and the list by which it can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..language import both
from .drawing import Text
from .numerals import count

__all__ = ["listed", "name_of", "reproduction", "setting_line"]

Document = Mapping[str, Any]


def name_of(document: Document) -> Text:
    """A chapter's short name: its preset, or its data and net."""
    settings = document["settings"]
    if settings.get("preset"):
        return both("preset {name}", name=settings["preset"])
    return both("{data} data, {net} net", data=settings.get("data", "?"), net=settings.get("net", "?"))


def setting_line(document: Document) -> Text:
    """What was run, in one line."""
    s = {"top": "", **document["settings"]}
    dense, drawn = s["net"] == "dense", s["top"] == "cotangent"
    parts = [
        both("{activation}, one layer", activation=s["activation"])
        if s["layers"] == 1
        else both("{activation} × {n} layers", activation=s["activation"], n=s["layers"]),
        both("{batch} inputs × {width} units", batch=count(s["batch"]), width=count(s["width"]))
        if dense
        else both("{batch} images, {width} channels of 8 × 8", batch=count(s["batch"]), width=count(s["width"])),
        both("data {name}", name=s["data"]),
        both("weights {init}", init=s["init"])
        if isinstance(s["init"], str)
        else both("weights of standard deviation {init}", init=f"{s['init']:g}"),
        both("with bias") if s["bias"] else both("no bias"),
        both("random cotangent, {n} draws", n=s["cotangents"]) if drawn else both("a classifier's loss on top"),
        both("NumPy {dtype}", dtype=s["dtype"]),
        _seeds(document),
    ]
    return {lang: " · ".join(part[lang] for part in parts) for lang in ("en", "ko")}


def reproduction(document: Document) -> list[tuple[Text, str]]:
    """What somebody needs to get the same numbers, as pairs of a name and a value."""
    pairs: list[tuple[Text, str]] = [(both("seeds"), ", ".join(str(s) for s in document["seeds"][:40]))]
    pairs.append((both("versions"), listed(document["versions"])))
    pairs.append((both("machine"), listed(document["machine"])))
    pairs.append((both("time"), f"{document['wall_s']:.2f} s"))
    settings = {k: v for k, v in document["settings"].items() if k != "methods"}
    pairs.append((both("settings"), listed(settings)))
    return pairs


def _seeds(document: Document) -> Text:
    seeds = document["seeds"]
    if len(seeds) == 1:
        return both("seed {seed}", seed=seeds[0])
    return both("{n} seeds from {first} on, {level} intervals", n=len(seeds), first=seeds[0], level="95 %")


def listed(values: Mapping[str, Any]) -> str:
    """Names and values on one line; what is None is left out."""
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
