"""The tables of a race: what every arm comes to, the grid, each run, each pair of arms, and what the drawings hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..language import both
from .arms import chosen_rows
from .drawing import Text
from .numerals import amount, interval, rounded, share
from .parts import Cell, Table
from .race_arms import trained
from .race_figures import mode_values, modes

__all__ = [
    "VERDICTS", "curve_table", "full_table", "grid_table", "layers_table", "modes_table", "needed", "pairs_table",
    "runs_table", "stopped_table", "why_stopped",
]  # fmt: skip

Document = Mapping[str, Any]
Arm = Mapping[str, Any]
LEVEL = "95 %"
_MOST_LAYERS = 12
VERDICTS = {
    "better": both("better"), "worse": both("worse"), "equivalent": both("equivalent"),
    "no difference shown": both("no difference shown"),
}  # fmt: skip


def part(value: Any) -> str:
    """A share with its interval in brackets, where it has one."""
    return _with_ends(value, share)


def size(value: Any) -> str:
    """A number with its interval in brackets, where it has one."""
    return _with_ends(value, amount)


def _with_ends(value: Any, write: Any) -> str:
    ends = interval(value)
    return str(write(value)) if ends is None else f"{write(value)} [{write(ends[0])}, {write(ends[1])}]"


def full_table(document: Document) -> Table:
    """Every arm at its learning rate."""
    head: list[Cell] = [
        both("arm"), both("learning rate"), both("test accuracy"), both("test loss"), both("training loss"),
        both("training accuracy"), both("validation accuracy"), both("own statistics"), both("runs finished"),
    ]  # fmt: skip
    rows = [_full_row(arm) for arm in trained(document)]
    caption = both(
        "Every arm at the learning rate that was best on the validation rows. Training loss and accuracy are those of "
        "the last recorded steps, in training mode; own statistics: the test accuracy with the statistics of each "
        "test batch instead of the running ones. In brackets the {level} interval over {n} seeds.",
        level=LEVEL, n=len(document["seeds"]),
    )  # fmt: skip
    return Table(caption, head, [(None, rows)], "wide")


def _full_row(arm: Arm) -> list[Cell]:
    final, runs = arm["final"], arm["runs"]
    finished = sum(run["stopped"] == "finished" for run in runs)
    return [
        str(arm["label"]), rounded(arm["lr"]), part(final["test_accuracy"]), size(final["test_loss"]),
        size(final["train_loss"]), part(mode_values(arm)[0]), part(final["validation_accuracy"]),
        part(final["own_statistics_accuracy"]), f"{finished}/{len(runs)}",
    ]  # fmt: skip


def grid_table(document: Document) -> Table:
    """Every learning rate of every arm."""
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for arm in trained(document):
        rows: list[Sequence[Cell]] = [
            [
                rounded(line["lr"]), part(line["validation_accuracy"]), amount(line["validation_loss"]),
                *(str(line["stopped"].get(why, 0)) for why in ("finished", "stopped", "diverged")),
                both("taken") if line["lr"] == arm["lr"] else "",
            ]
            for line in arm["grid"]
        ]  # fmt: skip
        groups.append((str(arm["label"]), rows))
    head: list[Cell] = [
        both("learning rate"), both("validation accuracy"), both("validation loss"), both("finished"), both("stopped"),
        both("diverged"), "",
    ]  # fmt: skip
    caption = both(
        "The rows by which the learning rate is chosen are kept back from training, and are no test rows. A run that "
        "diverged counts as guessing."
    )
    return Table(caption, head, groups)


def why_stopped(document: Document) -> list[Text]:
    """A sentence for each arm and learning rate at which runs did not finish."""
    found: list[Text] = []
    for arm in trained(document):
        for line in arm["grid"]:
            runs = sum(int(n) for n in line["stopped"].values())
            said = {"label": arm["label"], "lr": rounded(line["lr"]), "runs": runs}
            if line["stopped"].get("stopped"):
                n = line["stopped"]["stopped"]
                found.append(both("{label} at {lr}: {n} of {runs} stopped from outside", **said, n=n))
            if (first := line["first_diverged"]) is not None:
                found.append(both(
                    "{label} at {lr}: {n} of {runs} diverged, the first at step {step}, in layer {layer}",
                    **said, n=line["stopped"]["diverged"], step=first["step"], layer=first["layer"],
                ))  # fmt: skip
    if any(line["stopped"].get("diverged") for arm in trained(document) for line in arm["grid"]):
        found.append(both(
            "Diverged: the loss was no number any more; the layer is the first that handed on a number that is not "
            "finite, one beyond the last is the classifier."
        ))  # fmt: skip
    return found


def stopped_table(document: Document) -> Table | None:
    """Where the runs that did not take all steps ended; None where all did."""
    head: list[Cell] = [both("seed"), both("why it ended"), both("step"), both("layer")]
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for arm in trained(document):
        rows: list[Sequence[Cell]] = [
            [str(r["seed"]), _reason(r["stopped"]), str(r["step"]), "" if r["layer"] is None else str(r["layer"])]
            for r in arm["runs"] if r["stopped"] != "finished"
        ]  # fmt: skip
        if rows:
            groups.append((_at(arm), rows))
    caption = both("The runs at the learning rate taken that did not finish.")
    return Table(caption, head, groups) if groups else None


def _reason(why: Any) -> Cell:
    return {"finished": both("finished"), "stopped": both("stopped"), "diverged": both("diverged")}.get(why, str(why))


def _at(arm: Arm) -> Text:
    return both("{label}, learning rate {lr}", label=arm["label"], lr=rounded(arm["lr"]))


def runs_table(document: Document) -> Table:
    """Each seed of each arm."""
    names = ("test_accuracy", "validation_accuracy", "own_statistics_accuracy")
    losses = ("test_loss", "train_loss", "validation_loss")
    head: list[Cell] = [
        both("seed"), both("test accuracy"), both("validation accuracy"), both("own statistics"), both("test loss"),
        both("training loss"), both("validation loss"),
    ]  # fmt: skip
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for arm in trained(document):
        rows = [[str(r["seed"]), *(share(r[n]) for n in names), *(amount(r[n]) for n in losses)] for r in arm["runs"]]
        groups.append((_at(arm), rows))
    return Table(both("Every run at the learning rate taken."), head, groups)


def pairs_table(document: Document) -> Table | None:
    """What the seeds say about every pair of arms; None where there is none."""
    pairs = document.get("contrasts") or []
    if not pairs:
        return None
    head: list[Cell] = [
        both("arm"), both("the other arm"), both("difference"), both("{level} interval", level=LEVEL), "p",
        both("effect size"), both("better in"), both("verdict"), both("seeds needed"),
    ]  # fmt: skip
    rows: list[Sequence[Cell]] = [
        [
            str(c["label"]), str(c["against"]), _points(c["difference"]),
            "" if c["low"] is None else f"[{_points(c['low'])}, {_points(c['high'])}]", amount(c["p"], 2),
            amount(c["effect"], 2), share(c["superiority"]), VERDICTS.get(c["verdict"], str(c["verdict"])),
            needed(c.get("seeds")),
        ]
        for c in pairs
    ]  # fmt: skip
    caption = both(
        "Test accuracy of an arm minus that of the other with the same seed, in points of a hundred. Intervals and p "
        "are corrected for {n} comparisons; effect size: the mean difference over the differences' standard deviation "
        "(Hedges); better in: the share of the seeds, ties half.", n=pairs[0]["comparisons"],
    )  # fmt: skip
    return Table(caption, head, [(None, rows)])


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def needed(seeds: Mapping[str, Any] | None) -> str:
    """About how many seeds would tell a pair apart, and between which numbers; empty where nothing says."""
    if not seeds or seeds.get("needed") is None:
        return ""
    return f"{seeds['needed']} ({seeds['low']}–{seeds['high'] if seeds['high'] is not None else ''})"


def curve_table(document: Document, metric: str, title: Text) -> Table:
    """The points of the curves: a row for each step, a column for each arm."""
    arms = trained(document)
    write = share if metric.endswith("accuracy") else amount
    longest = max((arm["curve"] for arm in arms), key=len)
    rows: list[Sequence[Cell]] = []
    for k, point in enumerate(longest):
        rows.append([
            str(point["step"]),
            *(_with_ends(arm["curve"][k][metric], write) if k < len(arm["curve"]) else "" for arm in arms),
        ])  # fmt: skip
    return Table(title, [both("step"), *(str(arm["label"]) for arm in arms)], [(None, rows)])


def modes_table(document: Document) -> Table:
    """The numbers of the two modes."""
    rows: list[Sequence[Cell]] = [[str(a["label"]), *map(part, mode_values(a))] for a in trained(document)]
    return Table(both("Accuracy in training and in evaluation."), [both("arm"), *modes()], [(None, rows)])


def layers_table(arm: Arm) -> Table:
    """Gradient norm and signal share of the drawn layers at every recorded step."""
    layers = arm["layers"]
    rows = chosen_rows(layers[0], _MOST_LAYERS) if layers else []
    head: list[Cell] = [both("step"), *(both("layer {layer}", layer=row + 1) for row in rows)]
    groups: list[tuple[Cell | None, Sequence[Sequence[Cell]]]] = []
    for title, name, write in ((both("gradient norm"), "grad_norm", _short), (both("signal share"), "signal", share)):
        lines = [
            [str(point["step"]), *(write(at[row][name]) for row in rows)]
            for point, at in zip(arm["curve"], layers, strict=False)
        ]
        groups.append((title, lines))
    return Table(_at(arm), head, groups)


def _short(value: Any) -> str:
    return amount(value, 2)
