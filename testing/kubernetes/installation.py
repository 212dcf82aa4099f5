"""Install Aforo in the Kubernetes control plane of a test. An emulator of SQS takes the place of AWS."""

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
    """Installation of Aforo in the namespace `aforo` of a Kubernetes control plane, for one test.

    The field `overlay` has the test's values for the Kustomize overlay. The overlay's files are written to `folder`.
    KEDA reads the queue through `proxy`, in which a test can inject faults.
    """

    plane: ControlPlane
    overlay: Overlay
    proxy: FaultProxy
    folder: Path
    database_url: str

    def change(self, **fields: Any) -> None:
        """Change fields of the test's Overlay. The next call of `install` or `apply` uses the new values."""
        self.overlay = replace(self.overlay, **fields)

    def install(self) -> None:
        """Run the kubectl commands that docs/operating.md gives for the installation, with the test's overlay.

        An existing namespace is kept.
        """
        folder = str(self.overlay.write(self.folder))
        for words in install_commands(self.database_url, self.database_url, folder):
            creates_namespace = words[:2] == ["create", "namespace"]
            if not creates_namespace or not self._has_namespace():
                self.plane.kubectl(*words)
            if creates_namespace:
                self.plane.apply(keys_secret())

    def apply(self) -> None:
        """Write the test's overlay with its current fields and apply it to the cluster."""
        self.plane.kubectl("apply", "-k", str(self.overlay.write(self.folder)))

    def differences(self) -> str:
        """Return the output of `kubectl diff`. It is empty if the cluster matches the written overlay."""
        answer = self.plane.kubectl("diff", "-k", str(self.folder), check=False)
        return answer.stdout + answer.stderr

    def expected(self) -> set[tuple[str, str]]:
        """Return kind and name of every Kubernetes object that the written overlay defines."""
        built = yaml.safe_load_all(self.plane.kubectl("kustomize", str(self.folder)).stdout)
        return {(each["kind"], each["metadata"]["name"]) for each in built}

    def created(self) -> set[tuple[str, str]]:
        """Return kind and name of each object of the written overlay that exists in the cluster."""
        answer = self.plane.kubectl("get", "-k", str(self.folder), "--ignore-not-found", "-o", "json")
        return {(each["kind"], each["metadata"]["name"]) for each in json.loads(answer.stdout)["items"]}

    def condition(self, name: str, of: str = "scaledobject/worker") -> Mapping[str, str]:
        """Return the condition `name`, such as `Ready`, from the status of the Kubernetes object `of`.

        Return an empty mapping if the object has no such condition.
        """
        conditions = self.plane.get(of).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == name), {})

    def await_condition(self, name: str, of: str = "scaledobject/worker", seconds: float = 60.0) -> None:
        """Wait until the condition `name` of the Kubernetes object `of` has the status True.

        Raise AssertionError after `seconds`. The error message shows the condition.
        """
        try:
            until(lambda: self.condition(name, of).get("status") == "True", f"{of} is {name}", seconds, 0.5)
        except AssertionError as late:
            raise AssertionError(f"{late}; it says {self.condition(name, of)}") from None

    def replicas(self) -> int:
        """Return the number of worker pods that the autoscaler wants."""
        return int(self.plane.get("deployment", "worker")["spec"]["replicas"])

    def await_replicas(self, number: int, seconds: float = 60.0) -> None:
        """Wait until the autoscaler wants `number` worker pods. Raise AssertionError after `seconds`."""
        until(lambda: self.replicas() == number, f"{number} replicas; there are {self.replicas()}", seconds, 0.5)

    def planned_queue_length(self) -> int:
        """Return the value for KEDA's `queueLength` that `capacity plan` prints: messages per worker.

        The command runs with the options in the annotation `aforo/plan` of the ScaledObject.
        """
        options = self.plane.get("scaledobject", "worker")["metadata"]["annotations"]["aforo/plan"]
        command = [sys.executable, "-m", "capacity", "plan", *shlex.split(options), "--json"]
        shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(json.loads(shown.stdout)["keda_queue_length"])

    def send(self, count: int) -> None:
        """Send `count` messages to the queue, only to make it longer. They are no valid Celery messages."""
        queue = self.overlay.queue
        for first in range(0, count, 10):
            numbers = range(first, min(first + 10, count))
            entries = [{"Id": str(number), "MessageBody": str(number)} for number in numbers]
            queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)

    def pods(self, name: str = "worker") -> list[Any]:
        """Return the pods with the label `app.kubernetes.io/name`=`name` that are not being deleted."""
        pods = self.plane.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, name: str = "worker") -> int:
        """Return the number of ready pods with the label `app.kubernetes.io/name`=`name`.

        The pods are counted one by one. In a control plane without containers, the number in the Deployment's status
        can be too low.
        """
        conditions = [each for pod in self.pods(name) for each in pod["status"].get("conditions", [])]
        return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def clear(self) -> None:
        """Delete workloads, pods, scaling objects, disruption budgets, volume claims and Secrets of Aforo.

        The namespace and its other objects stay.
        """
        kinds = "deployment,job,scaledobject,triggerauthentication,poddisruptionbudget,persistentvolumeclaim,secret"
        self.plane.kubectl("delete", kinds, "--all", "-n", NAMESPACE, "--wait=false")
        self.plane.kubectl("delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0")
        self.plane.kubectl("delete", "scaledobject,persistentvolumeclaim", "--all", "-n", NAMESPACE)

    def delete_namespace(self) -> None:
        """Delete Aforo's namespace with everything in it."""
        self.plane.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")

    def _has_namespace(self) -> bool:
        return self.plane.kubectl("get", "namespace", NAMESPACE, check=False).returncode == 0
