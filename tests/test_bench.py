"""The benchmark: how samples become figures, what is void, what is said, and one small real run."""

from __future__ import annotations

import json
import math
import re
import shlex
import time
from typing import Any

import numpy as np
import pytest

import normlab as nl
from commanding import Caller
from normlab.benchmark import share, suite, timing, worker
from normlab.benchmark.answers import answers, summary
from normlab.benchmark.contestants import CONTESTANTS, Material, ready
from normlab.benchmark.contestants.material import truth
from normlab.benchmark.judging import error_of, geometric, is_another_function, row
from normlab.benchmark.share import CALLS, inside_kernels
from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.report import fragment, render, text


def samples(middle: float, count: int = 60, seed: int = 0) -> list[float]:
    """Times that are at least `middle`, with the long tail of a busy machine."""
    return list(middle * (1.0 + np.random.default_rng(seed).exponential(0.02, count)))


def together(times: dict[str, float], case: suite.Case, **more: Any) -> dict[str, Any]:
    """What the timing process says of a case in which every contestant takes so many seconds."""
    reference = next((n for n in times if CONTESTANTS[n].ours), None)
    found = {n: samples(t, seed=k) for k, (n, t) in enumerate(times.items())}
    if reference:
        found["again"] = samples(times[reference], seed=99)
    found["clone"] = samples(1e-5, seed=98)
    return {
        "case": case.to_dict(), "samples": found, "refused": {}, "errors": {}, "against_itself": reference, **more,
    }  # fmt: skip


CASE = suite.Case("layer_norm", "... c", (197, 768))
TIMES = {"normlab torch": 1e-4, "torch": 3e-4, "mlx": 5e-4, "numpy": 4e-3}


def document(times: dict[str, float] = TIMES, alone: dict[str, float] | None = None) -> dict[str, Any]:
    rows = [
        row(together(times, suite.Case(m, order, s, both=b)), alone or times, 1)
        for m, order, s in (("layer_norm", "... c", (197, 768)), ("batch_norm", "n c ...", (8, 64, 28, 28)))
        for b in (False, True)
    ]
    return {
        "schema": "normlab.bench/1", "command": "normlab bench", "versions": {"numpy": "2"},
        "machine": {"processor": "a processor", "cpus": 2}, "wall_s": 1.0, "rows": rows, "summary": summary(rows),
        "settings": {"contestants": list(times), "dtype": "float32", "threads": 1, "seconds": 0.1, "tiers": list(suite.TIERS)},
        "absent": [{"name": "jax", "package": "jax", "extra": "jax"}], "verdicts": answers(rows, 1),
    }  # fmt: skip


def test_the_interval_holds_the_true_ratio_and_narrows_with_more_samples() -> None:
    few = timing.interval(np.array(samples(3.0, 20, 1)), np.array(samples(1.0, 20, 2)))
    many = timing.interval(np.array(samples(3.0, 2000, 1)), np.array(samples(1.0, 2000, 2)))
    for below, middle, above in (few, many):
        assert below <= middle <= above
        assert below <= 3.0 * 1.005 and above >= 3.0 / 1.005
    assert many[2] - many[0] < few[2] - few[0]


def test_a_contestant_against_itself_gives_the_width_that_says_nothing() -> None:
    same = np.array(samples(1.0, 60, 1))
    assert 0 < timing.widest(same, np.array(samples(1.0, 60, 2))) < 0.05


def test_turns_rotate_and_every_run_is_called() -> None:
    calls: list[str] = []
    found = timing.rotate({name: lambda name=name: calls.append(name) for name in "abc"}, 0.001)
    assert len({len(one) for one in found.values()}) == 1 and len(found["a"]) >= 3
    one_for_many = re.sub(r"(.)\1+", r"\1", "".join(calls))  # a turn is one contestant, many times over
    assert one_for_many.startswith("abc" + "abc" + "bca" + "cab")  # the first three get warm


def test_a_contestant_slowed_down_by_the_others_makes_its_comparison_void() -> None:
    calm = row(together(TIMES, CASE), TIMES, 1)
    assert not any(entry["void"] for entry in calm["contestants"].values())
    disturbed = row(together(TIMES, CASE), {**TIMES, "torch": TIMES["torch"] / 1.5}, 1)
    assert [n for n, e in disturbed["contestants"].items() if e["void"]] == ["torch"]
    ours = row(together(TIMES, CASE), {**TIMES, "normlab torch": TIMES["normlab torch"] / 1.5}, 1)
    assert all(entry["void"] for entry in ours["contestants"].values())


def test_void_comparisons_are_left_out_of_the_means_and_counted() -> None:
    rows = document(alone={**TIMES, "torch": 1e-4})["rows"]
    assert not [s for s in summary(rows) if s["peer"] == "torch"]
    rows = [*document()["rows"], *rows]
    lines = {s["both"]: s for s in summary(rows) if s["peer"] == "torch" and s["method"] == "layer_norm"}
    assert lines[False]["cases"] == 1 and lines[False]["void"] == 1
    assert lines[False]["ratio"] == pytest.approx(3.0, rel=0.02)
    assert lines[False]["ceiling"] == pytest.approx(30.0, rel=0.02)


@pytest.mark.parametrize(
    ("mlx", "says"), [(5e-4, "yes: 7.9"), (4.02e-3, "equally fast"), (8e-2, "no: NumPy is ")]
)  # fmt: skip
def test_the_notes_question_is_answered_either_way(mlx: float, says: str) -> None:
    first = document({**TIMES, "mlx": mlx})["verdicts"][0]
    assert says in first["en"]
    assert "MLX" in first["ko"] and first["ko"] != first["en"]


def test_without_mlx_nothing_is_said_of_it() -> None:
    found = document({n: t for n, t in TIMES.items() if n != "mlx"})
    assert not any("MLX" in v["en"] for v in found["verdicts"])


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_fits_eighty_cells_and_names_who_was_absent(lang: str) -> None:
    from normlab.report.cells import cell_len

    shown = text(document(), lang)
    assert max(map(cell_len, shown.splitlines())) <= 80
    assert "[jax]" in shown and "a processor" in shown


def test_page_and_fragment_hold_every_case_and_the_document() -> None:
    found = document()
    page = render([found], lang="ko")
    kept = re.search(r'<script type="application/json" id="c1-json">(.*?)</script>', page, re.S)
    assert kept is not None and json.loads(kept[1]) == found
    assert "197x768" in page and "8x64x28x28" in page and found["verdicts"][0]["ko"] in page
    piece = fragment(found, "en")
    assert "<script" not in piece and "<svg" in piece and found["verdicts"][0]["en"] in piece


def test_a_comparison_and_a_benchmark_make_one_report() -> None:
    page = render([nl.compare(["none"], layers=2, width=8, batch=8).to_dict(), document()])
    assert 'id="c1-json"' in page and 'id="c2-json"' in page


def test_tiers_follow_the_sizes_of_the_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "caches", lambda: {"L1": 1024, "L2": 4096, "L3": 65536})
    assert [suite.tier_of((n,), "float32") for n in (128, 129, 512, 513, 8193)] == ["L1", "L2", "L2", "L3", "memory"]
    assert suite.tier_of((128,), "float64") == "L2"


def test_every_method_that_stands_alone_has_cases_whose_shapes_fit() -> None:
    found = {c.method for c in suite.cases()}
    assert found == {d.name for d in map(nl.method, nl.list_methods()) if d.role not in ("input", "condition")}
    for case in suite.cases():
        assert case.channels > 0
        assert suite.floor_units(case) >= (5 if case.both else 2)


def test_the_fewest_bytes_count_a_second_reading_of_what_does_not_stay_in_the_cache() -> None:
    stays = suite.Case("batch_norm", "n c ...", (2, 16, 8, 8))
    far = suite.Case("batch_norm", "n c ...", (4096, 16, 64, 64))
    assert (suite.floor_units(stays), suite.floor_units(far)) == (2, 3)


def test_errors_are_counted_in_units_of_the_dtype() -> None:
    case = suite.Case("layer_norm", "... c", (16, 128), both=True)
    right = truth(case, Material.of(case))
    off = right._replace(y=right.y + 2.0**-23 * np.abs(right.y).max())
    found = error_of(off, right, "float32")
    assert found["y"] == pytest.approx(1.0, rel=1e-6) and found["dx"] == 0.0
    assert error_of(off._replace(y=right.y * math.nan), right, "float32")["y"] is None


def test_what_is_off_by_half_of_the_largest_value_is_another_function() -> None:
    for dtype in ("float32", "bfloat16"):
        case = suite.Case("layer_norm", "... c", (16, 128), dtype)
        right = truth(case, Material.of(case))
        doubled, rounded = right._replace(y=right.y * 2), right._replace(y=right.y * (1 + 2.0**-6))
        assert is_another_function(error_of(doubled, right, dtype), dtype)
        assert not is_another_function(error_of(rounded, right, dtype), dtype)
    assert not is_another_function(None, "float32")


@pytest.mark.parametrize("method", [m for m in nl.list_methods() if any(k.name.startswith("onnx.") for k in nl.method(m).known_as)])
def test_onnxruntime_takes_part_where_onnx_has_the_operator(method: str) -> None:
    """Its output is the formula's in float64, or it is not timed: one of its operators pools one axis only."""
    (case,) = (c for c in suite.cases([method], passes=["forward"], tiers=["L1"], shapes=1) if c.layout == c.definition.layout)
    outcome = ready("onnxruntime", case).outcome()
    error = error_of(outcome, truth(case, Material.of(case)), "float32")
    (known,) = (k for k in case.definition.known_as if k.name.startswith("onnx."))
    if "one axis" in known.differs:
        assert is_another_function(error, "float32")
        assert "something else" in worker.time_case(case, ["onnxruntime"], 0.001)["refused"]["onnxruntime"]
    else:
        assert error["y"] is not None and error["y"] < 32  # a few sums of float32; a wrong option is off by millions


def test_the_share_of_kernels_is_counted_where_there_are_kernels() -> None:
    """A call that sleeps beside its kernel shows how much passed inside; the kernels' entry is itself again after."""
    from normlab import kernels
    from normlab.kernels import pool

    entry, layer, x = pool.spread, nl.numpy.LayerNorm(512), np.ones((256, 512), np.float32)
    began = time.perf_counter()
    inside = inside_kernels(lambda: (layer(x), time.sleep(0.02)))
    whole = (time.perf_counter() - began) / CALLS
    assert pool.spread is entry
    if not kernels.available():
        pytest.skip("no kernels without numba")
    assert inside is not None and 0 < inside < whole - 0.02
    assert inside_kernels(lambda: None) is None
    with share._watched() as spent:
        layer(x)
        layer.backward(x)
    assert len(spent) >= 2, "a kernel of the way back was not counted"
    with kernels.off():
        assert inside_kernels(lambda: layer(x)) is None


def test_the_verdict_says_who_is_faster_by_a_factor_above_one() -> None:
    """Whichever it is, on whichever framework, in both languages; the table and the page name only what was timed."""
    for theirs, en, ko in ((2e-4, "normlab on PyTorch is 2.0", "PyTorch 위의 normlab은"), (5e-5, "PyTorch itself is 2.0", "PyTorch 자체가"),
                           (1.01e-4, "equally fast", "똑같이")):  # fmt: skip
        found = document({"normlab torch": 1e-4, "torch": theirs})
        (said,) = found["verdicts"]
        assert en in said["en"] and ko in said["ko"] and " 0." not in said["en"]
    (said,) = document({"normlab numpy": 3e-4, "numpy": 1e-4})["verdicts"]
    assert said["en"].startswith("NumPy itself is 3.0")
    for shown in (text(found, "en"), render([found], lang="en")):
        assert "cache: L3)" in " ".join(shown.split())  # both of the document's shapes lie there


def test_the_geometric_mean_of_nothing_is_none() -> None:
    assert geometric([]) is None
    assert geometric([2.0, 8.0]) == pytest.approx(4.0)


def small(**more: Any) -> Any:
    arguments = {"contestants": ["normlab numpy", "numpy"], "tiers": ["L1"], "seconds": 0.001, **more}
    return nl.bench(["ln", "bn"], **arguments)


def test_a_real_run_times_both_passes_and_its_command_does_the_same(call: Caller) -> None:
    done: list[tuple[int, int]] = []
    found = small(on_case=lambda k, n, name: done.append((k, n))).to_dict()
    assert {(r["method"], r["both"]) for r in found["rows"]} == {(m, b) for m in ("layer_norm", "batch_norm") for b in (False, True)}
    for r in found["rows"]:
        assert set(r["contestants"]) == {"normlab numpy", "numpy"}
        for entry in r["contestants"].values():
            assert entry["us"] > 0 and entry["alone_us"] > 0
            assert entry["error_units"]["y"] < 50  # float32 beside float64: a wrong formula is off by millions
    assert done[-1][0] == done[-1][1] == len(done)
    again = call(*shlex.split(found["command"])[1:], "--json")
    assert again.code == 0
    assert json.loads(again.out)["settings"] == found["settings"]


def test_unknown_words_list_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean numpy"):
        small(contestants=["nunpy"])
    with pytest.raises(UnknownNameError, match="unknown tier 'L7'"):
        small(tiers=["L7"])
    with pytest.raises(UnknownNameError, match="unknown pass 'back'"):
        small(passes=["back"])
    with pytest.raises(UsageError, match="threads must be at least 1, got 0"):
        small(threads=0)
    with pytest.raises(UsageError, match="its role is condition"):
        nl.bench(["film"])


def test_a_contestant_that_is_not_installed_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from normlab.benchmark import race

    monkeypatch.setattr(race, "present", lambda: ["normlab numpy", "numpy"])
    with pytest.raises(MissingExtraError, match=r"\[mlx\]"):
        small(contestants=["mlx"])
