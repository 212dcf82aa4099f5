"""Two stacks send to one real Prometheus, which receives: their series stay apart, and no secret is in a log."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from core.errors import EnvironmentFault
from core.remote_write import require_receiver, with_remote_write
from core.settings import Settings
from local.configuration import prometheus_config
from local.programs import Program
from testing.polling import until
from testing.ports import free_port
from testing.prometheus_server import is_ready

ROOT = Path(__file__).parents[2]
SECRET = "s3cret-of-test"
#: bcrypt hash of SECRET
HASH = "$2b$04$O1c62YLLllMN5w..Fc6bMOXWhcE6PS.0SO.hzpyLCIfDGGT90L/hi"
#: A run of three done videos, as the database exporter shows it.
RUN = """\
aforo_run_videos{run_id="burst-1",state="done"} 3
aforo_run_videos{run_id="burst-1",state="failed"} 0
aforo_run_expected_videos{run_id="burst-1"} 3
"""
START_SECONDS = 60
#: User and password of the store, which a Prometheus without users ignores
LOGIN = {"Authorization": "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode()}

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")


class Exporter(BaseHTTPRequestHandler):
    """Handler that answers each scrape with the samples of RUN."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(RUN.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def exporter():
    server = HTTPServer(("127.0.0.1", 0), Exporter)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Run a Prometheus that receives from user `u` with the password SECRET. Return its port."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "web.yml").write_text(f"basic_auth_users:\n  u: {HASH}\n")
    (folder / "prometheus.yml").write_text("global: {}\n")
    with prometheus(folder, "--web.enable-remote-write-receiver", f"--web.config.file={folder}/web.yml") as port:
        yield port


@contextmanager
def prometheus(folder, *options):
    port = free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        program = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}", *options], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: is_ready(port, LOGIN), f"Prometheus is ready; see {folder}/log", START_SECONDS)
            yield port
        finally:
            os.kill(program.pid, signal.SIGTERM)
            program.wait()


def settings(port, folder, team, secret=SECRET, path="api/v1/write"):
    (folder / "password").write_text(f"{secret}\n")
    return Settings.from_env(
        {
            "AFORO_REMOTE_WRITE_URL": f"http://127.0.0.1:{port}/{path}",
            "AFORO_REMOTE_WRITE_USER": "u",
            "AFORO_REMOTE_WRITE_CREDENTIALS_FILE": str(folder / "password"),
            "AFORO_PROMETHEUS_LABELS": f"team={team}",
        }
    ).prometheus


@contextmanager
def stack(folder, exporter_port, written):
    """Run the Prometheus of a native stack, with its rules, alerts and the settings `written`."""
    source = (ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8")
    text = prometheus_config(source, [Program("db-exporter", exporter_port, "X")], ROOT / "prometheus")
    (folder / "prometheus.yml").write_text(with_remote_write(text, written))
    with prometheus(folder) as port:
        yield port


def teams(port, metric):
    """Return the label `team` of each series of the metric in the central store."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(metric)}"
    request = urllib.request.Request(url, headers=LOGIN)
    with urllib.request.urlopen(request) as answer:
        return sorted(each["metric"].get("team", "") for each in json.load(answer)["data"]["result"])


def test_the_same_run_of_two_teams_arrives_twice_with_what_the_rules_made_of_it(store, exporter, tmp_path):
    folders = [tmp_path / team for team in ("audio", "video")]
    for folder in folders:
        folder.mkdir()
    audio, video = (settings(store, folder, folder.name) for folder in folders)
    require_receiver(audio)
    with stack(folders[0], exporter, audio), stack(folders[1], exporter, video):
        for metric in ('aforo_run_videos{state="done"}', "run_id:aforo_run_videos_final:sum", 'up{job="db-exporter"}'):
            until(lambda metric=metric: teams(store, metric) == ["audio", "video"], f"{metric} of both", START_SECONDS)
        absent = 'ALERTS{alertname="WorkerAbsent"}'
        until(lambda: {"audio", "video"} <= set(teams(store, absent)), "both teams have the alert", START_SECONDS)
    assert SECRET not in (folders[0] / "log").read_text() + (folders[0] / "prometheus.yml").read_text()


def test_a_wrong_password_is_one_line_and_in_no_log(store, exporter, tmp_path):
    wrong = settings(store, tmp_path, "video", secret="wr0ng-secret")
    with pytest.raises(EnvironmentFault, match=r"it answers 401 Unauthorized; check AFORO_REMOTE_WRITE_USER") as caught:
        require_receiver(wrong)
    with stack(tmp_path, exporter, wrong):
        until(lambda: "401" in (tmp_path / "log").read_text(), "the receiver refuses", START_SECONDS)
    assert "wr0ng-secret" not in (tmp_path / "log").read_text() + str(caught.value)


def test_a_wrong_path_and_a_prometheus_that_does_not_receive_are_one_line(store, exporter, tmp_path):
    with pytest.raises(EnvironmentFault, match=r"it answers 404 Not Found; check the path"):
        require_receiver(settings(store, tmp_path, "video", path="api/v1/push"))
    refused = pytest.raises(EnvironmentFault, match=r"it answers 404 .*enable-remote-write-receiver")
    with stack(tmp_path, exporter, Settings.from_env({}).prometheus) as port, refused:
        require_receiver(settings(port, tmp_path, "video"))
