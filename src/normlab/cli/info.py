"""`normlab info`: versions, the machine, which faces and extras there are, the line that installs each missing one."""

from __future__ import annotations

from typing import Any

import click

from normlab.language import N_, translate

from .envelope import Envelope
from .screen import look
from .speaking import language, verb

NAMES = 8
"""Cells for the names of faces and extras."""
PURPOSES = {
    "fast": N_("compiled kernels on the CPU, for NumPy and PyTorch"),
    "torch": N_("nl.torch, layers for PyTorch"),
    "jax": N_("nl.jax, functions and layers for JAX"),
    "flax": N_("nl.jax.nnx, modules for Flax"),
    "mlx": N_("nl.mlx, modules for MLX"),
    "sklearn": N_("data.FeatureWise, the transformer that picks a scaler for each column"),
    "plot": N_("plot(), and figures as PNG"),
    "images": N_("train on a folder of images"),
    "ray": N_("sweeps on several machines"),
    "safetensors": N_("nl.migrate_reparam on .safetensors files"),
    "export": N_("a sweep's table as Parquet"),
    "all": N_("every extra that adds something to use"),
    "test": N_("what the tests need"),
}

WHETHER = {True: N_("installed"), False: N_("not installed")}


@verb(
    "info",
    usage="[--json]",
    help=N_("Say which versions and extras are installed, and how to install the others."),
    examples=["normlab info", "normlab info --json"],
)
def info(as_json: bool, lang: str, debug: bool) -> None:
    """The verb."""
    from .first_call import kernels
    from .installed import BASE, extras_of, faces_of, installed, needs

    envelope = Envelope("info", "normlab info", {"lang": language()})
    needed = needs()
    packages, faces, extras = installed(needed[BASE]), faces_of(needed), extras_of(needed)
    if as_json:
        envelope.print(packages=packages, faces=faces, kernels=kernels(), extras=extras)
        return
    from normlab.report.cells import columns, wrap
    from normlab.result import machine, versions

    say, width = language(), look().width
    own, where = versions(), machine()
    click.echo(f"normlab {own['normlab']}, Python {own['python']}")
    click.echo(translate("{system} {processor}, {cpus} processors", say, **where))
    click.echo("\n".join(wrap(", ".join(_named(packages)), width)))
    click.echo()
    click.echo(translate("Faces:", say))
    rows = [(name, ", ".join(_named(face["packages"]))) for name, face in faces.items()]
    click.echo("\n".join(columns(rows, width, names=NAMES)))
    click.echo()
    click.echo(translate("Kernels:", say))
    click.echo("\n".join(wrap(_kernels(kernels(), say), width, indent=2)))
    click.echo()
    click.echo(translate("Extras:", say))
    for name, extra in extras.items():
        whether = WHETHER[extra["present"]]
        state = _state(name, extras) or translate(whether, say)
        purpose = translate(PURPOSES.get(name, ""), say) if name in PURPOSES else ""
        click.echo("\n".join(columns([(name, f"{purpose}: {state}" if purpose else state)], width, names=NAMES)))
        if extra["install"]:
            click.echo(f"            {extra['install']}")


def _named(packages: dict[str, str | None]) -> list[str]:
    return [f"{name}\u00a0{number or '-'}" for name, number in packages.items()]


def _state(name: str, extras: dict[str, dict[str, Any]]) -> str:
    """The versions of what this extra adds to the extras that it brings, and of what they lack."""
    mine = extras[name]["packages"]
    brought = {p for other, extra in extras.items() if other != name and set(extra["packages"]) < set(mine)
               for p in extra["packages"]}  # fmt: skip
    shown = {p: number for p, number in mine.items() if p not in brought or number is None}
    return ", ".join(_named(shown)) if any(mine.values()) else ""


def _kernels(found: dict[str, Any], say: str) -> str:
    if not found["present"]:
        return translate("none, everything is computed by the formula: Numba is not installed (extra fast)", say)
    if "why" in found or not found["kernels"]:
        return translate("none ran, everything is computed by the formula: {why}", say, why=found.get("why", "-"))
    cost = N_("the first call of a kernel took {seconds:.2f} s: read from the disk, where it was kept compiled")
    if not found["from_cache"]:
        cost = N_("the first call of a kernel took {seconds:.2f} s: compiled now, from now on read from the disk")
    elif found["compile_s"] is not None:
        cost = N_("the first call of a kernel took {seconds:.2f} s: read from the disk (compiled in {compiling:.2f} s)")
    threads = translate("Numba, {threads} threads", say, threads=found["threads"])
    return f"{threads}; {translate(cost, say, seconds=found['first_call_s'], compiling=found['compile_s'])}"
