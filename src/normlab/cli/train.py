"""`normlab train`: a race of normalizations, in the terminal, as a report, as JSON and as figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from normlab.language import N_, translate

from .failing import INTERRUPTED, Stop, complain
from .keeping import keep
from .parameters import NUMBER, NUMBER_OR_NAME, NUMBERS, PATH, WHOLE
from .screen import look
from .speaking import flag, language, program, verb
from .streams import going_on, print_json
from .writing import check_figures, check_outputs

MOST_SEEDS = 100  # more are not proposed: what wants them hardly matters
FIRST_SEEDS = 5


@verb(
    "train",
    usage="[METHOD ...] [--data NAME] [-o FILE.html] ...",
    help=N_(
        "Train the same network under each METHOD, from the same weights on the same rows, each at the best of a few "
        "learning rates, and say which ones the seeds can tell apart. A METHOD is as in 'normlab compare'; without "
        "any: none bn ln gn."
    ),
    examples=[
        "normlab train",
        "normlab train none bn -o report.html",
        "normlab train none bn gn:groups=4 --net conv --steps 200",
        "normlab train bn ln --data moons --lr 0.01,0.1,1 --seeds 10",
    ],
)
@click.argument("methods", nargs=-1)
@flag("--data", type=PATH, metavar="NAME|FILE",
      help=N_("digits (the default), moons, circles, spirals, blobs, or a file or folder with classes"))
@flag("--net", metavar="NAME",
      help=N_("dense (the default), conv, or module:factory, a function of a norm that makes a torch network"))
@flag("--layers", type=WHOLE, help=N_("how many layers; 5 by default, of conv 3"))
@flag("--width", type=WHOLE, help=N_("units or channels of each layer; 100 by default, of conv 16"))
@flag("--activation", metavar="NAME", help=N_("sigmoid (the default), tanh, relu, gelu, selu, identity"))
@flag("--init", type=NUMBER_OR_NAME, help=N_("xavier (the default), he, lecun, glorot, or a standard deviation"))
@flag("--place", metavar="WHERE", help=N_("normalize before (the default) or after the activation"))
@flag("--bias/--no-bias", default=None, help=N_("biases in each layer, 0 at the start; the default"))
@flag("--optimizer", metavar="NAME", help=N_("sgd (the default), adam or adamw"))
@flag("--lr", type=NUMBERS, metavar="N,N,...",
      help=N_("learning rates, of which each METHOD gets its best; three by default"))
@flag("--momentum", type=NUMBER, help=N_("of sgd; 0.9 by default"))
@flag("--weight-decay", type=NUMBER, help=N_("0 by default"))
@flag("--batch", type=WHOLE, help=N_("rows a step; 64 by default"))
@flag("--steps", type=WHOLE, help=N_("how many steps; 300 by default"))
@flag("--seeds", type=WHOLE, help=N_("how many seeds; 5 by default, one allows no conclusion"))
@flag("--seed", type=WHOLE, help=N_("the first seed; 0 by default"))
@flag("--dtype", metavar="NAME", help=N_("float32 (the default) or float64"))
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report) or FILE.json; repeatable"))
@flag("--large", is_flag=True, help=N_("write the report even where it is larger than a page should be"))
@flag("--save-figures", type=PATH, metavar="DIR",
      help=N_("write each figure into DIR as SVG, with the plot extra as PNG too"))
def train(
    methods: Sequence[str], outputs: Sequence[str], large: bool, save_figures: str | None, as_json: bool,
    lang: str, debug: bool, **given: Any,
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `normlab.train` returns."""
    files = check_outputs(outputs)
    folder = check_figures(save_figures)
    arguments = {name: value for name, value in given.items() if value is not None}
    from .racing import raced

    race, stopped = raced(list(methods) or None, arguments)
    try:
        with going_on():
            if not as_json:
                show(race.to_dict(), bool(files))
    finally:  # a table that cannot be shown is no reason to lose the files
        stopped = keep(race, files, folder, large) or stopped
    if as_json:  # after the files: where one fails, the one document is about that
        with going_on():
            print_json(race.to_json())
    if stopped:
        complain(translate("interrupted; what was finished is kept", language()))
        raise Stop(INTERRUPTED)


def show(document: Mapping[str, Any], written: bool) -> None:
    """The table, and where one makes sense, a command that goes on from here."""
    from normlab.report import text

    say, how = language(), look()
    click.echo(text(document, say, color=how.color, width=how.width))
    trained = [arm for arm in document["arms"] if arm["refused"] is None]
    if not trained or document.get("interrupted"):
        return
    command = f"{program()}{document['command'].removeprefix('normlab')}"
    seeds = needed(document) if len(trained) > 1 else None
    if seeds is not None:
        command = re.sub(r" --seeds \d+(?= |$)", "", command)
        lead = translate("To tell them apart, more seeds:", say)
        click.echo(f"\n{lead}\n  {command} --seeds {seeds}")
    elif not written:
        lead = translate("As a report with curves, grid and layers over time:", say)
        click.echo(f"\n{lead}\n  {command} -o report.html")


def needed(document: Mapping[str, Any]) -> int | None:
    """How many seeds would let something be ranked; None where something is, or hardly anything would."""
    seeds = len(document["seeds"])
    if document["ranking"] is None or document["ranking"]["ranked"]:
        return None
    if seeds < FIRST_SEEDS:
        return FIRST_SEEDS
    known = [pair["seeds"]["needed"] for pair in document["contrasts"] if pair["seeds"] and pair["seeds"]["needed"]]
    fewest = min(known, default=None)
    return fewest if fewest is not None and seeds < fewest <= MOST_SEEDS else None
