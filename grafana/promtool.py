"""Validation of PromQL queries by the program promtool, in one or several of its versions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from grafana.expressions import filled


def promtools(further: Iterable[str] = ()) -> list[str]:
    """Return the paths of the promtool programs that check the queries.

    They are the promtool on PATH, if there is one, and the paths in `further`. `further` comes from the setting
    AFORO_PROMTOOLS.
    """
    return [path for path in (shutil.which("promtool"), *further) if path]


def promtool_errors(promtool: str, texts: Iterable[str]) -> str:
    """Return promtool's error messages for the PromQL queries `texts`, or '' if all are valid.

    `promtool` is the path of the program. A query can contain variables of a dashboard.
    """
    rules = [{"record": f"expression:{number}", "expr": filled(text)} for number, text in enumerate(sorted(set(texts)))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "expressions.yml")
        file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
        done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""
