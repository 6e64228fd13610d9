"""Run the notebooks of this folder again and keep what they show: python examples/execute.py

Needs the extra `test`. Edit a notebook as you like, then run this: its outputs are written anew, and what would differ
from run to run (times, ids, the versions of tools) is left out. A test runs the notebooks and compares.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PATIENCE_S = 120


def execute(path: Path) -> Any:
    """The notebook of `path`, executed in an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    # Drawings go into the notebook, whatever the surroundings are used to; messages in the notebook's own language.
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=PATIENCE_S,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
    for cell in notebook.cells:
        cell.metadata = {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    import argparse

    import nbformat

    parser = argparse.ArgumentParser(description="Run notebooks again and keep what they show.")
    parser.add_argument("files", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    parser.add_argument("-o", "--output", type=Path, default=None, help="write them there, and leave these as they are")
    given = parser.parse_args()
    for path in given.files:
        target = (given.output or path.parent) / path.name
        nbformat.write(execute(path), target)
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
