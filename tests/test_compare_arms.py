"""What an arm is: how it is written, what its role makes of it, when it is refused, and what is an error."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normlab as nl
from normlab.errors import PatternError, ReadWriteError, ShapeError, UnknownNameError, UsageError
from normlab.experiments.compare import Interrupted, run
from normlab.registry import Registry

SMALL: dict[str, Any] = {"layers": 2, "width": 16, "batch": 32}
VOCABULARY = list(Registry(Path(__file__).with_name("vocabulary")))


def arms(methods: Any = None, **settings: Any) -> list[dict[str, Any]]:
    """The arms' documents of a small network."""
    return nl.compare(methods, **{**SMALL, **settings}).to_dict()["arms"]  # type: ignore[no-any-return]


def test_options_eps_and_lines_of_notation_are_read() -> None:
    found = arms(["gn:groups=4,eps=1e-3", "n (g [c]) [...]:g=2,eps=0.5", "bn:running=false", "group_norm"])
    assert [arm["label"] for arm in found] == [
        "gn:groups=4,eps=0.001", "n (g [c]) [...]:g=2,eps=0.5", "bn:running=false", "gn",
    ]  # fmt: skip
    assert [arm["options"] for arm in found] == [
        {"groups": 4, "eps": 1e-3}, {"g": 2, "eps": 0.5}, {"running": False, "eps": 1e-5},
        {"groups": "auto", "eps": 1e-5},
    ]  # fmt: skip
    assert found[1]["method"] == "n (g [c]) [...]"


def test_a_label_written_again_is_the_same_arm() -> None:
    labels = [arm["label"] for arm in arms(["gn:groups=4,eps=1e-3", "n (g [c]) [...]:g=2", "wn:start=one"])]
    assert [arm["label"] for arm in arms(labels)] == labels


def test_a_line_of_notation_acts_as_the_method_that_it_spells() -> None:
    line, method = arms(["n (g [c]) [...]:g=2", "gn:groups=2"])
    assert line["layers"] == method["layers"] and line["first_over_last"] == method["first_over_last"]


def test_the_arms_are_written_as_one_string_a_list_or_definitions() -> None:
    expected = ["none", "bn"]
    assert [a["label"] for a in arms("none bn")] == [a["label"] for a in arms(("none", nl.method("bn")))] == expected
    assert [a["label"] for a in arms("n (g [c]) [...]:g=2")] == ["n (g [c]) [...]:g=2"]


def test_all_is_every_method_once_with_none_first() -> None:
    found = arms("all")
    assert [arm["method"] for arm in found] == ["none", *nl.list_methods()]
    assert [arm["label"] for arm in arms(["gn:groups=2", "bn", "all"])].count("bn") == 1


@pytest.mark.parametrize(
    "twins", [["bn", "batch_norm"], ["gn", "gn:groups=auto"], ["bn", "bn:eps=1e-5"], ["none", "none"]]
)
def test_two_equal_arms_are_an_error(twins: list[str]) -> None:
    with pytest.raises(UsageError, match=r"are the same\. Leave one out"):
        arms(twins)


@pytest.mark.parametrize(
    ("method", "kind", "words"),
    [
        ("batchnrm", UnknownNameError, "unknown method 'batchnrm'. Did you mean"),
        ("n c ...", PatternError, "square brackets"),
        ("n [c", PatternError, "never closed"),
        ("gn:groups", UsageError, "name=value"),
        ("gn:groups=4,groups=2", UsageError, "given twice"),
        ("gn:grups=4", UnknownNameError, "Did you mean groups"),
        ("gn:groups=0", UsageError, "a whole number that divides the channels"),
        ("gn:groups=5", ShapeError, "must divide the 16 channels, got 5"),
        ("n (g [c]) [...]:g=5", ShapeError, "does not divide"),
        ("n (g [c]) [...]:h=5", UnknownNameError, "unknown axis"),
        ("bn:eps=-1", UsageError, "eps must be a finite number of at least 0"),
        ("bn:eps=text", UsageError, "eps must be a finite number of at least 0"),
        ("selu:eps=1", UnknownNameError, "eps"),
        ("wn:start=two", UsageError, "one of 'norm', 'one', 'data'"),
        ("none:eps=1", UsageError, "has no options"),
        (7, UsageError, "must be text"),
    ],
)
def test_an_arm_that_cannot_be_read_is_an_error_that_says_why(method: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        arms(["none", method])
    assert words in str(caught.value)


def test_no_arm_at_all_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least one arm"):
        arms([])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": 0}, "layers must be a whole number from 1 to 64, got 0"),
        ({"layers": 65}, "from 1 to 64"),
        ({"layers": True}, "from 1 to 64"),
        ({"layers": 2.5}, "from 1 to 64"),
        ({"width": 4096}, "width must be a whole number from 1 to 2048"),
        ({"batch": 100_001}, "batch must be a whole number from 1 to 100000"),
        ({"batch": 0}, "batch must be"),
        ({"layers": 64, "width": 2048, "batch": 1000}, "at most 20,000,000 values"),
        ({"cotangents": 65}, "cotangents must be a whole number from 1 to 64"),
        ({"seeds": 0}, "seeds must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 2**32}, "seed must be"),
        ({"activation": "sigmoyd"}, "unknown activation 'sigmoyd'. Did you mean sigmoid?"),
        ({"preset": "note5"}, "Did you mean note-5"),
        ({"net": "convv"}, "Did you mean conv?"),
        ({"place": "beside"}, "unknown place 'beside'"),
        ({"top": "los"}, "Did you mean loss?"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"init": "xaver"}, "Did you mean xavier?"),
        ({"init": 0}, "a standard deviation above 0, got 0"),
        ({"init": float("nan")}, "a standard deviation above 0"),
        ({"init": True}, "a standard deviation above 0"),
        ({"bias": "yes"}, "bias must be True or False"),
        ({"data": "digit"}, "Did you mean digits?"),
        ({"data": 5}, "data must be one of"),
        ({"layrs": 5}, "Did you mean layers"),
    ],
)
def test_a_setting_out_of_range_is_an_error_that_names_the_limit(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        nl.compare("none", **settings)
    assert words in str(caught.value) and caught.value.code == 2


def test_a_set_of_one_is_explained_with_layer_shape_size_and_a_command() -> None:
    none, instance = arms(["none", "in"])
    refused = instance["refused"]
    assert none["layers"] and not instance["layers"] and instance["first_over_last"] is None
    for words in ("layer 1", "32 x 16", "n c [...]", "single element"):
        assert words in refused["en"]
    assert refused["ko"] != refused["en"] and refused["command"] == "normlab compare none in --net conv"
    assert arms("in", net="conv")[0]["refused"] is None
    assert arms("bn", batch=1)[0]["refused"] is not None


def test_what_a_plain_network_has_no_place_for_is_explained() -> None:
    (film,) = arms("film")
    assert film["refused"]["command"] == "normlab guide film" and film["layers"] == []


def test_the_roles_act_where_they_should() -> None:
    before, after = arms("none bn"), arms("none bn", place="after")
    assert before[1]["layers"][-1]["pre"]["mean"] == pytest.approx(0, abs=1e-12)  # normalized, then activated
    assert after[1]["layers"][-1]["mean"] == pytest.approx(0, abs=1e-12)  # activated, then normalized
    assert before[0]["layers"] != after[0]["layers"]  # but for the histogram's range nothing changes without
    for x, y in zip(before[0]["layers"], after[0]["layers"], strict=True):
        assert {**x, "histogram": 0} == {**y, "histogram": 0}
    selu, plain = arms("selu")[0], arms("none", activation="selu", init="lecun")[0]
    for x, y in zip(selu["layers"], plain["layers"], strict=True):
        assert (x["mean"], x["var"], x["grad_norm"]) == pytest.approx((y["mean"], y["var"], y["grad_norm"]), rel=1e-12)
    assert arms("selu", init=3.0)[0]["layers"] == selu["layers"]  # it presumes its own weights
    dropped = arms("adrop:p=0")[0]
    assert dropped["layers"][0]["mean"] == pytest.approx(selu["layers"][0]["mean"], rel=1e-12)


def test_spectral_norm_divides_by_the_converged_largest_singular_value() -> None:
    deep = arms("sn", init=0.3, width=40)[0]["layers"]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 40))[:32]
    for layer in deep:
        w = rng.standard_normal((40, 40))
        x = 1 / (1 + np.exp(-(x @ (w / np.linalg.svd(w)[1][0]))))
        assert layer["var"] == pytest.approx(x.var(), rel=1e-9)


@pytest.mark.parametrize("net", ["dense", "conv"])
@pytest.mark.parametrize("definition", VOCABULARY, ids=lambda d: d.name)
def test_a_definition_from_anywhere_is_an_arm_by_its_role(definition: Any, net: str) -> None:
    (arm,) = arms([definition], net=net)
    if definition.role == "condition":
        assert arm["refused"]
        return
    assert arm["refused"] is None and arm["first_over_last"] > 0
    assert (arm["layers"][0]["saturated"] is None) == (definition.role == "norm_and_activation")


def test_a_scaler_of_the_data_needs_labels() -> None:
    (refused,) = arms("feature_wise")
    assert refused["refused"]["command"] == "normlab compare none fw --data digits"
    none, scaled = arms("none fw:pool=z_score", data="digits", batch=100)
    assert scaled["refused"] is None and scaled["layers"][0]["pre"] != none["layers"][0]["pre"]


def test_a_file_is_data_and_a_batch_beyond_it_is_cut_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b,c\n" + "\n".join(f"{k},{k % 3},{k % 5}" for k in range(20)))
    document = nl.compare("none bn", data=path, layers=2, width=8).to_dict()
    assert document["settings"]["batch"] == 20
    assert "20 rows" in document["notes"][0]["en"] and "20" in document["notes"][0]["ko"]
    path.write_text("a,b\n1,2\n3,word\n")
    with pytest.raises(UsageError, match=r"row 3.*column 2|column 2.*row 3"):
        nl.compare("none", data=path)
    with pytest.raises(ReadWriteError, match="no such file"):
        nl.compare("none", data=tmp_path / "tabel.csv")


def test_a_convolution_wants_images(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones((5, 12)))
    with pytest.raises(UsageError, match=r"8 x 8 pixels.*has 12"):
        nl.compare("none", data=tmp_path / "rows.npy", net="conv")
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((5, 128)))
    assert nl.compare("none", data=tmp_path / "rows.npy", net="conv").to_dict()["arms"][0]["layers"]  # two channels


def test_nan_and_infinity_in_the_data_are_counted_and_the_document_is_whole(tmp_path: Path) -> None:
    table = np.random.default_rng(0).standard_normal((30, 6))
    table[3, 2], table[7, 1] = np.nan, np.inf
    np.save(tmp_path / "broken.npy", table)
    result = nl.compare("none bn ln", data=tmp_path / "broken.npy", layers=3, width=8)
    document = result.to_dict()
    assert document["nonfinite"] == {"where": "data", "layer": 1, "arm": None, "count": 2} and result.exit_code == 4
    assert [len(arm["layers"]) for arm in document["arms"]] == [3, 3, 3]
    none, bn, ln = (arm["layers"] for arm in document["arms"])
    assert none[0]["nonfinite"] == 8  # the row with NaN; a sigmoid maps the other's infinities to 0 and 1
    assert ln[0]["nonfinite"] == 16  # infinity less an infinite mean
    assert bn[0]["nonfinite"] == 30 * 8  # its statistics carry it to every input
    assert bn[0]["var"] is None and bn[0]["grad_norm"] is None and document["verdicts"]
    json.loads(result.to_json())


def test_an_arm_that_overflows_is_a_result_that_is_counted() -> None:
    result = nl.compare("none bn", activation="relu", init=1e30, layers=8, dtype="float32", width=16, batch=32)
    none, bn = result.to_dict()["arms"]
    assert none["first_over_last"] is None and none["layers"][-1]["nonfinite"] > 0
    assert bn["first_over_last"] > 1 and result.to_dict()["nonfinite"]["arm"] == "none" and result.exit_code == 4


def test_a_result_that_is_finite_ends_with_0() -> None:
    assert nl.compare("none", layers=2, batch=20).exit_code == 0


def test_ctrl_c_keeps_the_arms_that_were_finished() -> None:
    def stop(done: int, total: int, arm: Any) -> None:
        assert (total, arm["label"]) == (3, ["none", "bn", "ln"][done - 1])
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        run("none bn ln", on_arm=stop, **SMALL)
    assert caught.value.result is not None
    document = caught.value.result.to_dict()
    assert [arm["label"] for arm in document["arms"]] == ["none", "bn"]
    assert document["interrupted"] and document["verdicts"]


def test_ctrl_c_before_the_first_arm_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("normlab.experiments.compare.measure", stop)
    with pytest.raises(Interrupted) as caught:
        run("none", **SMALL)
    assert caught.value.result is None


def test_a_method_is_named_by_no_file_of_the_experiment() -> None:
    foreign = {"presets.py", "note_sentences.py"}  # the default arms; what the note says about its methods
    folder = Path(nl.__file__).parent / "experiments"
    found = (*sorted(folder.glob("*.py")), *sorted(folder.glob("training/*.py")))
    files = [path for path in found if path.name not in foreign]
    assert len(files) > 10
    # Words that are also an activation function's, a format's or a spread's name.
    names = {*nl.list_methods(), *(nl.method(name).short for name in nl.list_methods())} - {"selu", "in", "rms"}
    for path in files:
        constants = (
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
        )
        assert not names & {node.value for node in constants if isinstance(node.value, str)}, path.name


def test_definitions_of_one_name_but_other_data_are_two_arms() -> None:
    wide = replace(nl.method("bn"), short="wide", name="wide", class_name="Wide", eps=1.0)
    found = arms(["bn", wide])
    assert found[1]["options"] == {"eps": 1.0} and found[0]["layers"] != found[1]["layers"]
