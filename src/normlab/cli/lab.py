"""`normlab lab`: the local page, served until Ctrl-C."""

from __future__ import annotations

import shlex

import click

from normlab.errors import UsageError
from normlab.language import N_, translate

from .envelope import Envelope
from .failing import complain
from .parameters import PATH, WHOLE
from .speaking import flag, language, verb

LARGEST_PORT = 65_535


@verb(
    "lab",
    usage="[--port N] [--no-open] [--host ADDRESS]",
    help=N_(
        "Open the lab, normlab on a page of this machine: networks under sliders, who shares a mean, training live, "
        "the guide, speed. Only this machine can reach it, unless --host says otherwise; then the link that is printed "
        "carries a token. Ctrl-C ends it."
    ),
    examples=["normlab lab", "normlab lab --port 0 --no-open", "normlab lab --host 0.0.0.0"],
)
@flag("--port", type=WHOLE, help=N_("the port; 0 for any free one. By default 8421, or the next that is free"))
@flag("--open/--no-open", "open_browser", default=True,
      help=N_("open the page in a browser, or only print its address"))
@flag("--host", type=PATH, default="127.0.0.1", metavar="ADDRESS",
      help=N_("the address of this machine to serve on; 127.0.0.1 by default"))
def lab(port: int | None, open_browser: bool, host: str, as_json: bool, lang: str, debug: bool) -> None:
    """The verb; it returns by Ctrl-C only."""
    if port is not None and not 0 <= port <= LARGEST_PORT:
        message = N_("{flag}: a whole number from 0 to {most} is required, got {came}.")
        raise UsageError(translate(message, language(), flag="--port", most=LARGEST_PORT, came=port))
    words = [] if port is None else ["--port", str(port)]
    words += [] if open_browser else ["--no-open"]
    words += [] if host == "127.0.0.1" else ["--host", shlex.quote(host)]
    settings = {"port": port, "host": host, "open": open_browser, "lang": language()}
    envelope = Envelope("lab", " ".join(["normlab", "lab", *words]), settings)
    from normlab.lab import serve
    from normlab.lab.serving import has_browser, is_loopback

    say = language()

    def ready(page: str, found: int) -> None:
        if as_json:
            envelope.print(address=page, port=found)
        else:
            click.echo(page)
        _say_how(say, port, found, is_loopback(host), open_browser and not has_browser())

    serve(port, host, open_browser=open_browser, lang=None if lang == "auto" else say, ready=ready)


def _say_how(say: str, asked: int | None, found: int, is_private: bool, has_no_browser: bool) -> None:
    """What to know about the address, on stderr."""
    from normlab.lab.serving import USUAL_PORT

    if asked is None and found != USUAL_PORT:
        complain(translate("port {usual} is in use, so this is port {found}.", say, usual=USUAL_PORT, found=found))
    if not is_private:
        complain(translate(
            "other machines can reach this address. Only who has the link with its token gets in; from another machine "
            "put this machine's name in place of the number.", say,
        ))  # fmt: skip
    if has_no_browser:
        complain(translate("there is no browser here; open the address in one.", say))
    complain(translate("Ctrl-C ends it.", say))
