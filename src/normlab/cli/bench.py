"""`normlab bench`: who is how fast on this machine, in the terminal, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from normlab.language import N_, translate

from .failing import complain
from .parameters import NUMBER, PATH, WHOLE
from .screen import look
from .speaking import flag, language, verb
from .streams import going_on, print_json
from .working import Bar
from .writing import check_outputs, write


@verb(
    "bench",
    usage="[METHOD ...] [--dtype NAME] [-o FILE.html] ...",
    help=N_(
        "Time each METHOD on every face of normlab, beside PyTorch (eager and compiled), NumPy, JAX, MLX and "
        "onnxruntime where they are installed; without any METHOD all of them. It takes some minutes."
    ),
    examples=[
        "normlab bench",
        "normlab bench ln rms --dtype bfloat16",
        "normlab bench bn --tier L3 --tier memory --threads 2 -o speed.html",
        'normlab bench ln --contestant "normlab torch" --contestant torch',
    ],
)
@click.argument("methods", nargs=-1)
@flag("--contestant", "contestants", type=PATH, multiple=True, metavar="NAME",
      help=N_("who takes part; repeatable; all whose package is installed by default"))
@flag("--dtype", metavar="NAME", help=N_("float32 (the default), float64, float16 or bfloat16"))
@flag("--pass", "passes", type=PATH, multiple=True, metavar="NAME",
      help=N_("forward, or both for forward and backward; repeatable; each by default"))
@flag("--tier", "tiers", type=PATH, multiple=True, metavar="NAME",
      help=N_("L1, L2, L3 or memory: the smallest cache that holds a case; repeatable; all by default"))
@flag("--threads", type=WHOLE, help=N_("how many processors may be used; 1 by default"))
@flag("--shapes", type=WHOLE, help=N_("shapes for each tier; 1 by default"))
@flag("--seconds", type=NUMBER, help=N_("how long each contestant is timed for each case; 0.1 by default"))
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report) or FILE.json; repeatable"))
def bench(
    methods: Sequence[str], outputs: Sequence[str], as_json: bool, lang: str, debug: bool, **given: Any
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `normlab.bench` returns."""
    from normlab import bench as run

    files = check_outputs(outputs)
    arguments = {name: value for name, value in given.items() if value not in (None, ())}
    say = language()
    with Bar(translate("timing", say)) as bar:
        result = run(list(methods) or None, on_case=bar, **arguments)
    document = result.to_dict()
    try:
        with going_on():
            if not as_json:
                click.echo(_text(document))
    finally:  # a table that cannot be shown is no reason to lose the files
        for path in files:
            write(path, result.to_html(say) if path.suffix.lower() == ".html" else result.to_json() + "\n")
            complain(translate("wrote {path}", say, path=path))
    if as_json:
        with going_on():
            print_json(result.to_json())


def _text(document: Any) -> str:
    from normlab.report import text

    how = look()
    return text(document, language(), color=how.color, width=how.width)
