"""The study note sentence by sentence, at initialization and after training, and the law of the gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normlab.formatting import number
from normlab.language import N_, both
from normlab.statistics import contrasts, interval

from ..compare import run
from ..verdicts import limits
from .claim import Claim, Finding, Text
from .figures import figure, logarithms, ratio
from .inside import Inside, at_the_start, trained
from .saying import bracketed

ARMS = ("none", "bn")
NEAR = 0.1  # of mean 0 and of variance 1; what `note_sentences` takes as near
FEW = 0.05  # saturated units
CLOSE = 0.06  # of the law
LAW: dict[str, str] = {"sigmoid": "xavier", "tanh": "xavier", "relu": "he"}
LAW_ARMS = ("none", "bn", "ln", "rms", "whole_norm")
DEEP = 20
Pair = tuple[Inside, Inside]


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Every sentence at initialization and after training; then where gradients usually vanish; then the law."""
    moments = [_pair(at_the_start(ARMS, seeds, preset="note-5")), _pair(trained(ARMS, seeds))]
    found = [judge(pair) for pair in moments for judge in (_enters, _leaves, _denser, _steadier, _suitable, _relieves)]
    usual = _pair(at_the_start(ARMS, seeds, preset="dlfs"))
    return [*found, _relieves(usual), _law(seeds)]


def _pair(found: Mapping[str, Inside]) -> Pair:
    none, batch = found.values()
    return none, batch


def _enters(pair: Pair) -> Finding:
    return _standard(pair[1].pre_mean[:, -1], pair[1].pre_var[:, -1])


def _leaves(pair: Pair) -> Finding:
    return _standard(pair[1].mean[:, -1], pair[1].var[:, -1])


def _standard(mean: Any, var: Any) -> Finding:
    # Rounding is no distance: after batch normalization means are 1e-17 with an interval of their own.
    ends = [abs(v - aim) for own, aim in ((mean, 0.0), (var, 1.0)) for v in _ends(own)]
    said = both(N_("last layer: mean {mean}, variance {var}"), mean=_plain(mean), var=_plain(var))
    return Finding(max(ends) <= NEAR, said, {"mean": mean.tolist(), "var": var.tolist()})


def _plain(values: Any) -> str:
    rounded = np.round(values, 6)  # 1e-17 is 0
    return figure(rounded.tolist(), resolution=0.0) if np.ptp(rounded) else number(float(rounded[0]))


def _ends(values: Any) -> tuple[float, float]:
    found = interval(values.tolist(), resolution=0.0)
    mean = found.mean or 0.0
    return (mean if found.low is None else found.low, mean if found.high is None else found.high)


def _denser(pair: Pair) -> Finding:
    none, batch = pair
    values = {"none": none.var[:, -1].tolist(), "bn": batch.var[:, -1].tolist()}
    found = contrasts(values, higher_is_better=False)[0]
    said = both(
        N_("last layer: variance {var_0} without, {var_1} with; of it signal {signal_0} and {signal_1}"),
        var_0=figure(none.var[:, -1].tolist()), var_1=figure(batch.var[:, -1].tolist()),
        signal_0=figure(none.signal[:, -1].tolist()), signal_1=figure(batch.signal[:, -1].tolist()),
    )  # fmt: skip
    return Finding(found.verdict == "better", said, {"low": found.low, "high": found.high})


def _steadier(pair: Pair) -> Finding:
    ranges = {name: [np.ptp(getattr(one, name), axis=1).tolist() for one in pair] for name in ("mean", "var")}
    level = 1 - 0.05 / len(ranges)
    pairs = [dict(zip(ARMS, values, strict=True)) for values in ranges.values()]
    found = [contrasts(one, higher_is_better=False, level=level)[0] for one in pairs]
    said = both(
        N_("range over the layers, without and with: mean {mean_0} and {mean_1}, variance {var_0} and {var_1}"),
        **{f"{name}_{k}": figure(values) for name, pair in ranges.items() for k, values in enumerate(pair)},
    )  # fmt: skip
    return Finding(all(one.verdict == "better" for one in found), said, {"ranges": ranges})


def _suitable(pair: Pair) -> Finding:
    shares = [one.saturated[:, -1].tolist() for one in pair]
    said = both(
        N_("saturated units of the last layer: {without} % without, {batch} % with"),
        without=_percent(shares[0]), batch=_percent(shares[1]),
    )  # fmt: skip
    return Finding(_ends(pair[1].saturated[:, -1])[1] <= FEW, said, {"without": shares[0], "with": shares[1]})


def _percent(shares: Sequence[float]) -> str:
    return figure([100 * v for v in shares], digits=2)


def _relieves(pair: Pair) -> Finding:
    """Something vanished without, and with it nothing does."""
    ratios = [one.first_over_last.tolist() for one in pair]
    none, batch = (logarithms(own) for own in ratios)
    high, low = (none.mean if none.high is None else none.high), (batch.mean if batch.low is None else batch.low)
    edge = float(np.log(limits.VANISHED))
    holds = high is not None and low is not None and high < edge < low
    said = both(
        N_("gradient of the first layer over that of the last: {without} without, {batch} with"),
        without=ratio(none), batch=ratio(batch),
    )  # fmt: skip
    return Finding(holds, said, {"without": ratios[0], "with": ratios[1]})


def _law(seeds: Sequence[int]) -> Finding:
    """Measured over predicted gain of every activation function and arm."""
    found: dict[str, dict[str, Any]] = {}
    for activation, init in LAW.items():
        document = run(list(LAW_ARMS), layers=DEEP, activation=activation, init=init, seeds=len(seeds), seed=seeds[0])
        for arm in document.to_dict()["arms"]:
            found[f"{activation} {arm['label']}"] = arm["gain"]
    off = {name: _over(gain["predicted"], *_interval(gain["measured"])) for name, gain in found.items()}
    worst = max(off, key=lambda name: max(abs(v - 1) for v in off[name]))
    rows = ", ".join(f"{arm} {_gain(found[f'sigmoid {arm}'])}" for arm in LAW_ARMS[:3])
    said = both(
        N_("sigmoid, measured (predicted): {rows}; furthest off of {count}: {worst}, {ratio} of what was predicted"),
        rows=rows, count=len(off), worst=worst, ratio=bracketed(*off[worst], ".3f"),
    )  # fmt: skip
    return Finding(all(abs(v - 1) <= CLOSE for v in off[worst]), said, {"gains": found})


def _interval(value: Mapping[str, float | None]) -> tuple[float, float, float]:
    return value["mean"] or 0.0, value["low"] or 0.0, value["high"] or 0.0


def _over(predicted: float, mean: float, low: float, high: float) -> tuple[float, float, float]:
    return mean / predicted, low / predicted, high / predicted


def _gain(gain: Mapping[str, Any]) -> str:
    return f"{bracketed(*_interval(gain['measured']), '.3f')} ({gain['predicted']:.3f})"


SENTENCES = (
    N_("{when}: with batch normalization, what enters the activation function has mean 0 and variance 1, within 0.1"),
    N_("{when}: so has what leaves it, as the note says of the activations"),
    N_("{when}: the activations are more concentrated: the last layer's variance is lower with, by the interval"),
    N_("{when}: mean and variance are steadier from layer to layer: both ranges are smaller with, by the intervals"),
    N_("{when}: after the activation function the distribution is still suitable: at most 0.05 are saturated with"),
    N_("{when}: it relieves vanishing gradients: first over last below 1/10 without, above it with, by the intervals"),
)  # fmt: skip
START, TRAINED = both(N_("at initialization")), both(N_("after training"))


def _conditions() -> tuple[Text, ...]:
    told = [both(sentence, when=when) for when in (START, TRAINED) for sentence in SENTENCES]
    usual = both(SENTENCES[-1], when=both(N_("in the usual set-up (weights of 1/sqrt(width), five layers)")))
    law = both(N_("the law: each of 15 gains at 20 layers is, with its interval, 0.94 to 1.06 times what is predicted"))
    return (*told, usual, law)


claim = Claim(
    letter="c",
    title=both(N_("The study note's sentences about batch normalization, and the law of the gains.")),
    source="the study note; the law of the gains: `normlab compare`, gain.predicted",
    setting=both(
        N_(
            "the note's five layers of 64 sigmoid units, weights of standard deviation 1: as it runs them, and trained "
            "on the digits at the best of three learning rates; then the textbook's 100 units; for the law sigmoid, "
            "tanh and ReLU under none, batch, layer, RMS and whole-layer norm"
        )
    ),
    conditions=_conditions(),
    measure=measure,
    seeds=8,
    seconds=60,
)
