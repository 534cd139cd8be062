"""Two workers of Dask, of one thread each, in a process of their own, which has seen no other test.

Prints the scheduler's address and the second worker's PID. Ends with its input, and with 1 if no
worker is left then.
"""

from __future__ import annotations

import sys
import tempfile

from distributed import LocalCluster


def main() -> None:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
            local_directory=folder,
            scheduler_kwargs={"local_directory": folder, "allowed_failures": 1},
        ) as cluster,
    ):
        print(cluster.scheduler_address, cluster.workers[1].pid, flush=True)
        sys.stdin.readline()
        left = len(cluster.scheduler.workers)
    sys.exit(0 if left else 1)


if __name__ == "__main__":
    main()
