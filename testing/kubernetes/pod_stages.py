"""Stages for kwok: what it does with nodes and pods, in place of a kubelet.

They are kwok's own fast stages. One condition is added, so that a real process can take the part of a pod's container:
while the annotation `aforo.test/process` says `awaited` the pod is not ready, and until it says `ended` the pod is not
deleted and its Job is not complete. A pod without the annotation is ready at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from testing.kubernetes.programs import KWOK, source

PROCESS = "aforo.test/process"
AWAITED, RUNNING, ENDED = "awaited", "running", "ended"
#: the values of the annotation at which kwok does nothing
HELD = {"pod-ready": [AWAITED], "pod-complete": [AWAITED, RUNNING], "pod-delete": [AWAITED, RUNNING]}


def write_stages(file: Path) -> None:
    """Write all stages to `file`."""
    stage = source(KWOK) / "kustomize/stage"
    folders = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
    files = [file for folder in folders for file in sorted((stage / folder).glob("*.yaml"))]
    documents = [yaml.safe_load(each.read_text(encoding="utf-8")) for each in files]
    stages = [_with_condition(document) for document in documents if document["kind"] == "Stage"]
    file.write_text(yaml.safe_dump_all(stages), encoding="utf-8")


def _with_condition(stage: dict[str, Any]) -> dict[str, Any]:
    values = HELD.get(stage["metadata"]["name"])
    if values is not None:
        condition = {"key": f'.metadata.annotations["{PROCESS}"]', "operator": "NotIn", "values": values}
        stage["spec"]["selector"]["matchExpressions"].append(condition)
    return stage
