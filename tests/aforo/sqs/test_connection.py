"""Receive calls: they trust what boto3 trusts, and end with a result."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from kombu import Connection
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from aforo.sqs.connection import FailedPoll
from aforo.sqs.hardening import register

ANSWER = b'{"Messages": [{"MessageId": "m", "ReceiptHandle": "h", "Body": "b"}]}'


class Sqs(BaseHTTPRequestHandler):
    """An SQS that answers each call with one message."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_args):
        """Log nothing."""


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    """Return the URL of an SQS with a certificate authority of its own, and the file of the authority."""
    folder = tmp_path_factory.mktemp("ca")
    key, certificate = folder / "key.pem", folder / "ca.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), Sqs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}", certificate
    server.shutdown()


@pytest.fixture
def hub():
    earlier, loop = get_event_loop(), Hub()
    set_event_loop(loop)
    yield loop
    set_event_loop(earlier)


def poll(hub, url):
    """Return the result of one receive call."""
    queue = {"url": f"{url}/1/q", "access_key_id": "k", "secret_access_key": "s"}
    options = {"region": "us-east-1", "predefined_queues": {"q": queue}, "endpoint_url": url}
    channel = Connection(f"{register()}k:s@", transport_options=options).channel()
    results, deadline = [], time.monotonic() + 10
    connection = channel.asynsqs("q")
    connection.receive_message(f"{url}/1/q", 1, 0, 3, channel.requested_attributes, callback=results.append)
    while not results and time.monotonic() < deadline:
        hub.run_once()
    return results[0]


def test_the_polls_trust_the_certificates_that_boto3_trusts(https, hub, monkeypatch):
    url, certificate = https
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert [message["Body"] for message in poll(hub, url)["Messages"]] == ["b"]


def test_the_polls_trust_the_ca_bundle_of_a_profile(https, hub, monkeypatch, tmp_path):
    url, certificate = https
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {certificate}\n")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert len(poll(hub, url)["Messages"]) == 1


def test_a_server_that_boto3_does_not_trust_is_a_failed_poll(https, hub):
    answer = poll(hub, https[0])
    assert isinstance(answer, FailedPoll)
    assert answer.result == "error"
