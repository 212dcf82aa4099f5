"""Settings of the central store: labels, credentials, and the lines of Prometheus' configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from core.errors import EnvironmentFault, UsageError
from core.remote_write import check_remote_write, require_receiver, with_remote_write
from core.settings import Settings
from testing.ports import free_port

ROOT = Path(__file__).parents[2]
SOURCES = ["prometheus/prometheus.yml", "prometheus/prometheus.compose.yml"]
SECRET = "s3cret-of-test"


@pytest.fixture
def secret_file(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture
def central_store():
    """Serve one status, and keep the headers of each request."""

    class Store(BaseHTTPRequestHandler):
        status, requests = 204, []

        def do_POST(self):
            self.requests.append(self.headers)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Store)
    Store.url = f"http://127.0.0.1:{server.server_port}/api/v1/push"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Store
    server.shutdown()
    thread.join()
    server.server_close()


def prometheus(url="", labels="team=video", **others):
    names = {name: f"AFORO_REMOTE_WRITE_{name.upper()}" for name in others}
    variables = {names[name]: str(value) for name, value in others.items()}
    return Settings.from_env({"AFORO_REMOTE_WRITE_URL": url, "AFORO_PROMETHEUS_LABELS": labels} | variables).prometheus


@pytest.mark.parametrize("source", SOURCES)
def test_without_settings_the_configuration_is_unchanged(source):
    text = (ROOT / source).read_text(encoding="utf-8")
    assert with_remote_write(text, Settings.from_env({}).prometheus) == text


@pytest.mark.parametrize("source", SOURCES)
def test_labels_url_tenant_and_credentials_become_one_entry(source, secret_file):
    text = (ROOT / source).read_text(encoding="utf-8")
    given = prometheus("https://m.example/api/v1/push", user="u", credentials_file=secret_file, tenant="video")
    result = with_remote_write(text, given)
    read = yaml.safe_load(result)
    assert read["global"] == yaml.safe_load(text)["global"] | {"external_labels": {"team": "video"}}
    assert read["remote_write"] == [
        {
            "url": "https://m.example/api/v1/push",
            "headers": {"X-Scope-OrgID": "video"},
            "basic_auth": {"username": "u", "password_file": str(secret_file)},
        }
    ]
    assert SECRET not in result
    assert {name: read[name] for name in read if name not in {"global", "remote_write"}} == {
        name: value for name, value in yaml.safe_load(text).items() if name != "global"
    }


def test_credentials_without_a_user_are_a_bearer_token(secret_file):
    text = with_remote_write("global:\nscrape_configs:\n", prometheus("http://m/w", credentials_file=secret_file))
    (entry,) = yaml.safe_load(text)["remote_write"]
    assert entry["authorization"] == {"type": "Bearer", "credentials_file": str(secret_file)}


def test_labels_alone_go_to_the_alerts_too():
    text = with_remote_write("global:\nscrape_configs:\n", prometheus(labels="team=video, site=a"))
    assert yaml.safe_load(text) == {
        "global": {"external_labels": {"team": "video", "site": "a"}},
        "scrape_configs": None,
    }


@pytest.mark.parametrize(
    "url",
    ["metrics.example/write", "ftp://m/write", "http://", "http://m:x/write", "http://m m/w", "http://u:s3cret@m/w"],
)
def test_a_wrong_url_is_one_line(url):
    with pytest.raises(UsageError) as caught:
        prometheus(url)
    assert str(caught.value).startswith("AFORO_REMOTE_WRITE_URL (")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ("", "AFORO_PROMETHEUS_LABELS; the series of two stacks would be mixed without one; "),
        ("run_id=x", "AFORO_PROMETHEUS_LABELS (run_id); series have a label of that name already"),
        ("instance=x", "AFORO_PROMETHEUS_LABELS (instance); series have a label of that name already"),
        ("1st=x", "AFORO_PROMETHEUS_LABELS (1st); it is no label name"),
        ("__x=x", "AFORO_PROMETHEUS_LABELS (__x); it is no label name"),
    ],
)
def test_labels_that_would_not_keep_stacks_apart_are_an_error(labels, line):
    with pytest.raises(UsageError) as caught:
        check_remote_write(prometheus("http://m/w", labels=labels))
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "there is no such file"), ("", "it must hold one line"), ("a\nb", "it must hold one line")],
)
def test_an_unusable_credentials_file_is_an_error(content, why, tmp_path):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=why):
        check_remote_write(prometheus("http://m/w", credentials_file=file))


def test_a_pipe_in_place_of_the_credentials_file_is_an_error_and_does_not_hang(tmp_path):
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="it is not a regular file"):
        check_remote_write(prometheus("http://m/w", credentials_file=pipe))


def test_a_user_without_a_password_is_an_error():
    with pytest.raises(UsageError, match="the user has no password"):
        check_remote_write(prometheus("http://m/w", user="u"))


def test_the_check_sends_the_tenant_and_the_token(central_store, secret_file):
    require_receiver(prometheus(central_store.url, credentials_file=secret_file, tenant="video"))
    (headers,) = central_store.requests
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["X-Scope-OrgID"] == "video"


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "check AFORO_REMOTE_WRITE_USER"), (404, "check the path"), (302, "give the address")]
)
def test_an_answer_that_stays_is_one_line(central_store, status, remedy, secret_file):
    central_store.status = status
    with pytest.raises(EnvironmentFault) as caught:
        require_receiver(prometheus(central_store.url, credentials_file=secret_file))
    assert f"; it answers {status} " in str(caught.value)
    assert remedy in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_an_answer_about_content_or_load_stops_nothing(central_store, status):
    central_store.status = status
    require_receiver(prometheus(central_store.url))


def test_the_program_for_compose_prints_the_configuration_or_one_line(secret_file, central_store):
    def run(url):
        environment = {"AFORO_REMOTE_WRITE_URL": url, "AFORO_PROMETHEUS_LABELS": "team=video", "STACK": "compose"}
        return subprocess.run(
            [sys.executable, "-m", "core.remote_write"],
            env=environment,
            cwd=ROOT,
            input="global:\nscrape_configs:\n",
            capture_output=True,
            text=True,
            check=False,
        )

    assert yaml.safe_load(run(central_store.url).stdout)["remote_write"] == [{"url": central_store.url}]
    refused = run(f"http://127.0.0.1:{free_port()}/api/v1/write")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (3, "", 1)
    assert refused.stderr.startswith("error: AFORO_REMOTE_WRITE_URL (")
