"""`train`: what a race promises, from the arms to the sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import normlab as nl
from normlab.data.dataset import Dataset
from normlab.errors import UsageError
from normlab.experiments.train import run
from normlab.experiments.training.settings import Settings
from normlab.experiments.training.stack import Run, Slot
from normlab.experiments.training.summary import chosen, grid
from normlab.experiments.training.verdicts import judge
from normlab.experiments.trial import check, trial

SMALL = {"steps": 30, "seeds": 3, "layers": 2, "width": 16, "batch": 32}


def document(methods: list[str], **given: object) -> dict:
    return run(methods, **{**SMALL, **given}).to_dict()


def test_the_same_arguments_give_the_same_bytes_on_any_number_of_threads() -> None:
    made = [document(["none", "bn"], threads=threads) for threads in (1, 2, 2)]
    for one in made:
        one.update(wall_s=0, machine={})
    assert json.dumps(made[0]) == json.dumps(made[1]) == json.dumps(made[2])


def test_an_arm_more_changes_nothing_for_the_others() -> None:
    few, many = document(["bn"]), document(["none", "bn", "gn:groups=4"])
    assert few["arms"][0] == many["arms"][1]


def test_every_arm_is_at_its_best_rate_by_the_rows_kept_back() -> None:
    for arm in document(["none", "bn"], lr=[0.001, 0.1, 1.0])["arms"]:
        best = max(line["validation_accuracy"]["mean"] for line in arm["grid"])
        assert next(line for line in arm["grid"] if line["lr"] == arm["lr"])["validation_accuracy"]["mean"] == best
        assert len(arm["runs"]) == 3 and {r["lr"] for r in arm["runs"]} == {arm["lr"]}


def test_of_equal_rates_the_one_with_the_lower_loss_then_the_smaller_is_taken() -> None:
    def finished(lr: float, loss: float | None) -> Run:
        stopped = "finished" if loss is not None else "diverged"
        return Run(Slot(0, lr), stopped, 5, None, {"validation_accuracy": None if loss is None else 0.5, "validation_loss": loss})

    assert chosen(grid([finished(0.1, 1.0), finished(0.2, 0.9)], 0.1, 10))["lr"] == 0.2
    assert chosen(grid([finished(0.1, 0.9), finished(0.2, 0.9)], 0.1, 10))["lr"] == 0.1
    assert chosen(grid([finished(0.1, None), finished(0.2, 5.0)], 0.1, 10))["lr"] == 0.2


def test_a_race_in_which_everything_diverges_is_a_result() -> None:
    found = document(["none"], lr=1e30, activation="relu")
    arm = found["arms"][0]
    assert {r["stopped"] for r in arm["runs"]} == {"diverged"} and arm["grid"][0]["stopped"] == {"diverged": 3}
    assert arm["final"]["test_accuracy"]["mean"] == pytest.approx(0.1)  # as guessing, by the statistics' rule
    assert any("diverged" in said["en"] for said in found["verdicts"])


def test_the_first_network_is_the_same_for_every_arm() -> None:
    """With a learning rate of next to nothing, arms that act on statistics of 1 and 0 start from one loss."""
    arms = document(["none", "wn"], lr=1e-12)["arms"]
    first, second = ([p["test_loss"]["mean"] for p in arm["curve"]] for arm in arms)
    # weight norm makes the same weights by a division and a product in float32
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_a_toy_is_learnt_and_the_records_reach_from_guessing_to_that() -> None:
    found = document(["bn"], data="blobs", steps=100, seeds=2)
    curve = found["arms"][0]["curve"]
    assert curve[-1]["test_accuracy"]["mean"] > 0.9 and curve[-1]["step"] == 100 and len(curve) == 20
    assert curve[0]["train_loss"]["mean"] > curve[-1]["train_loss"]["mean"]
    assert len(found["arms"][0]["layers"]) == 20 and len(found["arms"][0]["layers"][0]) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batch": 5000}, "training rows, batch is 5000"), ({"steps": 0}, "steps must be a whole number from 1"),
        ({"seeds": 0}, "seeds must be a whole number from 1"), ({"lr": -1}, "learning rate must be a finite number above 0"),
        ({"lr": []}, "1 to 32 learning rates, got 0"), ({"optimizer": "sdg"}, "sgd"), ({"net": "dens"}, "dense"),
        ({"momentum": 1.0}, "from 0 to below 1"), ({"dtype": "float16"}, "float32"), ({"stepz": 3}, "steps"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number of at least 0"),
        ({"net": "conv", "data": "moons"}, "needs images"), ({"activation": "sigmod"}, "sigmoid"),
    ],
)  # fmt: skip
def test_bad_settings_say_what_was_required_and_what_came(given: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        document(["none"], **given)


def test_data_of_the_users_own() -> None:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((120, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    own = Dataset("own", x[:90], y[:90], x[90:], y[90:], ("left", "right"))
    found = nl.train(["none"], data=own, **SMALL, lr=0.5, activation="tanh").to_dict()
    assert found["data"]["name"] == "own" and found["arms"][0]["final"]["test_accuracy"]["mean"] > 0.8


def test_the_command_names_the_data_as_they_were_asked_for(tmp_path: Path) -> None:
    """By the file's path, not by the name that people call it."""
    path = tmp_path / "points.csv"
    path.write_text("a,class\n" + "".join(f"{k},{'xy'[k % 2]}\n" for k in range(80)))
    found = document(["none"], data=path, batch=8, steps=2, seeds=1)
    assert f"--data {path}" in found["command"] and found["data"]["name"] == "points.csv"


def test_what_cannot_act_here_is_explained_and_the_others_run() -> None:
    found = document(["none", "in", "film"])
    refused = {arm["label"]: arm["refused"] for arm in found["arms"]}
    assert refused["none"] is None and "in" in refused["in"]["en"] and refused["film"]["command"] == "normlab guide film"
    assert found["ranking"] is None and found["arms"][0]["final"]["test_accuracy"]["mean"] > 0


def test_sentences_follow_from_the_document() -> None:
    found = document(["none", "bn"], steps=60, seeds=5)
    copy = json.loads(json.dumps(found))
    copy["verdicts"], copy["ranking"], copy["contrasts"] = [], None, []
    judge(copy)
    assert copy == json.loads(json.dumps(found))
    assert all(set(said) >= {"en", "ko"} for said in found["verdicts"])


def test_a_trial_is_one_seed_of_the_race(tmp_path) -> None:
    race = document(["bn"], lr=0.1, seeds=2)["arms"][0]["runs"][1]
    row = trial({"methods": "bn", "lr": 0.1, "seed": 1, **{k: v for k, v in SMALL.items() if k != "seeds"}}, checkpoint=tmp_path / "t")
    assert {n: row[n] for n in ("test_accuracy", "test_loss", "train_loss", "step", "stopped")} == {
        n: race[n] for n in ("test_accuracy", "test_loss", "train_loss", "step", "stopped")
    }
    assert not list(tmp_path.iterdir())


def test_a_trials_parameters_are_filled_in_and_checked() -> None:
    filled = check({"methods": "bn", "lr": 0.1})
    assert filled["methods"] == "bn" and filled["batch"] == Settings.read({}).batch and "seeds" not in filled
    assert check({"methods": "bn"})["lr"] == list(Settings.read({}).lr)
    for wrong, words in (({"seeds": 3}, "seed"), ({"methods": "bm"}, "bn"), ({"methods": "bn ln"}, "bn ln"), ({"lr": 0}, "above 0")):
        with pytest.raises(UsageError, match=words):
            check(wrong)
