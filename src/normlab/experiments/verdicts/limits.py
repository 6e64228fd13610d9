"""From which number on a sentence is said: every threshold of the verdicts, with its reason."""

from __future__ import annotations

VANISHED = 1 / 10
"""First over last below this: the first layer learns ten times slower, more than one learning rate can make
up for. (In the study note's own network nothing vanishes at 0.32; the usual five sigmoid layers go down to
0.005.)"""
EXPLODED = 1 / VANISHED
"""The same distance on the other side of 1."""
EVEN = 3.0
"""Within this factor of 1 the layers learn at speeds that a learning curve would not tell apart."""
APART = 3.0
"""Two arms differ in kind from here on; over weight seeds one arm's ratio moves by a third at most."""
ALIKE = 1.15
"""Two arms whose ratios are closer than this are a draw for one seed: so much one arm moves over weight seeds."""
SIGNAL_LOST = 0.01
"""Less than this part of the variance differs from input to input: far less than a histogram's bin could show."""
SIGNAL_SOUND = 0.1
"""An arm is called healthy only where at least this part of the variance is signal."""
SIGNAL_KEPT = 0.5
"""From here on, most of what the histogram shows is signal."""
SATURATED = 0.5
"""Most units are saturated, among those that need not be (see RESTING)."""
RESTING = {"relu": 0.5, "gelu": 0.35, "tanh": 0.14, "selu": 0.05}
"""The saturated share when a standard normal value enters the activation function; 0.003 for the sigmoid, else 0."""
NARROW = 1 / 20
"""Standard deviation over the histogram's axis: below it four of them fill less than a fifth of the axis."""
ROUNDING = {"float32": 1e-4}
"""Relative difference that is rounding: of float32's seven digits a deep network loses three."""
ROUNDING_ELSE = 1e-9
SAME_FORWARD = 1e-3
"""Relative difference of moments that another eps makes in an otherwise equal formula, layer after layer."""
SAME_MOMENTS = 0.05
"""Means (in standard deviations) and variances this close look alike in two histograms side by side."""
OTHER_FATE = 5.0
"""The factor between two first over last from which equal moments are called deceptive."""
LAW_HOLDS = 0.06
"""Measured and predicted gain differ by less than this, at 20 layers and one seed, wherever the law applies."""
MOST_SENTENCES = 8
"""More than this nobody reads; the sentences come in order of importance."""
MOST_LETTERS = 160
"""Two lines of a terminal; lists of arms are cut to fit."""
LONGEST_LABEL = 28
"""A user's own line of notation is cut here, or no sentence could hold it."""
