"""Run stand-ins: processes of this machine in place of the containers of pods.

A stand-in has the command and the environment of its pod's container. When the pod is deleted, the stand-in gets
SIGTERM, and SIGKILL after the pod's grace period.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from testing.emulator import ROOT
from testing.kubernetes.containers import command_of, environment_of
from testing.kubernetes.control_plane import ControlPlane
from testing.kubernetes.pod_stages import ENDED, PROCESS, RUNNING
from testing.ports import free_port

PODS = "/api/v1/namespaces/aforo/pods"
#: CMD of the images whose pods name no command
COMMANDS = {"worker": ["python", "-m", "worker"]}
#: pods share the ports of this machine, so each gets a free one
PORT_VARIABLES = {"worker": "AFORO_WORKER_METRICS_PORT"}
INTERVAL_SECONDS = 0.5


@dataclass
class StandIn:
    """Process that runs on this machine in place of the container of one pod."""

    pod: str
    image: str
    process: subprocess.Popen[bytes]
    folder: Path
    port: int
    was_ready: bool = False
    #: when SIGKILL is due, as monotonic time; None while the pod is not deleted
    kill_at: float | None = None

    def log_text(self) -> str:
        """Return all output of this process."""
        return (self.folder / "log").read_text(errors="replace")

    def has_ended(self) -> bool:
        """Return True if the process does not run any more."""
        return self.process.poll() is not None

    def is_ready(self, container: Mapping[str, Any]) -> bool:
        """Return True if the process passes the startup probe of `container`, or if there is no such probe."""
        if "startupProbe" not in container:
            return True
        path = container["startupProbe"]["httpGet"]["path"]
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@dataclass
class StandIns:
    """Processes of this machine that take the place of the containers of one program's pods.

    The field `name` is the name of the program, such as `worker`. The pods have this name in the label
    `app.kubernetes.io/name`.
    """

    plane: ControlPlane
    name: str
    folder: Path
    #: variables that the container would have by its image, such as PATH
    base: Mapping[str, str]
    all: dict[str, StandIn] = field(default_factory=dict)
    #: time and number of the ready pods, at each change
    history: list[tuple[float, int]] = field(default_factory=list)
    #: per pod, why its process did not end as it should
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def targets_file(self) -> Path:
        """Return the path of the file that tells Prometheus the addresses of the ready processes."""
        return self.folder / "targets.json"

    def ready(self) -> list[StandIn]:
        """Return the local processes in place of pods that have become ready and are not being stopped."""
        return [each for each in list(self.all.values()) if each.was_ready and each.kill_at is None]

    def tick(self) -> None:
        """Read the pods once. Start a process for each new pod, and stop the process of each deleted pod.

        Also run the startup probe of each process that is not ready yet.
        """
        _, pods = self.plane.request(f"{PODS}?labelSelector=app.kubernetes.io/name%3D{self.name}")
        for pod in pods["items"]:
            self._tend(pod)
        number = len(self.ready())
        if not self.history or self.history[-1][1] != number:
            self.history.append((time.time(), number))
            self._write_targets()

    def _tend(self, pod: Mapping[str, Any]) -> None:
        name, is_deleted = pod["metadata"]["name"], "deletionTimestamp" in pod["metadata"]
        known = self.all.get(name)
        if known is None:
            if is_deleted:
                self._annotate(name, ENDED)
            elif "nodeName" in pod["spec"]:
                self.all[name] = self._start(pod)
        elif is_deleted:
            self._stop(known, pod["metadata"]["deletionGracePeriodSeconds"])
        elif known.has_ended():
            self._end(known, pod)
        elif not known.was_ready and known.is_ready(pod["spec"]["containers"][0]):
            known.was_ready = True
            self._annotate(name, RUNNING)

    def _start(self, pod: Mapping[str, Any]) -> StandIn:
        (container,) = pod["spec"]["containers"]
        folder, port = self.folder / pod["metadata"]["name"], free_port()
        folder.mkdir()
        environment = self.base | environment_of(self.plane, container, folder)
        if self.name in PORT_VARIABLES:
            environment[PORT_VARIABLES[self.name]] = str(port)
        command = command_of(container, COMMANDS.get(self.name, []))
        with (folder / "log").open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
        return StandIn(folder.name, container["image"], process, folder, port)

    def _stop(self, known: StandIn, grace_seconds: float) -> None:
        """Send SIGTERM, and SIGKILL after the grace period. Let the pod go once the process has ended."""
        if known.kill_at is None:
            known.kill_at = time.monotonic() + grace_seconds
            known.process.send_signal(signal.SIGTERM)
        if not known.has_ended() and time.monotonic() > known.kill_at:
            self.failures[known.pod] = f"killed after its grace period of {grace_seconds} s"
            os.killpg(known.process.pid, signal.SIGKILL)
            known.process.wait()
        if known.has_ended():
            self._annotate(known.pod, ENDED)

    def _end(self, known: StandIn, pod: Mapping[str, Any]) -> None:
        """Report a process that ended by itself, which only those of a Job may do."""
        if pod["spec"]["restartPolicy"] == "Never" and known.process.returncode == 0:
            self._annotate(known.pod, ENDED)
        else:
            self.failures[known.pod] = f"exit status {known.process.returncode}: {known.log_text()[-2000:]}"

    def _annotate(self, pod: str, value: str) -> None:
        self.plane.request(f"{PODS}/{pod}", "PATCH", {"metadata": {"annotations": {PROCESS: value}}})

    def _write_targets(self) -> None:
        targets = [f"127.0.0.1:{each.port}" for each in self.ready()]
        new = self.targets_file.with_suffix(".new")
        new.write_text(json.dumps([{"targets": targets}]), encoding="utf-8")
        new.replace(self.targets_file)


@contextmanager
def stand_ins(plane: ControlPlane, name: str, folder: Path, base: Mapping[str, str]) -> Iterator[StandIns]:
    """Context manager: run one process for each pod with the label `app.kubernetes.io/name` = `name`.

    The processes write their logs into the new folder `folder`. `base` has the environment variables of the container
    image. At the end of the block, the processes are killed.
    """
    folder.mkdir()
    group, stopped = StandIns(plane, name, folder, base), threading.Event()

    def loop() -> None:
        while not stopped.wait(INTERVAL_SECONDS):
            group.tick()

    thread = threading.Thread(target=loop, name="stand-ins", daemon=True)
    thread.start()
    try:
        yield group
    finally:
        stopped.set()
        thread.join()
        for each in group.all.values():
            with suppress(ProcessLookupError):
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
