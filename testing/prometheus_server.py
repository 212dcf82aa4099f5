"""Run a Prometheus with Aforo's rules for tests."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from testing.emulator import ROOT
from testing.polling import until
from testing.ports import free_port


@contextmanager
def running_prometheus(folder: Path, targets_file: Path, port: int | None = None) -> Iterator[str]:
    """Context manager: run Prometheus with Aforo's rules, and yield the URL of Prometheus.

    Prometheus writes its data and log to `folder`. A second Prometheus in the same folder continues with that data. The
    file `targets_file` has the addresses of the workers that Prometheus scrapes. Without `port`, Prometheus listens on
    a free port.
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
        until(lambda: is_ready(port), "Prometheus is ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def is_ready(port: int, headers: Mapping[str, str] | None = None) -> bool:
    """Return True if the Prometheus on the port serves requests. Send `headers`, such as its password, along.

    A Prometheus that starts listens already, but answers every request with 503 until it has read its data.
    """
    request = urllib.request.Request(f"http://127.0.0.1:{port}/-/ready", headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - an address on loopback
            return True
    except OSError:
        return False
