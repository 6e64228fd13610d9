"""A Ray of two nodes on this machine, on loopback only, for as long as somebody listens: `kill` on stdin kills one node."""

from __future__ import annotations

import shutil
import sys
import tempfile

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "node_ip_address": "127.0.0.1", "include_dashboard": False}


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
                second.kill_raylet()
                print("killed", flush=True)
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
