"""Run a Prometheus with Aforo's rules for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from testing.emulator import ROOT
from testing.polling import until
from testing.ports import free_port, is_open


@contextmanager
def running_prometheus(folder: Path, targets_file: Path, port: int | None = None) -> Iterator[str]:
    """Context manager: run Prometheus with Aforo's rules, and yield the URL of Prometheus.

    Prometheus writes its data and log to `folder`. A second Prometheus in the same folder continues with that data. The
    file `targets_file` has the addresses of the workers that Prometheus scrapes. Without `port`, it listens on a free
    port.
    """
    folder.mkdir(exist_ok=True)
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "prometheus/rules/*.yml")],
        "scrape_configs": [
            {"job_name": "worker", "file_sd_configs": [{"files": [str(targets_file)], "refresh_interval": "1s"}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = port or free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    # a worker that has gone is seen as gone after this time
    options += [f"--web.listen-address=127.0.0.1:{port}", "--query.lookback-delta=15s"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(["prometheus", *options], stdout=log, stderr=log)
    try:
        until(lambda: is_open(port), "Prometheus listens")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
