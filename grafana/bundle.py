"""Write a bundle of rules, alerts and dashboards for a Prometheus and a Grafana that exist already."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import UsageError
from core.user_files import is_folder, written
from grafana.dashboard_files import FOLDERS
from grafana.series_names import PROMETHEUS

DOCS = Path(__file__).parents[1] / "docs"
RUNBOOK = "docs/runbook.md"
README = """# Aforo for your own Prometheus and Grafana

Written by `make bundle`. The files are those tested in the repository, on Prometheus 2.42 and 3.5.

1. Prometheus: add the two folders to its configuration and reload it.

       rule_files:
         - aforo-bundle/rules/*.yml
         - aforo-bundle/alerts/*.yml

2. Name the scrape jobs `worker`, `sqs-exporter`, `db-exporter` and, if you run them, `collector` and
   `celery-exporter`. The alert TargetDown and three panels of Stack health (*Targets* and the two on scrapes) select by
   job name. Everything else selects by metric, for any job name.
3. Grafana 10 or later: provision `dashboards-es` or `dashboards-en` from files, or import the JSON by hand. Do not load
   both languages, because they share their uids. The data source is a variable: choose your Prometheus there.
4. Alerts link to `{runbook}`. The meaning of each metric is in `docs/metrics.md`.

In a Prometheus that has other targets too:
- Our alerts carry the label `product="aforo"`, and the dashboards count and list only those.
- With several queues, the dashboards show the queue that workers read. Choose another one with *Queue*.
- Stack health shows the chosen Prometheus (*Prometheus*: the job under which it scrapes itself). Its rules, series,
  memory and CPU are those of all its targets, not only of ours. If it does not scrape itself, the panels say so.
- With two installations of Aforo in one Prometheus, *Queue* chooses whose runs, workers, messages and alerts are
  shown. Targets, scrapes, exporters, SQS calls and the counts of celery-exporter have no queue. Their panels show both
  installations and say so.

## Mimir, Thanos and Amazon Managed Prometheus
`central/aforo.yml` has all rules and alerts in one file, because Mimir accepts a name of a file only once. Load it for
one team at a time: the rules aggregate by run, queue and machine and drop every other label.

- Mimir: `mimirtool rules load --id=TEAM aforo-bundle/central/aforo.yml`. The namespace is `aforo`. One tenant per team.
- Amazon Managed Prometheus: `aws amp create-rule-groups-namespace --name aforo --data fileb://aforo-bundle/central/aforo.yml
  --workspace-id …`. One workspace per team.
- Thanos: `thanos rule --rule-file=aforo-bundle/central/aforo.yml --label='team="TEAM"' --query=…`, one ruler per team,
  with a query node that has only the stores of that team.

A stack that sends with `AFORO_REMOTE_WRITE_URL` evaluates these rules itself and sends their results with its own
labels. For such stacks the central store needs no rules.
"""

#: names in the folder of a bundle
BUNDLED = frozenset({"rules", "alerts", "central", "docs", "README.md", *(f"dashboards-{lang}" for lang in FOLDERS)})


def write(folder: Path, runbook: str = RUNBOOK) -> list[Path]:
    """Write the bundle of rules, alerts and dashboards into a folder. Return the paths of its files.

    The old content of the folder is deleted. Raise UsageError and delete nothing if the folder holds a file that is not
    part of a bundle. The alerts link to `runbook`: a URL, or by default the path of the copy in the folder.
    """
    names = {path.name for path in folder.iterdir()} if is_folder(str(folder)) else set()
    if names - BUNDLED:
        raise UsageError("bundle", "it holds other files", "give a new or empty folder", value=folder)
    shutil.rmtree(folder, ignore_errors=True)
    with written("bundle", folder, "give another folder"):
        return _write(folder, runbook)


def _write(folder: Path, runbook: str) -> list[Path]:
    for source in (PROMETHEUS / "rules", PROMETHEUS / "alerts"):
        _copy(source, folder / source.name, "*.yml")
    for lang, source in FOLDERS.items():
        _copy(source, folder / f"dashboards-{lang}", "*.json")
    for page in ("runbook.md", "metrics.md"):
        _copy(DOCS, folder / "docs", page)
    for file in (folder / "alerts").glob("*.yml"):
        file.write_text(file.read_text(encoding="utf-8").replace(f"{RUNBOOK}#", f"{runbook}#"), encoding="utf-8")
    _write_central(folder)
    (folder / "README.md").write_text(README.format(runbook=runbook), encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_central(folder: Path) -> None:
    """Write `central/aforo.yml`: all rules and alerts of the bundle as the groups of one file.

    `mimirtool` takes the name of a file as its namespace, and refuses a second file of the same name.
    """
    files = [*sorted((folder / "rules").glob("*.yml")), *sorted((folder / "alerts").glob("*.yml"))]
    groups = (file.read_text(encoding="utf-8").partition("\ngroups:\n")[2] for file in files)
    (folder / "central").mkdir()
    (folder / "central" / "aforo.yml").write_text("groups:\n" + "".join(groups), encoding="utf-8")


def _copy(source: Path, target: Path, pattern: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob(pattern):
        shutil.copyfile(file, target / file.name)
