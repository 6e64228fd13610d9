"""For which frames an implementation was written: a function for dense input often takes images too, by chance."""

from __future__ import annotations

from collections.abc import Sequence

from .forward import Judged, Subject
from .frames import Frame

__all__ = ["claimed"]


def claimed(judged: Sequence[Judged], subject: Subject) -> tuple[list[Judged], list[Judged]]:
    """The frames that the implementation was written for, and those in which it merely does not fail.

    An implementation for dense input often takes images too and does something else to them. It is held to images where
    it is wrong on dense input, or where it gives every channel its weight there, which does not happen by chance.
    """
    accepted = [one for one in judged if one.accepted]
    own = [one for one in accepted if not one.frame.other]
    others = [one for one in accepted if one.frame.other and (not own or one.frame.kind not in subject.broad)]
    right_others = [one for one in others if one.is_right]
    low = [one for one in own if len(one.frame.axes) <= 2]
    high = [one for one in own if len(one.frame.axes) > 2]
    wrong_high = [one for one in high if not one.is_right]
    if wrong_high and right_others:  # its axes stand in another order
        return [*low, *right_others], []
    if low and wrong_high:
        known = {key for one in low for key in one.keys}
        kept = [one for one in wrong_high if _knows_channels(one.frame, subject, known) or _same_mistakes(one, known)]
        return [one for one in own if one not in wrong_high or one in kept], [o for o in wrong_high if o not in kept]
    return (own, []) if own else (right_others or others[:1], [])


def _same_mistakes(one: Judged, known: set[str]) -> bool:
    """Whether it is explained by nothing but what explains dense input."""
    return bool(one.keys) and set(one.keys) <= known


def _knows_channels(frame: Frame, subject: Subject, known: set[str]) -> bool:
    """Whether weight and bias of shape (c,) were used, and brought to the channels' axis, which is not the last one."""
    used = {name for name in ("weight", "bias") if name in subject.roles and f"missing_{name}" not in known}
    return "c" in frame.axes[:-1] and bool(used) and frame.kind not in subject.broad
