"""Measure how long KEDA and Kubernetes take from a backlog to the planned number of replicas.

The command `capacity plan` computes this number. The manifests of deploy/kubernetes are applied with their own times on
a real control plane. Each repetition installs the manifests again, waits a random part of KEDA's polling interval, and
sends all messages at once. No container is started, so the measured time ends when the Deployment has the number of
replicas. The output is seconds per repetition.

    PYTHONPATH=. .venv/bin/python benchmarks/kubernetes_scaling.py [--messages 60] [--repeats 3]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from benchmarks.harness import emulator, machine, spread
from testing.fault_proxy import FaultProxy
from testing.kubernetes.control_plane import running_control_plane
from testing.kubernetes.installation import Installation
from testing.kubernetes.overlay import Overlay
from testing.kubernetes.programs import build_missing
from testing.polling import until
from testing.queues import QueueFactory

#: pollingInterval of the manifest
POLLING_SECONDS = 15
#: nothing connects to it
DATABASE_URL = "postgresql://nobody@127.0.0.1/none"


def main() -> None:
    """Print how many seconds the autoscaler takes from a backlog to the planned number of replicas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    build_missing()
    waits: list[float] = []
    with (
        emulator() as endpoint_url,
        FaultProxy(endpoint_url) as proxy,
        tempfile.TemporaryDirectory() as name,
        running_control_plane(Path(name)) as plane,
    ):
        for repeat in range(arguments.repeats):
            overlay = Overlay(QueueFactory(endpoint_url)(), proxy.url, has_short_times=False)
            installation = Installation(plane, overlay, proxy, Path(name) / f"overlay-{repeat}", DATABASE_URL)
            planned, seconds = measured(installation, arguments.messages)
            waits.append(seconds)
            installation.clear()
    print(machine())
    print(f"{arguments.messages} messages, {planned} replicas by the plan")
    print(f"seconds until the autoscaler wants them: {spread(waits)}")


def measured(installation: Installation, messages: int) -> tuple[int, float]:
    """Install Aforo, wait until one worker pod is ready, and send `messages` messages.

    Return the planned number of replicas, and the seconds from sending until the autoscaler wants this number.
    """
    installation.install()
    installation.await_condition("Ready", seconds=120)
    until(lambda: installation.ready_pods() == 1, "one worker pod is ready", 60, 0.5)
    planned = -(-messages // installation.planned_queue_length())
    time.sleep(random.uniform(0, POLLING_SECONDS))
    installation.send(messages)
    sent_at = time.monotonic()
    installation.await_replicas(planned, seconds=120)
    return planned, time.monotonic() - sent_at


if __name__ == "__main__":
    main()
