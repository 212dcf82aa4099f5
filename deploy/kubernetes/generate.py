"""Generate prometheus-rules.yaml: all rules and alerts under prometheus/ as PrometheusRule objects."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).parent / "prometheus-rules.yaml"
RUNBOOK = "docs/runbook.md"
HEAD = "# Generated from prometheus/rules and prometheus/alerts by `python deploy/kubernetes/generate.py`.\n"


def render(runbook: str = RUNBOOK) -> str:
    """Return the text of prometheus-rules.yaml.

    The text has one PrometheusRule per source file. The alerts link to `runbook`.
    """
    sources = [*sorted((ROOT / "prometheus/rules").glob("*.yml")), *sorted((ROOT / "prometheus/alerts").glob("*.yml"))]
    rules = [_rule(source, runbook) for source in sources]
    return HEAD + yaml.dump_all(rules, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)


def _rule(source: Path, runbook: str) -> dict[str, Any]:
    text = source.read_text(encoding="utf-8").replace(f"{RUNBOOK}#", f"{runbook}#")
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"aforo-{source.parent.name}-{source.stem}"},
        "spec": yaml.safe_load(text),
    }


class _Readable(yaml.SafeDumper):
    """YAML dumper that writes multi-line expressions as block scalars."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _main() -> None:
    parser = argparse.ArgumentParser(
        description="Write every rule and alert as PrometheusRule objects.",
        epilog="Example: python deploy/kubernetes/generate.py --runbook https://wiki.example.com/aforo rules.yaml",
    )
    parser.add_argument("file", nargs="?", type=Path, default=TARGET, help="default: %(default)s")
    parser.add_argument("--runbook", default=RUNBOOK, help="URL of the runbook in the alerts, default: %(default)s")
    options = parser.parse_args()
    options.file.write_text(render(options.runbook), encoding="utf-8")


if __name__ == "__main__":
    _main()
