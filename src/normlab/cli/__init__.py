"""The command line: `normlab` followed by a verb. One file per verb; nothing heavy is imported before it is needed."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: what follows `normlab`; the process's own arguments where None.

    Returns:
        0 done, 1 a fault found, 2 usage, 3 an extra is missing, 4 not finite, 5 reading or writing, 130 interrupted,
        70 a defect of normlab itself.
    """
    try:
        from normlab.cli.app import serve

        return serve(arguments)
    except KeyboardInterrupt:  # before or between the parts that have more to say about it
        return 130
