"""`normlab compare`: the arms side by side, in the terminal, as a report, as JSON and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from normlab.language import N_, translate

from .failing import INTERRUPTED, Stop, complain
from .keeping import keep
from .parameters import NUMBER_OR_NAME, PATH, WHOLE
from .screen import look
from .speaking import flag, language, program, verb
from .streams import going_on, print_json
from .writing import check_figures, check_outputs

SEEDS_FOR_INTERVALS = 20


@verb(
    "compare",
    usage="[METHOD ...] [--preset NAME] [-o FILE.html] ...",
    help=N_(
        "Show what each METHOD does to the signal and the gradient, layer by layer. A METHOD is a name, a name with "
        "options, a line of notation, 'none', or 'all'; without any: none bn ln."
    ),
    examples=[
        "normlab compare",
        "normlab compare all --preset note-5 -o report.html",
        "normlab compare none bn gn:groups=4 --net conv --data digits",
        "normlab compare none 'n (g [c]) [...]:g=4' --layers 20 --seeds 5",
    ],
)
@click.argument("methods", nargs=-1)
@flag("--preset", metavar="NAME", help=N_("settings under a name, such as note-1, note-5, dlfs; flags given win"))
@flag("--data", type=PATH, metavar="NAME|FILE", help=N_("normal (the default), digits, or a file: .csv, .npy, .npz"))
@flag("--net", metavar="KIND", help=N_("dense (the default) or conv, 3 x 3 convolutions on images"))
@flag("--layers", type=WHOLE, help=N_("how many layers; 5 by default"))
@flag("--width", type=WHOLE, help=N_("units or channels of each layer; 100 by default"))
@flag("--batch", type=WHOLE, help=N_("how many inputs; 1000 by default"))
@flag("--activation", metavar="NAME", help=N_("sigmoid (the default), tanh, relu, gelu, selu, identity"))
@flag("--init", type=NUMBER_OR_NAME, help=N_("xavier (the default), he, lecun, glorot, or a standard deviation"))
@flag("--bias/--no-bias", default=None, help=N_("random biases in each layer; none by default"))
@flag("--place", metavar="WHERE", help=N_("normalize before (the default) or after the activation"))
@flag("--top", metavar="KIND", help=N_("what comes down from above: cotangent (random; the default) or loss"))
@flag("--cotangents", type=WHOLE, help=N_("how many random cotangents; 8 by default"))
@flag("--dtype", metavar="NAME", help=N_("float64 (the default) or float32"))
@flag("--seeds", type=WHOLE, help=N_("how many seeds; from 2 on with intervals of 95 %"))
@flag("--seed", type=WHOLE, help=N_("the first seed; 0 by default"))
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report) or FILE.json; repeatable"))
@flag("--large", is_flag=True, help=N_("write the report even where it is larger than a page should be"))
@flag("--save-figures", type=PATH, metavar="DIR",
      help=N_("write each figure into DIR as SVG, with the plot extra as PNG too"))
def compare(
    methods: Sequence[str], outputs: Sequence[str], large: bool, save_figures: str | None, as_json: bool,
    lang: str, debug: bool, **given: Any,
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `normlab.compare` returns."""
    files = check_outputs(outputs)
    folder = check_figures(save_figures)
    arguments = {name: value for name, value in given.items() if value is not None}
    from .working import compared

    comparison, stopped = compared(list(methods) or None, arguments)
    document = comparison.to_dict()
    try:
        with going_on():
            if not as_json:
                show(document)
    finally:  # a table that cannot be shown is no reason to lose the files
        stopped = keep(comparison, files, folder, large) or stopped
    if as_json:  # after the files: where one fails, the one document is about that
        with going_on():
            print_json(comparison.to_json())
    if stopped:
        complain(translate("interrupted; what was finished is kept", language()))
        raise Stop(INTERRUPTED)
    if comparison.exit_code:
        complain(not_finite(document))
        raise Stop(comparison.exit_code)


def show(document: Mapping[str, Any]) -> None:
    """The table, and where it holds numbers, as last lines a command that goes on from here."""
    from normlab.report.table import table

    say, how = language(), look()
    click.echo(table(document, say, color=how.color, width=how.width))
    if document["nonfinite"] or not any(arm["layers"] for arm in document["arms"]):
        return  # more of this would be no better
    seeds, more = document["settings"]["seeds"], " -o report.html"
    if seeds == 1:
        seeds, more = SEEDS_FOR_INTERVALS, f" --seeds {SEEDS_FOR_INTERVALS}"
        text = translate("1 seed, at initialization. With intervals over {seeds} seeds:", say, seeds=seeds)
    else:
        text = translate("{seeds} seeds, at initialization. As a report with every picture:", say, seeds=seeds)
    click.echo(f"\n{text}\n  {program()}{document['command'].removeprefix('normlab')}{more}")


def not_finite(document: Mapping[str, Any]) -> str:
    """The sentence for exit code 4: where numbers first stopped being finite, and how many."""
    say, found = language(), document["nonfinite"]
    if found["arm"] is None:
        return translate("values that are not finite in the data: {count}; they enter layer 1.", say, **found)
    return translate("values that are not finite in layer {layer} of {arm}: {count}", say, **found)
