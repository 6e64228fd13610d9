"""What a specification may say, and how it is told what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from normlab.errors import ReadWriteError, UsageError
from normlab.sweep.spec import Spec, read_spec
from sweep_trials import check
from sweeping import spec

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("folder")

GOOD = 'name = "n"\n[grid]\nlr = [0.1, 0.2]\nseed = [0, 1]\n[fixed]\nsteps = 3\n'


def test_a_file_and_its_content_are_the_same() -> None:
    Path("a.toml").write_text(GOOD, encoding="utf-8")
    assert read_spec("a.toml").to_dict() == {"name": "n", "grid": {"lr": [0.1, 0.2], "seed": [0, 1]}, "fixed": {"steps": 3}}
    Path("b.toml").write_text("\ufeff" + GOOD, encoding="utf-8")  # some editors write a mark first
    assert read_spec("b.toml").to_dict() == read_spec("a.toml").to_dict()


def test_a_key_follows_from_the_parameters_and_not_from_the_number() -> None:
    one = Spec.of({"name": "n", "grid": {"lr": [0.1, 0.2]}}).trials(check)
    two = Spec.of({"name": "m", "grid": {"lr": [0.2], "seed": [0]}}).trials(check)
    assert [trial.number for trial in one] == [1, 2] and one[1].key == two[0].key != one[0].key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("[grid]", "[gird]"), "unknown key of a.toml: 'gird'. Did you mean grid?"),
        (GOOD + "[more]\n", "unknown key of a.toml: 'more'."),
        (GOOD.replace("[0, 1]", "[]"), "a.toml: seed in [grid] must have at least one value, got an empty list."),
        ('name = "n"\n', "a.toml: [grid] must name at least one argument, got none."),
        ('name = "n"\n[grid]\n', "must name at least one argument"),
        (GOOD.replace("[0, 1]", "0"), "seed in [grid] must be a list, got 0. Write seed = [0], or move it to [fixed]."),
        (GOOD.replace("steps = 3", "steps = [3, 4]"), "steps in [fixed] must be one value, got the list [3, 4]. Move it to [grid]"),
        (GOOD.replace("steps = 3", "lr = 3"), "lr stands in [grid] and in [fixed]"),
        (GOOD.replace("[0, 1]", "[0, 0]"), "seed in [grid] has 0 twice"),
        (GOOD.replace("[0, 1]", "[0, [1]]"), "seed must be a text, a number, true or false, got [1]."),
        (GOOD.replace("steps = 3", "steps = 2020-01-01"), "steps must be a text, a number"),
        (GOOD.replace("steps = 3", "[fixed.deep]\nx = 1"), "deep must be a text"),
        (GOOD.replace("0.1", "nan"), "lr must be finite, got nan"), (GOOD.replace("0.1", "-inf"), "lr must be finite, got -inf"),
        (GOOD.replace('"n"', '""'), "name must be a text that is not empty, got ''"),
        (GOOD.replace('name = "n"\n', ""), "name must be a text that is not empty, got None"),
        ('name = "n"\ngrid = 3\n', "grid must be a table, got 3. Write it as [grid]."),
        (GOOD.replace("[0, 1]", "[0, 1"), "a.toml: holds no TOML: "), ("name = \n", "(at line 1, column 8)"),
        ('name = "n"\nname = "m"\n', "(at line 2, column 11)"), ("", "name must be a text"),
    ],
    ids=lambda value: value[:0] if "\n" in value else value[:60],
)  # fmt: skip
def test_what_a_specification_may_not_say(text: str, says: str) -> None:
    Path("a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_spec("a.toml")
    assert says in str(refused.value) and refused.value.code == 2


def test_seeds_as_train_has_them_are_a_trial_each() -> None:
    listed = Spec.of({"name": "a", "grid": {"lr": [0.1, 1.0], "seed": [4, 5, 6]}})
    counted = Spec.of({"name": "a", "grid": {"lr": [0.1, 1.0]}, "fixed": {"seeds": 3, "seed": 4}})
    assert counted.to_dict() == listed.to_dict()
    for content in ({"grid": {"seeds": [1, 2]}}, {"grid": {"seed": [0]}, "fixed": {"seeds": 2}}):
        with pytest.raises(UsageError, match=r"seed in \[grid\], or seeds in \[fixed\]: one of them"):
            Spec.of({"name": "a", **content})
    for content in (
        {"fixed": {"seeds": 0}}, {"fixed": {"seeds": True}}, {"fixed": {"seeds": 10**9}}, {"fixed": {"seeds": 2, "seed": "x"}},
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"seeds must be one whole number from 1 to 1000 in \[fixed\]"):
            Spec.of({"name": "a", **content})


def test_a_file_that_cannot_be_read_says_why() -> None:
    Path("a.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(UsageError, match="UTF-8"):
        read_spec("a.toml")
    with pytest.raises(ReadWriteError, match=r"no such file. Did you mean a.toml\?"):
        read_spec("b.toml")
    with pytest.raises(ReadWriteError, match="cannot be read"):
        read_spec(".")


def test_too_many_trials_are_counted_and_the_flag_is_named() -> None:
    large = Spec.of(spec(1002))
    with pytest.raises(UsageError, match=r"at most 1,000 trials, got 1,002. If all are meant: --most 1002"):
        large.trials(check)
    assert len(large.trials(check, 1002)) == 1002
    vast = Spec.of({"name": "n", "grid": {name: list(range(10**5)) for name in ("lr", "seed", "steps")}})
    with pytest.raises(UsageError, match="got 1,000,000,000,000,000"):  # without laying them out
        vast.trials(check)


def test_two_trials_that_are_the_same_in_other_words_are_refused() -> None:
    def alias(parameters: Any) -> dict[str, Any]:
        return {"method": {"bn": "batch_norm"}.get(parameters["method"], parameters["method"])}

    same = Spec.of({"name": "n", "grid": {"method": ["bn", "ln", "batch_norm"]}})
    with pytest.raises(UsageError, match=r"trials 1 and 3 are the same: {'method': 'batch_norm'}"):
        same.trials(alias)


def test_the_example_is_a_specification_that_train_accepts() -> None:
    from normlab.experiments.trial import check as check_training

    assert len(read_spec(ROOT / "examples" / "sweep.toml").trials(check_training)) == 30
