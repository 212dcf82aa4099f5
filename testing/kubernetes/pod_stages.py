"""Configure kwok, the program that changes the states of nodes and pods in place of a kubelet.

A pod's annotation `aforo.test/process` has the state of the process that replaces the pod's container. kwok makes the
pod ready only after the process has started. kwok deletes the pod only after the process has ended.
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
    """Write kwok's configuration to `file`: its rules (stages) for changing nodes and pods."""
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
