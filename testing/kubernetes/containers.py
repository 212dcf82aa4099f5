"""Translate a pod's container into the command and environment of an ordinary process on this machine."""

from __future__ import annotations

import base64
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testing.kubernetes.control_plane import ControlPlane

TEMPORARY = "/tmp"  # noqa: S108


def command_of(container: Mapping[str, Any], default: list[str]) -> list[str]:
    """Return the command of a container, or `default` if it has none.

    `python` in the command becomes the path of the Python that runs this test.
    """
    command = container.get("command", default)
    return [sys.executable if word == "python" else _with_own_python(word) for word in command]


def environment_of(plane: ControlPlane, container: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the environment variables for the process that takes the place of a container.

    Each volume of the container becomes a subfolder of `folder`. A value that is a path in a volume becomes the path in
    the subfolder. For a volume at /tmp, only TMPDIR is set.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= plane.get("configmap", source["configMapRef"]["name"])["data"]
    variables |= {each["name"]: _value(plane, each) for each in container.get("env", [])}
    mounts = {mount["mountPath"]: folder / mount["name"] for mount in container.get("volumeMounts", [])}
    for mounted in mounts.values():
        mounted.mkdir(exist_ok=True)
    # the test has its own files in /tmp, so values with paths in /tmp stay unchanged
    temporary = {"TMPDIR": str(mounts.pop(TEMPORARY))} if TEMPORARY in mounts else {}
    return {name: _moved(value, mounts) for name, value in variables.items()} | temporary


def _value(plane: ControlPlane, variable: Mapping[str, Any]) -> str:
    if "value" in variable:
        return str(variable["value"])
    reference = variable["valueFrom"]["secretKeyRef"]
    return base64.b64decode(plane.get("secret", reference["name"])["data"][reference["key"]]).decode()


def _moved(value: str, mounts: Mapping[str, Path]) -> str:
    for path, folder in mounts.items():
        if value == path or value.startswith(f"{path}/"):
            return f"{folder}{value.removeprefix(path)}"
    return value


def _with_own_python(word: str) -> str:
    return word.replace("python -m ", f"{shlex.quote(sys.executable)} -m ")
