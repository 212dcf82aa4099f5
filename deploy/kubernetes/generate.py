"""Writes prometheus-rules.yaml, the PrometheusRule of every rule and alert under prometheus/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).parent / "prometheus-rules.yaml"
HEAD = (
    "# Made from prometheus/rules and prometheus/alerts by `python deploy/kubernetes/generate.py`; a test compares.\n"
)


def render() -> str:
    """Return the text of prometheus-rules.yaml, one PrometheusRule a source file."""
    sources = [*sorted((ROOT / "prometheus/rules").glob("*.yml")), *sorted((ROOT / "prometheus/alerts").glob("*.yml"))]
    return HEAD + yaml.dump_all(map(_rule, sources), Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)


def _rule(source: Path) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"aforo-{source.parent.name}-{source.stem}"},
        "spec": yaml.safe_load(source.read_text(encoding="utf-8")),
    }


class _Readable(yaml.SafeDumper):
    """Expressions of several lines as they stand in their source."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)

if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
