"""Speed: what this machine measured, when and with what; and a button that measures it here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ... import registry
from ...benchmark import suite
from ...benchmark.contestants import CONTESTANTS, present
from ...benchmark.race import command
from ...constraints import OneOf
from ...errors import install_line, missing_extra
from ...language import both
from ...report.speed import speed
from ..fields import Field, State, Text
from ..measuring import Measurement
from ..view import Asked, Computing, Shown, View, render

__all__ = ["VIEW"]

SECONDS = 0.1  # for each contestant and case, as the terminal's verb has it
SLOW = "torch compiled"
"""Left out unless asked for: compiling takes longer than everything else together."""
ALL = "all"
FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "mlx": "MLX"}
PASSES = {"forward": both("forward"), "both": both("forward and backward")}


def _methods() -> list[tuple[str, str | Text]]:
    """What can be timed alone."""
    alone = (d for d in registry.methods() if d.role not in ("input", "condition"))
    return [(d.name, {"en": d.title, "ko": d.title_ko}) for d in alone]


class Speed(View):
    """The latest measurement of this process."""

    name, place, path, title = "speed", 5, "/speed", both("Speed")
    template, script = "speed_page.html", "speed.js"
    fields = (
        Field("method", both("method"), "layer_norm", OneOf(*(name for name, _ in _methods())), "choice", _methods()),
        Field("against", both("frameworks"), ALL, OneOf(ALL, *FRAMEWORKS), "choice",
              [(ALL, both("all that are installed")), *FRAMEWORKS.items()]),
        Field("tier", both("cache that holds it"), "L2", OneOf(*suite.TIERS), "choice",
              [(tier, both("none: memory") if tier == suite.TIERS[-1] else tier) for tier in suite.TIERS]),
        Field("dtype", both("element type"), "float32", OneOf(*suite.DTYPES), "choice", [(d, d) for d in suite.DTYPES]),
        Field("passes", both("pass"), "forward", OneOf(*PASSES), "choice", list(PASSES.items())),
        Field("compiled", both("with torch.compile (takes longer)"), False, OneOf(True, False), "switch"),
    )

    def __init__(self) -> None:
        self.measurement = Measurement()

    def show(self, asked: Asked) -> Shown:
        settings, measured = self.settings(asked.state), self.measurement
        chapter = None if measured.document is None else speed(measured.document, 1, asked.lang)
        when = "" if measured.finished is None else measured.finished.strftime("%Y-%m-%d %H:%M")
        html = render(
            "speed_results.html", asked.lang, c=chapter, when=when, absent=_absent(), progress=measured.progress,
            say=_words(),
        )  # fmt: skip
        said = {k: settings[k] for k in ("contestants", "dtype", "passes", "tiers", "seconds")}
        if set(said["contestants"]) == set(present()):
            del said["contestants"]
        words = ", ".join([repr(settings["methods"]), *(f"{name}={value!r}" for name, value in said.items())])
        python = f"import normlab as nl\n\nprint(nl.bench({words}))\n"
        return Shown(html, command(settings), python, measured.document, None if chapter is None else chapter.headline)

    def context(self, asked: Asked) -> dict[str, Any]:
        return {"say": _words(), "running": self.measurement.progress.running}

    def settings(self, state: State) -> dict[str, Any]:
        """A short benchmark: one method, a shape for each order of axes, and who is installed of those asked for."""
        names = [name for name in present() if state["compiled"] or name != SLOW]
        if state["against"] != ALL:
            names = [name for name in names if CONTESTANTS[name].needs == state["against"]]
        return {
            "methods": [state["method"]], "contestants": names, "dtype": state["dtype"], "passes": [state["passes"]],
            "tiers": [state["tier"]], "threads": 1, "shapes": 1, "seconds": SECONDS,
        }  # fmt: skip

    def routes(self, compute: Computing) -> list[BaseRoute]:
        from ..application import asked_of, body_of

        async def start(request: Request) -> Response:
            asked, _ = asked_of(self, await body_of(request))
            settings = self.settings(asked.state)
            if not settings["contestants"]:
                raise missing_extra(asked.state["against"], asked.state["against"])
            self.measurement.start(settings)
            return JSONResponse(self.measurement.progress.to_dict(), 202)

        async def stop(request: Request) -> Response:
            self.measurement.stop()
            return JSONResponse(self.measurement.progress.to_dict(), 202)

        async def progress(request: Request) -> Response:
            return JSONResponse(self.measurement.progress.to_dict())

        compute.at_close(self.measurement.stop)
        return [
            Route("/api/speed/start", start, methods=["POST"]), Route("/api/speed/stop", stop, methods=["POST"]),
            Route("/api/speed/progress", progress),
        ]  # fmt: skip


def _absent() -> list[tuple[str, str]]:
    """Who cannot be timed here, with the line that installs what is missing."""
    here = present()
    return [(c.name, install_line(c.extra)) for c in CONTESTANTS.values() if c.name not in here]


def _words() -> dict[str, Text]:
    return {
        "measure": both("Measure here"),
        "stop": both("Stop"),
        "running": both("Measuring. Other work on this machine disturbs it: leave it alone until it is done."),
        "none": both("Nothing has been measured here yet."),
        "how": both(
            "One method and one size, in processes of their own: some seconds for one framework, half a minute for "
            "all. In a terminal, normlab bench times everything."
        ),
        "when": both("Measured on this machine:"),
        "kept": both("It is kept until the lab ends; save it as HTML to keep it longer."),
        "script": both("Without script nothing can be measured from here; the command below does it."),
    }


VIEW = Speed()
