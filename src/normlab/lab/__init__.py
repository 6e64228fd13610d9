"""The lab: normlab on a page of this machine, with sliders. Nothing is imported before it is served."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["serve"]


def serve(
    port: int | None = None, host: str = "127.0.0.1", *, open_browser: bool = True, lang: str | None = None,
    ready: Callable[[str, int], None] | None = None,
) -> None:  # fmt: skip
    """Serve the lab until Ctrl-C.

    Args:
        port: 0 for any free one; None for the usual one, or the next that is free.
        host: an address of this machine; one that others can reach requires a token, which the printed link brings.
        open_browser: show the page in the user's browser.
        lang: the language of the first page, "en" or "ko"; None for the browser's.
        ready: called with the address and the port once the page can be opened; None prints the address.

    Raises:
        ReadWriteError: the port is taken, or the address is not one of this machine.
        KeyboardInterrupt: Ctrl-C, after everything has been closed.
    """
    from .serving import serve as run

    run(port, host, open_browser=open_browser, lang=lang, ready=ready)
