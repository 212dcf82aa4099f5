"""Write the Kustomize overlay with which the tests install the manifests in deploy/kubernetes.

The overlay sets the queue, the settings and the image tags. An SQS emulator takes the place of AWS. By default, scaling
is faster than in the manifests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testing.emulator import KEY, KEYS, ROOT
from testing.kubernetes.pod_stages import AWAITED, PROCESS
from testing.queues import TestQueue

#: times of the tests; the manifest has 15 s, 300 s, and a quarter of the pods in 60 s
POLLING_SECONDS = 5
SCALE_DOWN = {
    "stabilizationWindowSeconds": 10,
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
}


@dataclass(frozen=True)
class Overlay:
    """Values that the tests' Kustomize overlay sets.

    The field `queue` is the SQS queue of the workers. The field `endpoint_url` is the URL at which KEDA reads this
    queue. The field `settings` has further settings of Aforo.
    """

    queue: TestQueue
    endpoint_url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    #: True if a process is started for each worker pod, which is not ready before
    has_processes: bool = False
    #: False keeps the times of the manifest
    has_short_times: bool = True
    #: tag of the images of workers and exporters
    tag: str = "1"
    #: variables of the Job, an empty text removes one; None leaves the Job out
    run: Mapping[str, str] | None = None
    #: another folder of manifests than deploy/kubernetes
    manifests: Path = ROOT / "deploy/kubernetes"

    def write(self, folder: Path) -> Path:
        """Write the overlay's file kustomization.yaml into `folder`, and return `folder`."""
        folder.mkdir(exist_ok=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(self._kustomization(folder)), encoding="utf-8")
        return folder

    def _kustomization(self, folder: Path) -> dict[str, Any]:
        resources = [self.manifests, *([self.manifests / "run"] if self.run is not None else [])]
        literals = {"SQS_QUEUE_NAME": self.queue.name, "AWS_ENDPOINT_URL": self.queue.endpoint_url, **KEYS}
        settings = [f"{name}={value}" for name, value in (literals | self.settings).items()]
        generator = {"name": "aforo-settings", "namespace": "aforo", "behavior": "merge", "literals": settings}
        return {
            "resources": [os.path.relpath(each, folder.resolve()) for each in resources],
            "images": [{"name": f"aforo-{name}", "newTag": self.tag} for name in ("worker", "app")],
            "configMapGenerator": [generator],
            "patches": [{"patch": yaml.safe_dump(patch), **target} for target, patch in self._patches()],
        }

    def _patches(self) -> list[tuple[dict[str, Any], Any]]:
        patches: list[tuple[dict[str, Any], Any]] = [
            (_target("ScaledObject", "worker"), self._scaling()),
            (_target("TriggerAuthentication", "sqs"), _static_keys()),
        ]
        if self.has_processes:
            patches.append((_target("Deployment", "worker"), _pods("apps/v1", "Deployment", "worker", {})))
        if self.run is not None:
            patches.append((_target("Job", "run"), _pods("batch/v1", "Job", "run", self.run)))
        return patches

    def _scaling(self) -> list[dict[str, Any]]:
        metadata = "/spec/triggers/0/metadata"
        where = [
            {"op": "replace", "path": f"{metadata}/queueURL", "value": self.queue.url},
            {"op": "add", "path": f"{metadata}/awsEndpoint", "value": self.endpoint_url},
        ]
        down = "/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown"
        times = [
            {"op": "replace", "path": "/spec/pollingInterval", "value": POLLING_SECONDS},
            {"op": "replace", "path": down, "value": SCALE_DOWN},
        ]
        return where + (times if self.has_short_times else [])


def _target(kind: str, name: str) -> dict[str, Any]:
    return {"target": {"kind": kind, "name": name}}


def _pods(version: str, kind: str, name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the patch that lets pods wait for their process, and that sets variables. An empty value removes one."""
    env = [{"name": k, "value": v} if v else {"name": k, "$patch": "delete"} for k, v in variables.items()]
    pod = {"spec": {"containers": [{"name": name, "env": env}]}, "metadata": {"annotations": {PROCESS: AWAITED}}}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": {"template": pod}}


def _static_keys() -> list[dict[str, Any]]:
    """Return the patch that gives KEDA keys from a Secret, because the emulator knows no roles."""
    parameters = {"awsAccessKeyID": "AWS_ACCESS_KEY_ID", "awsSecretAccessKey": "AWS_SECRET_ACCESS_KEY"}
    references = [{"parameter": each, "name": "sqs-keys", "key": key} for each, key in parameters.items()]
    return [{"op": "replace", "path": "/spec", "value": {"secretTargetRef": references}}]


def keys_secret() -> dict[str, Any]:
    """Return the manifest of the Secret whose keys KEDA uses for requests to the SQS emulator."""
    metadata = {"name": "sqs-keys", "namespace": "aforo"}
    data = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
