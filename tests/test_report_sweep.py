"""The page, the fragment and the figures of a sweep: functions of its document, with statistics that others confirm."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sweep_documents as made_up
from browser import Page
from normlab.errors import UnknownNameError
from normlab.language import LANGUAGES
from normlab.report import figures, fragment, render
from normlab.report.sweep_points import axes_of, metric_of
from normlab.report.sweep_tables import specification
from normlab.report.sweep_verdicts import compared, headline, sentences
from normlab.sweep import Sweep
from normlab.sweep.spec import Spec
from sweeping import spec, swept
from test_report import HOSTILE, Reader

Document = dict[str, Any]
every = pytest.mark.parametrize("made", made_up.INVENTED, ids=lambda made: made.__name__)
in_both = pytest.mark.parametrize("lang", LANGUAGES)


def body(page: str) -> str:
    """The page without what it embeds as JSON."""
    return re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)


@pytest.mark.usefixtures("folder")
def test_the_invented_documents_have_the_keys_of_a_real_one() -> None:
    real, invented = swept(spec(4), "a.db").to_dict(), made_up.told_apart()
    assert list(real) == list(invented)
    for part in ("settings", "counts", "columns", "versions", "machine"):
        assert set(real[part]) == set(invented[part]), part
    assert set(real["trials"][0]) == set(invented["trials"][0])
    assert "loss" in body(Sweep(real).to_html("en"))


@every
@in_both
def test_every_kind_of_sweep_can_be_shown(made: Callable[[], Document], lang: str) -> None:
    run = made()
    before = copy.deepcopy(run)
    page = body(render([run], lang=lang))
    assert run == before and f'<html lang="{lang}"' in page and "None" not in page and "nan" not in page
    assert ("<svg" in fragment(run, lang)) == bool(run["counts"]["done"]) == ('id="c1-s-plot"' in page)
    assert ('id="c1-s-failed"' in page) == bool(run["counts"]["failed"])
    for drawing in figures(run, lang).values():
        ElementTree.fromstring(drawing)
        assert "nan" not in drawing and "inf" not in drawing


def test_the_parts_stand_in_the_order_in_which_they_are_read() -> None:
    page = render([made_up.unfinished()])
    places = [page.index(f'id="c1-s-{part}"') for part in ("plot", "pairs", "means", "failed", "specification", "reproduce")]
    assert places == sorted(places)


def test_differences_and_p_are_scipys_paired_t_corrected_for_the_whole_page() -> None:
    """Two depths times three rates times three pairs of arms: Bonferroni over 18."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy comes with scikit-learn, an extra")
    run = made_up.told_apart()
    found = compared(run, "test_accuracy")
    assert len(found) == 6 and {len(one.found.contrasts) for one in found} == {3}

    def of(label: str, setting: Any) -> list[float]:
        wanted: Document = {"methods": label, **setting}
        return [t["metrics"]["test_accuracy"] for t in run["trials"] if wanted.items() <= t["parameters"].items()]

    for one in found:
        for pair in one.found.contrasts:
            theirs = stats.ttest_rel(of(pair.label, one.setting), of(pair.against, one.setting))
            ends = theirs.confidence_interval(1 - 0.05 / 18)
            assert pair.difference == pytest.approx(sum(ends) / 2, rel=1e-9)
            assert (pair.low, pair.high) == pytest.approx((ends.low, ends.high), rel=1e-6)  # our quantile is found by halving


def test_raising_the_level_keeps_a_page_of_equal_arms_quiet() -> None:
    """Where 95 % in each of 40 combinations by itself would call a difference that is chance, all of them together do not."""
    import random

    source = random.Random(5)
    grid: dict[str, list[Any]] = {"methods": ["none", "bn"], "lr": [k / 100 for k in range(1, 41)], "seed": list(range(5))}
    run = made_up.swept(grid, lambda **_: source.gauss(0.5, 0.05))
    assert not any(one.found.ranked for one in compared(run, "test_accuracy"))
    alone = 0
    for rate in grid["lr"]:
        part = {**run, "trials": [t for t in run["trials"] if t["parameters"]["lr"] == rate]}
        alone += compared(part, "test_accuracy")[0].found.ranked
    assert alone > 0


def test_arms_are_compared_over_the_seeds_that_all_of_them_have() -> None:
    run = made_up.unfinished()
    (one,) = compared(run, "test_accuracy")
    assert one.found.n == 2 and {pair.failed for pair in one.found.contrasts} == {(0, 0), (1, 0)}
    page = render([run])
    assert "8 of 15" not in page and "3 of 15 trials wait" in page and "1 of 15 trials failed" in page
    assert "not finished" not in render([made_up.told_apart()])


def test_an_arm_of_which_everything_failed_is_in_no_comparison_but_among_the_failures() -> None:
    run = made_up.swept({"methods": made_up.ARMS, "seed": [0, 1, 2, 3]},
                        lambda methods, seed: "failed:UsageError: no" if methods == "bn" else made_up.BASE[methods] + made_up.scatter(seed))  # fmt: skip
    (one,) = compared(run, "test_accuracy")
    assert one.found.order == ("gn:groups=4", "none") and one.found.ranked
    failed = render([run]).split('id="c1-s-failed"')[1].split("</section>")[0]
    assert failed.count("UsageError: no") == 1 and "<td>5-8<td>" in failed


def test_more_accuracy_is_better_less_loss_is_and_of_steps_nothing_is() -> None:
    run = made_up.arms_alone()
    assert headline(run)["en"].startswith("Test accuracy, best first: bn > gn:groups=4 > none")
    assert headline({**run, "metric": "test_loss"})["en"].startswith("Test loss, best first: bn > gn:groups=4 > none")
    assert compared(run, "step") == [] and "between 60.0 and 60.0" in headline({**run, "metric": "step"})["en"]


def test_the_metric_is_the_one_asked_for_the_accuracy_or_the_first_number() -> None:
    run = made_up.arms_alone()
    assert metric_of(run) == "test_accuracy" and metric_of({**run, "metric": "test_loss"}) == "test_loss"
    assert metric_of(made_up.swept({"lr": [0.1, 1.0]}, lambda lr: lr / 2, "score")) == "score"
    assert metric_of(made_up.nothing_done()) == "test_accuracy"
    with pytest.raises(UnknownNameError, match=r"unknown metric 'test_acuracy'. Did you mean test_accuracy"):
        metric_of({**run, "metric": "test_acuracy"})
    with pytest.raises(UnknownNameError, match="unknown metric 'stopped'"):
        render([{**run, "metric": "stopped"}])


def test_without_arms_the_best_mean_is_named_and_its_luck() -> None:
    run = made_up.no_arms()
    assert headline(run)["en"] == (
        "Test accuracy: the best mean of 8 combinations is 80.0 %, of optimizer = sgd, activation = tanh, bias = true."
    )
    said = [text["en"] for _, text in sentences(run)]
    assert any("luck" in one for one in said) and any("under one seed" in one for one in said)
    assert any("luck" in text["en"] for _, text in sentences(made_up.swept({"lr": [1, 2], "seed": [0, 1]}, lambda lr, seed: lr / 3 + seed / 9)))


@pytest.mark.parametrize(
    ("made", "drawn"),
    [
        (made_up.told_apart, ("methods", "lr", ("layers",), True)), (made_up.arms_alone, ("methods", None, (), True)),
        (made_up.no_arms, ("optimizer", None, ("activation", "bias"), False)),
    ],
)  # fmt: skip
def test_lines_are_arms_and_run_along_the_longest_list_of_numbers(made: Callable[[], Document], drawn: tuple[Any, ...]) -> None:
    axes = axes_of(made())
    assert (axes.lines, axes.across, axes.rest, axes.seeds) == drawn


def circles(drawing: str, radius: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<circle cx="([-\d.]+)" cy="([-\d.]+)" r="{radius}"', drawing)
    return [(float(x), float(y)) for x, y in found]


def test_a_mean_stands_at_the_height_that_the_axis_says() -> None:
    """Means 0.25 and 0.75 on an axis with ticks at 25 and 75 per cent; seeds a tenth above and below."""
    grid: dict[str, list[Any]] = {"methods": ["none", "bn"], "lr": [0.1, 0.2], "seed": [0, 1, 2]}
    run = made_up.swept(grid, lambda methods, lr, seed: (0.25 if methods == "none" else 0.75) + (seed - 1) / 100)
    run["trials"][0]["metrics"]["test_accuracy"] = 0.0  # the axis begins at 0 ...
    run["trials"][-1]["metrics"]["test_accuracy"] = 1.0  # ... and ends at 1
    (drawing,) = figures(run, "en").values()
    ticks = {words: float(y) - 3 for y, words in re.findall(r'y="([\d.]+)"[^>]*>(\d+ %)<', drawing)}
    means = circles(drawing, "3")
    assert len(means) == 4 and len(circles(drawing, "1.5")) == 12
    assert sorted(y for _, y in means)[1] == pytest.approx(ticks["75 %"], abs=0.6)
    assert sorted(y for _, y in means)[2] == pytest.approx(ticks["25 %"], abs=0.6)


def test_a_run_without_a_number_is_a_cross_and_has_no_mean() -> None:
    drawing = figures(made_up.diverging(), "en")["test-accuracy-1"]
    assert drawing.count("l8 8m0-8l-8 8") == 2 and len(circles(drawing, "3")) == 4
    assert figures(made_up.told_apart(), "en")["test-accuracy-1"].count("l8 8m0-8l-8 8") == 0
    assert "diverged 5" in render([made_up.diverging()])


def test_an_arm_that_diverges_is_never_dropped_but_the_worst() -> None:
    """Five seeds against none: the least p of ranks, 2/252 for each, times 3 pairs and 2 combinations, is below 5 %."""
    calm, wild = compared(made_up.diverging(), "test_accuracy")
    assert {pair.method for pair in calm.found.contrasts} == {"student"}
    assert {pair.method for pair in wild.found.contrasts} == {"ranks"} and wild.found.order[-1] == "none"
    by_pair = {(pair.label, pair.against): pair for pair in wild.found.contrasts}
    assert by_pair["bn", "none"].verdict == "better" and by_pair["bn", "none"].p == pytest.approx(3 * 2 / 252)


@pytest.mark.parametrize("text", [HOSTILE, "\u2028\u2029 & < > \" ' \x7f \\", "a" * 300])
def test_a_text_stays_text_everywhere(text: str) -> None:
    run = made_up.swept({"methods": ["none", text], "net": ["dense", text], "seed": [0, 1, 2]},
                        lambda methods, net, seed: f"failed:{text}" if seed == 2 and methods == text else 0.5 + seed / 9)  # fmt: skip
    run |= {"command": text, "versions": {text: text}}
    run["settings"] |= {"name": text, "fixed": {text: text}}
    page, plain = Reader(render([run])), Reader(render([made_up.unfinished()]))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in page.tags) == sum(tag == "script" for tag, _ in plain.tags)
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert "<img" not in fragment(run, "en")
    for drawing in figures(run, "en").values():
        ElementTree.fromstring(drawing)


scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**62), 2**62), st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(names, st.dictionaries(names, st.lists(scalars, min_size=1, max_size=3), min_size=1, max_size=3), st.dictionaries(names, scalars, max_size=3))
def test_the_specification_reads_back_as_it_was(name: str, grid: dict[str, Any], fixed: dict[str, Any]) -> None:
    settings = {"name": name, "grid": grid, "fixed": fixed}
    assert json.dumps(tomllib.loads(specification(settings)) | ({} if fixed else {"fixed": {}})) == json.dumps(settings)


def test_the_specification_of_a_page_begins_the_same_sweep() -> None:
    settings = made_up.told_apart()["settings"]
    assert Spec.of(tomllib.loads(specification(settings))).to_dict() == settings


def test_the_document_can_be_read_back_and_what_is_not_finite_is_null() -> None:
    run = made_up.arms_alone()
    data = next(one for one in Reader(render([run])).scripts if one.startswith("{"))
    assert json.loads(data) == run
    run["trials"][0]["metrics"]["test_accuracy"] = float("inf")
    data = next(one for one in Reader(render([run])).scripts if one.startswith("{"))
    assert json.loads(data)["trials"][0]["metrics"]["test_accuracy"] is None and "Infinity" not in data


def test_a_hundred_trials_are_a_page_of_less_than_300_kb_and_a_thousand_one_of_less_than_1200() -> None:
    """As `train` has them: seventeen parameters and eleven metrics a trial."""
    for made, most in ((made_up.told_apart, 300_000), (made_up.crowded, 1_200_000)):
        run = made()
        for one in run["trials"]:
            one["parameters"] |= {f"parameter_{k}": 0.1 for k in range(13)}
            one["metrics"] |= {f"own_statistics_metric_{k}": 2.303340793121835 + k + one["trial"] for k in range(7)}
        run["columns"]["metrics"] = list(run["trials"][0]["metrics"])
        run["trials"] = run["trials"][: 100 if most == 300_000 else None]
        assert len(render([run]).encode()) < most


def test_sweeps_share_a_file_with_other_chapters() -> None:
    page = render([made_up.told_apart(), made_up.unfinished()])
    ids = [a["id"] for _, a in Reader(page).tags if a.get("id")]
    assert len(ids) == len(set(ids))


@in_both
def test_a_browser_shows_it_without_script_and_a_phone_without_sideways_scrolling(tmp_path: Path, lang: str) -> None:
    run, path = made_up.unfinished(), tmp_path / "sweep.html"
    path.write_text(render([run], lang=lang), encoding="utf-8")
    with Page() as page:
        page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        page.open(path)
        content, window = page.wide()
        shown = page.visible_text()
        assert content <= window and headline(run)[lang] in shown
        assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []
        page.click(f"label[for=lang-{'ko' if lang == 'en' else 'en'}]")
        assert headline(run)[lang] not in page.visible_text()
