"""`normlab info`: versions, the machine, which extras are present, and the line that installs each missing one."""

from __future__ import annotations

import click

from normlab.language import N_, translate

from .envelope import Envelope
from .screen import look
from .speaking import language, verb

PURPOSES = {
    "sklearn": N_("data.FeatureWise, the transformer that picks a scaler for each column"),
    "plot": N_("plot(), and figures as PNG"),
    "all": N_("every extra that adds something to use"),
    "test": N_("what the tests need"),
}


@verb(
    "info",
    usage="[--json]",
    help=N_("Say which versions and extras are installed, and how to install the others."),
    examples=["normlab info", "normlab info --json"],
)
def info(as_json: bool, lang: str, debug: bool) -> None:
    """The verb."""
    from .installed import BASE, extras_of, installed, needs

    envelope = Envelope("info", "normlab info", {"lang": language()})
    needed = needs()
    packages, extras = installed(needed[BASE]), extras_of(needed)
    if as_json:
        envelope.print(packages=packages, extras=extras)
        return
    from normlab.report.cells import columns, wrap
    from normlab.result import machine, versions

    say, width = language(), look().width
    own, where = versions(), machine()
    click.echo(f"normlab {own['normlab']}, Python {own['python']}")
    click.echo(translate("{system} {processor}, {cpus} processors", say, **where))
    click.echo("\n".join(wrap(", ".join(_named(packages)), width)))
    click.echo()
    click.echo(translate("Extras:", say))
    for name, extra in extras.items():
        state = ", ".join(_named(extra["packages"])) if extra["present"] else translate("not installed", say)
        purpose = translate(PURPOSES.get(name, ""), say) if name in PURPOSES else ""
        click.echo("\n".join(columns([(name, f"{purpose}: {state}" if purpose else state)], width, names=8)))
        if extra["install"]:
            click.echo(f"            {extra['install']}")


def _named(packages: dict[str, str | None]) -> list[str]:
    return [f"{name}\u00a0{number or '-'}" for name, number in packages.items()]
