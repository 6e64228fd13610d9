"""Run a race for somebody who waits: a table that lives while it runs, and what is finished kept when they stop it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from normlab.formatting import MISSING, number, share
from normlab.language import translate

from .speaking import language

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from normlab.experiments.train import Race

__all__ = ["LiveTable", "raced"]

BETWEEN_S = 0.1  # two pictures: faster than that nobody reads
BAR_CELLS = 16


class LiveTable:
    """A row for each arm, on stderr and only on a terminal: its learning rates so far, its numbers and a bar."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._rows: dict[str, Mapping[str, Any]] = {}
        self._drawn = 0.0

    def __enter__(self) -> LiveTable:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, done: int, total: int, label: str, standing: Mapping[str, Any]) -> None:
        """An arm has gone on; see `normlab.experiments.training.progress`."""
        self._rows[label] = standing
        now = time.monotonic()
        if self._live is not None and (done == total or now - self._drawn > BETWEEN_S):
            self._drawn = now
            self._live.update(self.table())

    def table(self) -> Table:
        """The rows as they stand."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        say = language()
        table = Table(box=None, pad_edge=False, expand=False)
        table.add_column(translate("norm", say), no_wrap=True, max_width=18)
        for head in ("lr", translate("step", say), translate("train loss", say), translate("test accuracy", say)):
            table.add_column(head, justify="right", no_wrap=True)
        table.add_column(translate("so far", say), no_wrap=True)
        for label, standing in self._rows.items():
            bar = ProgressBar(total=max(standing["of"], 1), completed=standing["taken"], width=BAR_CELLS)
            table.add_row(_plain(label), *_best(standing["rates"]), bar)
        return table


def _best(rates: Sequence[Mapping[str, Any]]) -> tuple[str, str, str, str]:
    """The learning rates so far with the best one marked, and its numbers; all diverged is said in their stead."""
    known = [rate for rate in rates if rate["train_loss"] is not None]
    best = min(known, key=lambda rate: float(rate["train_loss"]), default=None)  # test rows choose nothing
    tried = " ".join(f"{rate['lr']:g}" + "*" * (rate is best) for rate in rates[-4:])
    if best is None:
        lost = sum(rate["diverged"] for rate in rates)
        words = translate("{count} diverged", language(), count=lost) if lost else MISSING
        return tried, MISSING, MISSING, words
    return tried, str(best["step"]), number(best["train_loss"]), share(best["test_accuracy"])


def _plain(label: str) -> Any:
    """A label as it is: in a line of notation, brackets are no markup."""
    from rich.text import Text

    return Text(label)


def raced(methods: Sequence[str] | None, arguments: Mapping[str, Any]) -> tuple[Race, bool]:
    """The race, and whether Ctrl-C ended it early; then it holds the arms that were finished.

    Raises:
        KeyboardInterrupt: Ctrl-C before any arm was finished.
    """
    from normlab.experiments.train import Interrupted, run

    with LiveTable() as live:
        try:
            return run(methods, on_step=live, **arguments), False
        except Interrupted as stopped:
            if stopped.result is None:
                raise KeyboardInterrupt from None
            return stopped.result, True
