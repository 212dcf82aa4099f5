"""Aforo in a namespace of the control plane, with the emulator in place of AWS."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from testing.emulator import ROOT
from testing.fault_proxy import FaultProxy
from testing.kubernetes.control_plane import ControlPlane
from testing.kubernetes.documented_commands import install_commands
from testing.kubernetes.overlay import Overlay, keys_secret
from testing.polling import until

NAMESPACE = "aforo"


@dataclass
class Installation:
    """The installed objects. `proxy` stands between KEDA and the emulator."""

    plane: ControlPlane
    overlay: Overlay
    proxy: FaultProxy
    folder: Path
    database_url: str

    def change(self, **fields: Any) -> None:
        """Change fields of the overlay. They take effect with the next `install` or `apply`."""
        self.overlay = replace(self.overlay, **fields)

    def install(self) -> None:
        """Run the commands of the documentation. An existing namespace is used again."""
        folder = str(self.overlay.write(self.folder))
        for words in install_commands(self.database_url, self.database_url, folder):
            creates_namespace = words[:2] == ["create", "namespace"]
            if not creates_namespace or not self._has_namespace():
                self.plane.kubectl(*words)
            if creates_namespace:
                self.plane.apply(keys_secret())

    def apply(self) -> None:
        """Apply the overlay as it is now."""
        self.plane.kubectl("apply", "-k", str(self.overlay.write(self.folder)))

    def differences(self) -> str:
        """Return what `kubectl diff` prints: nothing if the cluster is as the overlay says."""
        answer = self.plane.kubectl("diff", "-k", str(self.folder), check=False)
        return answer.stdout + answer.stderr

    def expected(self) -> set[tuple[str, str]]:
        """Return kind and name of every object of the overlay."""
        built = yaml.safe_load_all(self.plane.kubectl("kustomize", str(self.folder)).stdout)
        return {(each["kind"], each["metadata"]["name"]) for each in built}

    def created(self) -> set[tuple[str, str]]:
        """Return kind and name of every object of the overlay that the API server has."""
        answer = self.plane.kubectl("get", "-k", str(self.folder), "--ignore-not-found", "-o", "json")
        return {(each["kind"], each["metadata"]["name"]) for each in json.loads(answer.stdout)["items"]}

    def condition(self, name: str, of: str = "scaledobject/worker") -> Mapping[str, str]:
        """Return a condition of an object, or nothing if it has none of this name."""
        conditions = self.plane.get(of).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == name), {})

    def await_condition(self, name: str, of: str = "scaledobject/worker", seconds: float = 60.0) -> None:
        """Wait until a condition of an object is True."""
        try:
            until(lambda: self.condition(name, of).get("status") == "True", f"{of} is {name}", seconds, 0.5)
        except AssertionError as late:
            raise AssertionError(f"{late}; it says {self.condition(name, of)}") from None

    def replicas(self) -> int:
        """Return the number of worker pods that the autoscaler wants."""
        return int(self.plane.get("deployment", "worker")["spec"]["replicas"])

    def await_replicas(self, number: int, seconds: float = 60.0) -> None:
        """Wait until the autoscaler wants this number of worker pods."""
        until(lambda: self.replicas() == number, f"{number} replicas; there are {self.replicas()}", seconds, 0.5)

    def planned_queue_length(self) -> int:
        """Return the messages per worker that `capacity plan` prints for the annotation of the ScaledObject."""
        options = self.plane.get("scaledobject", "worker")["metadata"]["annotations"]["aforo/plan"]
        command = [sys.executable, "-m", "capacity", "plan", *shlex.split(options), "--json"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(json.loads(shown.stdout)["keda_queue_length"])

    def send(self, count: int) -> None:
        """Send messages to the queue, which no worker of ours would understand."""
        queue = self.overlay.queue
        for first in range(0, count, 10):
            numbers = range(first, min(first + 10, count))
            entries = [{"Id": str(number), "MessageBody": str(number)} for number in numbers]
            queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)

    def pods(self, name: str = "worker") -> list[Any]:
        """Return the pods with this name label that are not being deleted."""
        pods = self.plane.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, name: str = "worker") -> int:
        """Return the number of ready pods with this name label.

        The status of a Deployment can miss a pod that kwok makes ready in the moment of its creation.
        """
        conditions = [each for pod in self.pods(name) for each in pod["status"].get("conditions", [])]
        return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def clear(self) -> None:
        """Delete what runs, what scales it, and the claims and keys. The namespace and the rest stay."""
        kinds = "deployment,job,scaledobject,triggerauthentication,poddisruptionbudget,persistentvolumeclaim,secret"
        self.plane.kubectl("delete", kinds, "--all", "-n", NAMESPACE, "--wait=false")
        self.plane.kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0")
        self.plane.kubectl("delete", "scaledobject,persistentvolumeclaim", "--all", "-n", NAMESPACE)

    def delete_namespace(self) -> None:
        """Delete the namespace with everything in it."""
        self.plane.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")

    def _has_namespace(self) -> bool:
        return self.plane.kubectl("get", "namespace", NAMESPACE, check=False).returncode == 0
