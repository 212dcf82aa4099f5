"""Configure kwok, the program that plays the kubelet and changes the state of nodes and pods.

kwok changes a state by a rule, such as the rule that makes a pod ready. kwok calls these rules stages. The tests use
rules that come with kwok.

A test can run a real process in place of a pod's container. The pod's annotation `aforo.test/process` then has the
state of this process: `awaited` (not started yet), `running` or `ended`. This module makes three rules of kwok depend
on the annotation:

- kwok makes the pod ready only if the process is `running` or `ended`.
- kwok completes the pod only if the process is `ended`.
- kwok deletes the pod only if the process is `ended`.

The rules stay unchanged for a pod without the annotation.
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
