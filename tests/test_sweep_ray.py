"""Sweeps on Ray: a cluster of two nodes on loopback that the test starts, and of which it kills one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from normlab.errors import MissingExtraError
from sweeping import TESTS, acknowledged, descendants, rows, run, spec, start, swept, table, until_dead

pytestmark = pytest.mark.usefixtures("folder")
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: the extra `ray` brings it")
GRID = spec(24, pause=0.4)


class Cluster(NamedTuple):
    """A Ray on this machine."""

    address: str
    process: subprocess.Popen[str]

    def kill_a_node(self) -> None:
        """Kill the second node as a power cut would."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two nodes of one processor each; every process of theirs is gone afterwards."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # Ray's way to say: on loopback only
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, str(TESTS / "ray_cluster.py")], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("127.0.0.1:"), process.communicate()
    below = descendants(process.pid)
    yield Cluster(address, process)
    below |= descendants(process.pid)
    process.communicate("", timeout=60)
    left = not until_dead(below)
    for one in below if left else ():
        os.kill(one, signal.SIGKILL)
    assert not left, "Ray has left processes behind"


def nodes(store: Path) -> int:
    """How many nodes have sent results."""
    return len({name.partition(", node ")[2] for (name,) in rows(store, "SELECT worker FROM attempts")})


@needs_ray
@pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters of several nodes on Linux only; this reads /proc too")
@pytest.mark.parametrize("number", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 5))])
def test_a_node_is_killed_and_then_the_driver_and_the_table_has_the_same_bytes(number: int, cluster: Cluster) -> None:
    swept(GRID, "local.db", "mixed")
    store, said = Path("ray.db"), ""
    with start(GRID, store, "mixed", engine="ray", address=cluster.address) as driver:
        assert driver.stdout is not None
        while not said or nodes(store) < 2:
            said += driver.stdout.readline()  # until both nodes have worked
            assert driver.poll() is None, driver.communicate()
        time.sleep(GRID["fixed"]["pause"] / 2)  # so that it is in the middle of its next trial
        cluster.kill_a_node()
        while not rows(store, "SELECT 1 FROM attempts WHERE outcome = 'died'"):
            said += driver.stdout.readline()
            assert driver.poll() is None, driver.communicate()
        driver.kill()
        said += driver.communicate()[0]
    assert 1 < len(acknowledged(said)) < 24
    out, err = run(GRID, store, "mixed", engine="ray", address=cluster.address)
    assert err == "" and len(acknowledged(said) | acknowledged(out)) == 24  # and Ray's own notes are not among the data
    assert table(store) == table("local.db")
    assert rows(store, "SELECT trial FROM attempts WHERE outcome = 'done' GROUP BY trial HAVING count(*) > 1") == []


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_a_ray_that_cannot_be_reached_is_the_line_that_starts_one(address: str) -> None:
    out, err = run(GRID, "a.db", engine="ray", address=address)
    assert out == "" and err.startswith(f"3 Ray cannot be reached at {address}: ") and "ray start --head" in err


def test_without_ray_there_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray is not installed.*\[ray\]") as refused:
        swept(GRID, "a.db", engine="ray")
    assert refused.value.code == 3


def test_what_other_threads_print_goes_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    from normlab.sweep.on_ray import Aside

    aside = Aside(sys.stdout)
    print("data", file=aside)  # type: ignore[call-overload]
    thread = threading.Thread(target=lambda: print("a note", file=aside))  # type: ignore[call-overload]
    thread.start()
    thread.join()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("data\n", "a note\n") and aside.encoding == sys.stdout.encoding
