"""What stands on a comparison: the variations of its settings, and the note's picture with matplotlib."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

import pytest

import normlab as nl
from normlab.experiments import plotting
from normlab.experiments.limits import limits


def test_the_limits_are_measured_and_their_commands_repeat_them() -> None:
    document = nl.compare("none bn ln in", batch=300, layers=3).to_dict()
    found = limits(document)
    assert 1 <= len(found) <= 4
    for entry in found:
        assert set(entry["change"]) == {"en", "ko"} and entry["change"]["en"] != entry["change"]["ko"]
        assert [arm["label"] for arm in entry["arms"]] == ["none", "bn", "ln"]
        assert set(entry["arms"][0]) == {"label", "first_over_last", "gain", "signal_share", "saturated"}
        assert shlex.split(entry["command"])[:2] == ["normlab", "compare"]
    tanh = next(entry for entry in found if "tanh" in entry["command"])
    again = nl.compare("none bn ln", batch=256, layers=3, activation="tanh", cotangents=2).to_dict()
    assert [arm["first_over_last"] for arm in tanh["arms"]] == [arm["first_over_last"] for arm in again["arms"]]


@pytest.mark.parametrize(
    "settings", [{"preset": "note-5"}, {"net": "conv", "batch": 20, "layers": 2}, {"seeds": 2, "layers": 2}]
)
def test_the_limits_of_any_comparison_can_be_measured(settings: dict[str, Any]) -> None:
    assert limits(nl.compare(["none", "bn"], **settings).to_dict())


def test_what_could_not_act_has_no_limits() -> None:
    assert limits(nl.compare("film", layers=2, batch=20).to_dict()) == []


@pytest.mark.parametrize(("settings", "shape"), [({"preset": "note-1"}, (1, 2)), ({"preset": "note-5"}, (5, 2))])
def test_the_plot_is_the_note_s_picture_on_one_axis(settings: dict[str, Any], shape: tuple[int, int]) -> None:
    pytest.importorskip("matplotlib")
    figure = nl.compare(**settings).plot("en")
    panels = figure.axes
    assert len(panels) == shape[0] * shape[1]
    assert {panel.get_xlim() for panel in panels} == {(0.0, 1.0)}
    assert all(len(panel.patches) == 30 for panel in panels)
    assert [panel.get_title() for panel in panels[:2]] == ["none", "bn"]


def test_the_plot_has_a_column_for_every_arm_that_acted() -> None:
    pytest.importorskip("matplotlib")
    assert len(nl.compare("none bn in ln", layers=2, batch=30).plot("en").axes) == 6


def test_korean_labels_use_a_font_that_holds_hangul_and_warn_nobody() -> None:
    pytest.importorskip("matplotlib")
    if plotting.hangul_font() is None:
        pytest.skip("no font with Hangul here; Debian's fonts-nanum brings one")
    figure = nl.compare("none bn", layers=2, batch=30).plot("ko")
    figure.canvas.draw()  # a missing glyph warns, and warnings are errors
    assert figure.axes[-1].get_xlabel() != "activation"


def test_without_hangul_the_labels_are_english_and_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plotting, "hangul_font", lambda: None)
    plotting._warn_once.cache_clear()
    result = nl.compare("none bn", layers=2, batch=30)
    assert result.plot("ko").axes[-1].get_xlabel() == result.plot("ko").axes[-1].get_xlabel() == "activation"
    message = capsys.readouterr().err
    assert message.count("fonts-nanum") == 1


def test_without_matplotlib_the_error_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"\[plot\]"):
        nl.compare("none", layers=2, batch=30).plot()


def test_a_document_without_arms_has_no_picture() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(nl.NormlabError, match="nothing to draw"):
        nl.compare("film", layers=2, batch=30).plot()


def test_comparing_imports_no_matplotlib_and_no_scikit_learn() -> None:
    code = (
        "import sys, normlab as nl; nl.compare('none bn', layers=2, batch=30); "
        "print(sorted({'matplotlib', 'sklearn', 'scipy', 'torch', 'autograd'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['autograd']")
