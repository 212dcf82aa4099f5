"""The manifests under deploy/kubernetes, as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"

Manifest = dict[str, Any]


def kustomization() -> Manifest:
    return yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))


def manifests(kind: str | None = None) -> list[Manifest]:
    files = (FOLDER / name for name in kustomization()["resources"] if name.endswith(".yaml"))
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    each = [m for document in documents for m in (document["items"] if document["kind"] == "List" else [document])]
    return [m for m in each if kind in {None, m["kind"]}]


def the(kind: str, name: str) -> Manifest:
    return next(m for m in manifests(kind) if m["metadata"]["name"] == name)


def label(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def settings() -> dict[str, str]:
    (generated,) = kustomization()["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generated["literals"])
