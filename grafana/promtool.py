"""Every expression as a rule, so that the promtools say whether the Prometheus they belong to would take it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from core.settings import Settings
from grafana.expressions import filled


def promtools() -> list[str]:
    """Return the promtool on PATH and those of AFORO_PROMTOOLS."""
    return [path for path in (shutil.which("promtool"), *Settings.from_process().promtools) if path]


def refused(promtool: str, texts: Iterable[str]) -> str:
    """Return why this promtool refuses some of these expressions; empty when it takes all."""
    rules = [{"record": f"expression:{number}", "expr": filled(text)} for number, text in enumerate(sorted(set(texts)))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "expressions.yml")
        file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
        done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""
