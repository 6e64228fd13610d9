"""A Ray of two nodes on this machine, on loopback only, for as long as somebody listens: `kill` on stdin kills one node."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from typing import Any

from ray.cluster_utils import Cluster

from sweeping import descendants

NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "node_ip_address": "127.0.0.1", "include_dashboard": False}


def cut_off(node: Any) -> None:
    """Kill every process of a node, as a power cut would; killed alone, a raylet lets its workers finish their trial."""
    raylet = node.all_processes["raylet"][0].process.pid
    for number in [raylet, *descendants(raylet)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def main() -> None:
    """Print the address, do what is asked, and end with the input."""
    folder = tempfile.mkdtemp(prefix="ray")  # short: a socket's path has 107 characters
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": folder})
    second = cluster.add_node(**NODE)
    try:
        cluster.wait_for_nodes()
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                cut_off(second)
                print("killed", flush=True)
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
