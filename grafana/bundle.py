"""The bundle: rules, alerts and dashboards for people who have their own Prometheus and Grafana."""

from __future__ import annotations

import shutil
from pathlib import Path

from grafana.generated import FOLDERS
from grafana.known import PROMETHEUS

DOCS = Path(__file__).parents[1] / "docs"
RUNBOOK = "docs/runbook.md"
README = """# Aforo for your own Prometheus and Grafana

Made by `make bundle`; every file is as tested in the repository, on Prometheus 2.42 and 3.5.

1. Prometheus: name the two folders in its configuration and reload it.

       rule_files:
         - aforo-bundle/rules/*.yml
         - aforo-bundle/alerts/*.yml

2. Scrape under the job names `worker`, `sqs-exporter`, `db-exporter` and, if you have it, `celery-exporter`: the alert
   TargetDown and, on Stack health, *Targets* and the two panels on scrapes go by them and see no others. All else goes
   by the metrics, whatever the job is called.
3. Grafana 10 or later: provision `dashboards-es` or `dashboards-en` from files, or import the JSON by hand; never both
   languages, since they share their uids. A dashboard's data source is a variable: choose your Prometheus there.
4. Alerts point to `{runbook}`; what the metrics mean stands in `docs/metrics.md`.

In a Prometheus that watches other things too:
- Our alerts carry the label `product="aforo"`, and the dashboards count and list only those; yours stay yours.
- With several queues the one workers read is shown, others by choice (*Queue*).
- Stack health shows the Prometheus that is chosen (*Prometheus*: the job under which it scrapes itself). Its rules,
  series, memory and CPU are those of everything it does, not of our part alone; if it does not scrape itself, the
  panels say so.
- With two installations of Aforo in one Prometheus, runs and workers of both stand on each dashboard.
"""


def write(folder: Path, runbook: str = RUNBOOK) -> list[Path]:
    """Write the bundle anew into `folder`, its alerts pointing to `runbook`; return its files."""
    shutil.rmtree(folder, ignore_errors=True)
    for source in (PROMETHEUS / "rules", PROMETHEUS / "alerts"):
        _copy(source, folder / source.name, "*.yml")
    for lang, source in FOLDERS.items():
        _copy(source, folder / f"dashboards-{lang}", "*.json")
    for page in ("runbook.md", "metrics.md"):
        _copy(DOCS, folder / "docs", page)
    for file in (folder / "alerts").glob("*.yml"):
        file.write_text(file.read_text(encoding="utf-8").replace(f"{RUNBOOK}#", f"{runbook}#"), encoding="utf-8")
    (folder / "README.md").write_text(README.format(runbook=runbook), encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _copy(source: Path, target: Path, pattern: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob(pattern):
        shutil.copyfile(file, target / file.name)
