"""Who shares a mean?, without a browser: every board's sets are nl.shares', its arithmetic is NumPy's, its refusals say why."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import numpy as np
import pytest

import normlab as nl
from commanding import SMALL, Caller
from lab_boards import CASES, METHODS, as_array, boards_in, same_sets, sizes_of, wanted
from lab_server import Client
from normlab import registry
from normlab.board import KINDS, MOST_ELEMENTS, Setting, board
from normlab.errors import NormlabError
from normlab.lab.application import application
from normlab.lab.fields import defaults
from normlab.lab.view import Asked
from normlab.lab.views.share import VIEW
from normlab.report import render

SIZES = {"n": 3, "c": 4, "h": 2, "w": 2}  # every axis another size but one pair, so that exchanged axes show
every_case = pytest.mark.parametrize(("method", "kind"), CASES, ids=[f"{m}-{k}" for m, k in CASES])
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(application())


def state(**changed: Any) -> dict[str, Any]:
    return {**defaults(VIEW.fields), **SIZES, **changed}


def shown(**changed: Any) -> str:
    return str(VIEW.show(Asked(state(**changed))).html)


def is_weight(method: str) -> bool:
    return registry.method(method).role == "weight"


# --- the sets ------------------------------------------------------------------------------------------------------


@every_case
def test_the_sets_are_those_of_shares(method: str, kind: str) -> None:
    shape = sizes_of(kind, **SIZES, weight=is_weight(method))
    drawn, expected = boards_in(shown(method=method, kind=kind)), wanted(method, kind, shape)
    if not expected:  # a window's sums, one for each element; one number for a whole weight; or nothing is pooled
        assert all(len(np.unique(as_array(one["cells"]))) in (1, np.prod(shape)) for one in drawn)
        return
    assert len(drawn) == len(expected)
    for one, counted in zip(drawn, expected, strict=True):
        numbers = as_array(one["cells"])
        assert same_sets(numbers, counted)
        sizes = {"g": 2} if "(g" in one["line"] else {}
        np.testing.assert_array_equal(numbers, nl.shares(one["line"], shape, **sizes))


def test_exchanged_groups_would_be_seen() -> None:
    drawn = as_array(boards_in(shown(method="group_norm"))[0]["cells"])
    assert not same_sets(drawn, nl.shares("n ([c] g) [...]", (3, 4, 2, 2), g=2))


@pytest.mark.parametrize(
    ("line", "kind", "same"),
    [
        ("n (g [c]) [...]", "images", ("n (g [c]) [...]", {"g": 2})),
        ("n (g [c]) [...]", "tokens", ("n [...] (g [c])", {"g": 2})),
        ("n (g [c]) [...]:g=4", "dense", ("n (g [c]) [...]", {"g": 4})),
        ("(k [n]) c [...]:k=3", "images", ("(k [n]) c [...]", {"k": 3})),
        ("[a] b [d e]", "images", ("[a] b [d e]", {})),
        ("n c [...]", "dense", ("n c [...]", {})),
        ("[...]", "tokens", ("[...]", {})),
    ],
)
def test_a_users_own_line_is_drawn(line: str, kind: str, same: tuple[str, dict[str, int]]) -> None:
    drawn = as_array(boards_in(shown(method="line", line=line, kind=kind))[0]["cells"])
    np.testing.assert_array_equal(drawn, nl.shares(same[0], drawn.shape, **same[1]))


def test_layer_normalization_is_two_partitions_on_images_and_one_on_dense_data() -> None:
    assert [len(boards_in(shown(method="layer_norm", kind=kind))) for kind in KINDS] == [2, 2, 1]
    assert "compare the boards" in shown(method="layer_norm")


# --- the arithmetic ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [m for m in METHODS if registry.method(m).pools is not None])
def test_every_sets_statistics_are_numpys(method: str, kind: str) -> None:
    document = board(Setting(method, kind=kind, **SIZES))
    x = np.array(document["values"])
    for one in document["boards"]:
        numbers = np.array(one["numbers"])
        for k, found in enumerate(one["sets"]):
            members = x[numbers == k]
            square = members.var() if one["centre"] else (members**2).sum() if one["spread"] == "l2" else (members**2).mean()
            assert found["square"] == pytest.approx(square, rel=1e-12, abs=1e-15)
            assert found["mean"] == pytest.approx(members.mean() if one["centre"] else 0.0, rel=1e-12)


@every_case
def test_what_comes_out_is_what_the_function_gives(method: str, kind: str) -> None:
    definition = registry.method(method)
    document = board(Setting(method, kind=kind, **SIZES))
    x = np.array(document["values"]).reshape(document["shape"])
    found = [one for one in document["boards"] if one["normalized"] is not None]
    if not found:
        return
    for one in found:
        option = dict([one["option"].replace("'", "").split("=")] if one["option"] else [])
        options = {**option, **({"groups": 2} if one["sizes"] else {})}
        if definition.role == "weight":
            y = x / np.sqrt((x.reshape(len(x), -1) ** 2).sum(1)).reshape(-1, *[1] * (x.ndim - 1))
        else:
            y = getattr(nl.functional, method)(x, layout=document["layout"], **options)
        np.testing.assert_allclose(np.array(one["normalized"]).reshape(x.shape), y, rtol=1e-12, atol=1e-12)


@every_kind
@pytest.mark.parametrize("method", [m for m in METHODS if registry.method(m).has_running])
def test_evaluation_uses_the_past_where_a_layer_keeps_it(method: str, kind: str) -> None:
    definition = registry.method(method)
    document = board(Setting(method, kind=kind, training=False, **SIZES))
    one = document["boards"][0]
    if not definition.running or one["refused"]:
        assert not one["past"]
        return
    first, *rest = document["shape"]
    x, past = (np.random.default_rng(k).normal(1, 2, (first * many, *rest)).round(1) for k, many in ((0, 1), (1, 4)))
    layer = getattr(nl.numpy, definition.class_name)(4, layout=document["layout"], momentum=None)
    layer(past)
    np.testing.assert_allclose(np.array(one["normalized"]).reshape(x.shape), layer.eval()(x), rtol=1e-6, atol=1e-6)


def test_in_evaluation_one_sample_is_enough() -> None:
    alone = board(Setting("batch_norm", kind="dense", n=1, c=3, training=False))["boards"][0]
    assert alone["refused"] is None
    assert np.isfinite(alone["normalized"]).all()
    assert board(Setting("batch_norm", kind="dense", n=1, c=3))["boards"][0]["refused"]


def test_in_evaluation_the_board_is_grey_and_says_why() -> None:
    training, evaluation = (shown(method="batch_norm", mode=mode) for mode in ("training", "evaluation"))
    assert "#d9d9d9" in evaluation
    assert "#9cc9ee" not in evaluation
    assert "#9cc9ee" in training
    assert "come from the past" in evaluation
    assert "과거에서 왔다" in evaluation


def test_what_no_layer_keeps_stays_as_it_is_in_evaluation() -> None:
    assert boards_in(shown(method="layer_norm", mode="evaluation")) == boards_in(shown(method="layer_norm"))


def test_a_window_is_its_neighbours() -> None:
    document = board(Setting("local_response_norm", n=2, c=7, h=1, w=2))
    x = np.array(document["values"]).reshape(2, 7, 1, 2)
    windows = document["windows"]
    for index, (n, c, h, w) in enumerate(np.ndindex(x.shape)):
        seen = x[n, max(0, c - 2) : c + 3, h, w]  # size 5: two before, two after
        assert windows["sums"][index] == pytest.approx((seen**2).sum(), rel=1e-12)
        assert sorted(x.ravel()[windows["seen"][index]]) == sorted(seen)
    np.testing.assert_allclose(windows["normalized"], nl.functional.local_response_norm(x).ravel(), rtol=1e-12)


# --- the inventory -------------------------------------------------------------------------------------------------


def test_the_inventory_counts_and_says_what_is_needed() -> None:
    text = shown(method="batch_norm", n=4, c=8, h=2, w=2)
    for sentence in (
        "8 pairs (mean, variance), 16 elements each", "Needs two samples or more: no.", "axis=(0, 2, 3)",
        "In evaluation these numbers come from the past: running statistics.",
    ):  # fmt: skip
        assert sentence in text
    assert "Needs two samples or more: yes." in shown(method="batch_norm", kind="dense")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"method": "batch_norm"}, "One pair (mean, variance) for each channel, over all samples and all places."),
        ({"method": "batch_norm", "kind": "tokens"}, "for each channel, over all samples and all tokens."),
        ({"method": "rms_norm", "kind": "tokens"}, "One root mean square for each sample and token, over all channels."),
        ({"method": "group_norm", "kind": "dense"}, "for each sample and group of channels, over its channels."),
        ({"method": "whole_norm"}, "for everything, over all samples, all channels and all places."),
        ({"method": "weight_norm"}, "One length for each output, over all inputs and all places."),
        ({"method": "instance_norm", "kind": "dense"}, "Nothing is shared: every element stands alone."),
        ({"method": "line", "line": "(k [n]) c [...]:k=3"}, "for each slice of the batch and channel, over its samples"),
        ({"method": "line", "line": "[a] b [d e]"}, "4 pairs (mean, variance), 12 elements each."),
        ({"method": "film"}, "Nothing is pooled"),
        ({"method": "feature_wise"}, "choose dense data"),
    ],
)  # fmt: skip
def test_the_first_sentence_says_who_shares_a_statistic(changed: dict[str, Any], says: str) -> None:
    found = VIEW.show(Asked(state(**changed))).said
    assert found is not None
    assert says in found["en"]
    assert re.search("[가-힣]", found["ko"])


def test_a_set_of_one_is_drawn_and_said_to_be_refused() -> None:
    text = shown(method="instance_norm", kind="dense")
    assert "Layers refuse this" in text
    with pytest.raises(NormlabError):
        nl.functional.instance_norm(np.ones((3, 4)))


# --- taking it along -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@every_case
def test_the_python_prints_the_boards_numbers(method: str, kind: str, mode: str) -> None:
    document = board(Setting(method, kind=kind, training=mode == "training", **SIZES))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), np.printoptions(threshold=100_000, precision=17):
        exec(compile(document["python"], f"{method} on {kind}", "exec"), {})  # our own lines, made of checked settings
    if "help(" in document["python"]:
        assert not document["boards"] or not document["boards"][0]["line"]
        return
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", said.getvalue())]
    expected: list[float] = []
    for one in document["boards"]:
        expected += [*one["numbers"], *(one["normalized"] or [])]
    expected += document["windows"]["normalized"] if document["windows"] else []
    np.testing.assert_allclose(numbers, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("line", ["[n] (g [c]) [...]:g=2", "(k [n]) c [...]:k=3", "[n] c [...]", "n [c] ..."])
def test_the_python_of_a_users_line_prints_its_numbers(line: str, mode: str) -> None:
    document = board(Setting("line", line, training=mode == "training", **SIZES))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), np.printoptions(threshold=100_000, precision=17):
        exec(compile(document["python"], "line", "exec"), {})
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[-+]?\d+)?", said.getvalue())]
    one = document["boards"][0]
    np.testing.assert_allclose(numbers, [*one["numbers"], *one["normalized"]], rtol=1e-9, atol=1e-12)


def test_the_command_of_a_method_shows_its_card(call: Caller) -> None:
    command = VIEW.show(Asked(state(method="group_norm"))).command
    assert command == "normlab guide gn"
    assert call(*command.split()[1:]).code == 0


def test_the_command_of_a_line_runs_it(call: Caller) -> None:
    import shlex

    command = VIEW.show(Asked(state(method="line", line="n (g [c])", kind="dense"))).command
    said = call(*shlex.split(command)[1:], *SMALL)
    assert said.code == 0
    assert "(g [c])" in said.out


def test_the_saved_report_has_the_board_and_both_languages() -> None:
    document = board(Setting("layer_norm", **SIZES))
    page = render([document])
    assert page.count('class="set"') == sum(len(one["sets"]) for one in document["boards"])
    assert "nl.shares" in page
    assert "통계량" in page
    assert "<script src" not in page
    assert "style=" not in page.partition("</style>")[2]


# --- the server ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("n [c", "never closed"),
        ("n [c] n", "'n' stands twice"),
        ("n c", "put square brackets"),
        ("", "is empty"),
        ("n (g [c]) [...]:g=3", "g=3 does not divide axis 1 of size 4"),
        ("n (g [c]) [...]:g=x", "a size must be written name=number"),
        ("[n] c h w q", "needs 5 axes, got 4"),
    ],
)
def test_a_bad_line_is_refused_with_the_reason(client: Client, line: str, says: str) -> None:
    answer = client.post("/api/share", json={"state": {"method": "line", "line": line}})
    assert says in answer.json()["error"]
    page = client.get("/share", params={"method": "line", "line": line})
    assert says in page.text.replace("&#39;", "'")
    assert 'id="settings"' in page.text


def test_groups_that_do_not_divide_become_fewer_and_it_is_said(client: Client) -> None:
    answer = client.post("/api/share", json={"state": {"method": "group_norm", "c": 6, "groups": 4}}).json()
    assert "groups=3" in answer["address"]
    assert "4 groups do not divide 6 channels" in answer["notes"][0]["en"]


@pytest.mark.parametrize("changed", [{"n": 10**9}, {"c": 0}, {"kind": "cubes"}, {"line": 1}, {"method": "bnn"}])
def test_a_request_out_of_range_is_refused_with_the_limit(client: Client, changed: dict[str, Any]) -> None:
    answer = client.post("/api/share", json={"state": changed})
    assert answer.status_code == 422
    assert next(iter(changed)) in answer.json()["error"]


def test_a_stale_link_shows_the_nearest_board_and_a_note(client: Client) -> None:
    page = client.get("/share?method=batchnorm&n=99&frames=3").text
    assert "frames" in page
    assert 'aria-label="x[3, ' in page  # n is 4, its limit


def test_no_size_of_the_form_is_beyond_what_is_drawn() -> None:
    largest = 1
    for field in VIEW.fields:
        if field.name in ("n", "c", "h", "w"):
            assert field.numbers is not None
            largest *= int(field.numbers.high)
    assert largest <= MOST_ELEMENTS
    with pytest.raises(NormlabError, match=str(MOST_ELEMENTS)):
        board(Setting("batch_norm", n=99))


def test_the_heaviest_page_stays_under_150_kb(client: Client) -> None:
    paths = ["/share?method=layer_norm&c=8", *(f"/static/{name}" for name in (
        "report.css", "lab.css", "views.css", "lab.js", "share.js",
    ))]  # fmt: skip
    answers = client.many([("GET", path, {}) for path in paths])
    assert sum(len(answer.content) for answer in answers) < 150_000
