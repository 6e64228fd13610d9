"""The drawing kit: one small SVG writer and two scales, used by every figure of the report, the page and the notebook.

A drawing must survive a page that forbids styles, stand on a light and on a dark ground, and speak two languages.
Hence: presentation attributes only, `currentColor` for ink, mid tones for data, and both languages inside, the second
one with `display="none"`, which the page's style sheet turns round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = [
    "DIVERGED",
    "FONT",
    "GRADIENT",
    "OFFSET",
    "SIGNAL",
    "Drawing",
    "Linear",
    "Log",
    "Text",
    "ink_on",
    "number",
    "pick",
    "ramp",
    "side_by_side",
    "step_path",
    "tint",
]

Text = Mapping[str, str]  # {"en": ..., "ko": ...}

FONT = "system-ui,'Segoe UI',Roboto,'Helvetica Neue','Apple SD Gothic Neo','Malgun Gothic',NanumGothic,sans-serif"

# Mid tones: at least 3 to 1 against white and against the dark ground (#15181c), apart for red-green blindness, and
# never the only carrier: signal is filled, offset hollow, gradient a rod with a dot.
SIGNAL = "#2f7fc4"
OFFSET = "#c47a1b"
GRADIENT = "#7b6fc4"
DIVERGED = "#d1495b"

# Eight light tints under dark figures: sets of a sharing board. Neighbours differ in lightness as well as in hue.
_TINTS = ("#9cc9ee", "#fbd9a0", "#a9dcc3", "#e3c4e6", "#f6b8a5", "#d9d9d9", "#f3ee9b", "#a3a9e0")
# Cividis, read at five places: even for colour-blind readers and on grey paper.
_RAMP = ((0, 32, 77), (61, 78, 108), (124, 123, 120), (189, 174, 98), (255, 234, 70))
_NARROWEST = 1e-300  # a range below has no step that a float can hold: drawn as one without extent


def tint(index: int) -> str:
    """The background of the set numbered `index`; repeats after eight, so a figure stands in every cell as well."""
    return _TINTS[index % len(_TINTS)]


def ramp(share: float) -> str:
    """The colour of a value between 0 (dark blue) and 1 (yellow)."""
    place = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    left = min(int(place), len(_RAMP) - 2)
    mixed = (round(a + (b - a) * (place - left)) for a, b in zip(_RAMP[left], _RAMP[left + 1], strict=True))
    return "#" + "".join(f"{c:02x}" for c in mixed)


def ink_on(share: float) -> str:
    """The ink that can be read on `ramp(share)`."""
    return "#ffffff" if share < 0.55 else "#16191d"


def pick(text: str | Text, lang: str) -> str:
    """The text in one language."""
    return text if isinstance(text, str) else text[lang]


def number(value: float) -> str:
    """A coordinate: two decimals at most, no zeros that say nothing."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _other(lang: str) -> str:
    return "ko" if lang == "en" else "en"


# What `text` writes for the language that is not shown; the words inside are escaped, so no tag can stand there.
_HIDDEN = re.compile(r'<tspan lang="\w\w" display="none">[^<]*</tspan>')


class Linear:
    """Maps values between `low` and `high` to places between `start` and `end`; outside values go to the edge."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, (high if high - low > _NARROWEST else low + 1.0), start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, wish: int = 3) -> list[float]:
        """About `wish` round values inside the range."""
        rough = (self.high - self.low) / max(wish, 1)
        base = 10.0 ** math.floor(math.log10(rough))
        step = min((m * base for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(math.log(s / rough)))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


class Log:
    """Like `Linear`, for positive values over whole powers of ten; zero and less go to the lower edge."""

    def __init__(self, values: Iterable[float], start: float, end: float, *, least: int = 1) -> None:
        logs = [math.log10(v) for v in values if v > 0]
        self.low = math.floor(min(logs) + 1e-9) if logs else -1
        self.high = max(math.ceil(max(logs) - 1e-9) if logs else 0, self.low + least)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        place = math.log10(value) if value > 0 else self.low
        share = (place - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, wish: int = 2) -> list[int]:
        """Exponents of ten, the outer two always, evenly stepped where the range divides."""
        span = self.high - self.low
        step = next((s for s in range(max(1, math.ceil(span / max(wish, 1))), span + 1) if span % s == 0), span)
        return list(range(self.low, self.high + 1, step))


class Drawing:
    """An SVG under construction. Coordinates are pixels at natural size; methods return nothing and append."""

    def __init__(self, width: float, height: float, lang: str = "en") -> None:
        self.width, self.height, self.lang = width, height, lang
        self._parts: list[str] = []

    def add(self, name: str, body: str | None = None, /, **attributes: object) -> None:
        """Append one element; `_` in a name stands for `-`, numbers are shortened, None leaves an attribute out."""
        written = []
        for key, value in attributes.items():
            if value is None:
                continue
            shown = number(value) if isinstance(value, float) else escape(str(value))
            written.append(f' {key.rstrip("_").replace("_", "-")}="{shown}"')
        self._parts.append(f"<{name}{''.join(written)}" + ("/>" if body is None else f">{body}</{name}>"))

    def rect(self, x: float, y: float, width: float, height: float, **attributes: object) -> None:
        """A rectangle; give `fill`, or `stroke` for a hollow one."""
        if "fill" not in attributes:
            attributes["fill"] = "none"
        self.add("rect", x=float(x), y=float(y), width=float(width), height=float(height), **attributes)

    def ticks(self, places: Iterable[float], top: float, bottom: float, opacity: str) -> None:
        """Vertical strokes from `top` to `bottom`, as one path."""
        stroke = f"{number(top)}V{number(bottom)}"
        points = "".join(f"M{number(x)} {stroke}" for x in places)
        self.add("path", d=points, stroke="currentColor", stroke_opacity=opacity)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, faint: bool = False, **attributes: object) -> None:
        """A straight stroke in ink; `faint` for axes and guides."""
        attributes.setdefault("stroke", "currentColor")
        if faint:
            attributes.setdefault("stroke_opacity", ".28")
        path = f"M{number(x1)} {number(y1)}" + (
            f"V{number(y2)}" if x1 == x2 else f"H{number(x2)}" if y1 == y2 else f"L{number(x2)} {number(y2)}"
        )
        self.add("path", d=path, **attributes)

    def path(self, points: str, **attributes: object) -> None:
        """A path given in SVG's own words."""
        attributes.setdefault("fill", "none")
        self.add("path", d=points, **attributes)

    def text(
        self,
        x: float,
        y: float,
        words: str | Text,
        *,
        size: float = 10,
        anchor: str | None = None,
        bold: bool = False,
        quiet: bool = False,
        **attributes: object,
    ) -> None:
        """Words at a place; two languages become two spans, of which one is shown. `quiet` is secondary text."""
        common: dict[str, object] = {
            "x": float(x),
            "y": float(y),
            "font_size": None if size == 10 else number(size),
            "text_anchor": anchor,
            "font_weight": "600" if bold else None,
            "fill_opacity": ".72" if quiet else None,
            **attributes,
        }
        if isinstance(words, str) or words["en"] == words["ko"]:
            self.add("text", escape(pick(words, self.lang)), **common)
            return
        spans = []
        for lang in (self.lang, _other(self.lang)):
            hide = ' display="none"' if lang != self.lang else ""
            spans.append(f'<tspan lang="{lang}"{hide}>{escape(words[lang])}</tspan>')
        self.add("text", "".join(spans), **common)

    def open(self, **attributes: object) -> None:
        """Begin a group; `at=(x, y)` moves it."""
        at = attributes.pop("at", None)
        if isinstance(at, tuple):
            attributes["transform"] = f"translate({number(at[0])} {number(at[1])})"
        written = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(str(v))}"' for k, v in attributes.items())
        self._parts.append(f"<g{written}>")

    def close(self) -> None:
        """End the group opened last."""
        self._parts.append("</g>")

    def note(self, words: str | Text) -> None:
        """A title of the open group: what a pointer or a screen reader finds there."""
        self._parts.append(f"<title>{escape(pick(words, self.lang))}</title>")

    def put(self, other: Drawing, x: float, y: float) -> None:
        """Set another drawing into this one."""
        self.open(at=(x, y))
        self._parts.extend(other._parts)
        self.close()

    def svg(self, title: Text, description: Text, *, alone: bool = False, one: bool = False) -> str:
        """The SVG's text, named and described.

        Args: `one`, only the drawing's own language (a notebook); `alone`, that, and a file of its own: with the
        namespace and a white ground. Otherwise both languages are inside, the drawing's own first, because that is
        the title which a browser shows under the pointer.
        """
        one = one or alone
        order = (self.lang,) if one else (self.lang, _other(self.lang))
        head = "".join(f'<title lang="{k}">{escape(title[k])}</title>' for k in order)
        head += "".join(f'<desc lang="{k}">{escape(description[k])}</desc>' for k in order)
        body = "".join(self._parts)
        if one:
            body = _HIDDEN.sub("", body)
        edge = 16.0 if alone else 0.0
        width, height = number(self.width + 2 * edge), number(self.height + 2 * edge)
        space, font = "", "system-ui,sans-serif"  # a page sets its own; this is for one that forbids styles
        if alone:
            space, font = ' xmlns="http://www.w3.org/2000/svg"', FONT
            ground = f'<rect x="-16" y="-16" width="{width}" height="{height}" fill="#ffffff"/>'
            body = f'{ground}<g color="#16191d" fill="#16191d">{body}</g>'
        fit = ' style="max-width:100%;height:auto"' if one and not alone else ""
        return (
            f'<svg{space} role="img" lang="{self.lang}" viewBox="{number(-edge)} {number(-edge)} {width} {height}" '
            f'width="{width}" height="{height}"{fit} font-family="{font}" font-size="10" fill="currentColor">'
            f"{head}{body}</svg>"
        )


def side_by_side(drawings: Sequence[Drawing], columns: int, lang: str) -> Drawing:
    """Several drawings in one, in rows of `columns`."""
    columns = max(1, min(columns, len(drawings)))
    width = max((d.width for d in drawings), default=0.0) + 32
    height = max((d.height for d in drawings), default=0.0) + 28
    whole = Drawing(columns * width - 32, -(-len(drawings) // columns) * height - 28, lang)
    for k, one in enumerate(drawings):
        whole.put(one, (k % columns) * width, (k // columns) * height)
    return whole


def step_path(counts: Sequence[float], x: Linear, low: float, high: float, base: float, y: Linear) -> str:
    """The outline of a histogram: bins of one width between `low` and `high`, closed at `base`.

    Relative steps, and heights in tenths of a pixel: outlines are the greater part of a report's drawings.
    """
    width = (x(high) - x(low)) / len(counts)
    words = [f"M{number(x(low))} {number(base)}"]
    level, run = round(base, 1), 0
    for count in counts:
        height = round(y(count), 1)
        if height != level:
            words.append(f"h{number(run * width)}" if run else "")
            words.append(f"v{number(height - level)}")
            level, run = height, 0
        run += 1
    return "".join(words) + f"h{number(run * width)}V{number(base)}z"
