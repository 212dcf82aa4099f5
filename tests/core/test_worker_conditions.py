"""Records of workers, from a /metrics page and from Prometheus."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from core.promql import Sample
from core.settings import Settings
from core.worker_conditions import read_workers, record_of_page, records_in_prometheus
from testing.ports import free_port


@pytest.fixture
def prometheus():
    """Return a function that serves samples by expression, (labels, value), and gives the address."""
    servers = []

    def serve(samples):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                expression = parse_qs(urlsplit(self.path).query)["query"][0]
                result = [
                    {"metric": labels, "value": [0, str(value)]}
                    for labels, value in samples[expression.partition(" unless ")[0].lstrip("(")]
                ]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"data": {"result": result}}).encode())

            def log_message(self, *_args):
                """Print nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()


def settings(stack, prometheus_url, port=None):
    return Settings.from_env(
        {
            "STACK": stack,
            "AFORO_PROMETHEUS_URL": prometheus_url,
            "AFORO_WORKER_METRICS_PORT": str(port or free_port()),
        }
    )


def target(instance, **labels):
    return {"__name__": "m", "job": "worker", "instance": instance, **labels}


TWO = {
    "aforo_worker_info": [
        (target("a:9101", worker="n1|7|s", ffmpeg="5.1"), 1),
        (target("b:9101", worker="n2|7|s", ffmpeg="7.0"), 1),
    ],
    "aforo_worker_slots > 0": [(target("a:9101"), 2), (target("b:9101"), 5)],
}


def test_each_worker_in_prometheus_has_its_own_slots_and_conditions(prometheus):
    assert records_in_prometheus(prometheus(TWO), "videos") == [
        {"instance": "a:9101", "worker": "n1|7|s", "ffmpeg": "5.1", "slots": 2},
        {"instance": "b:9101", "worker": "n2|7|s", "ffmpeg": "7.0", "slots": 5},
    ]


def test_a_worker_without_conditions_has_its_slots(prometheus):
    url = prometheus({"aforo_worker_info": [], "aforo_worker_slots > 0": [(target("a:9101"), 2)]})
    assert read_workers(settings("aws", url)) == [{"instance": "a:9101", "slots": 2}]


def test_the_local_worker_is_read_from_its_own_page(prometheus):
    port, registry = free_port(), CollectorRegistry()
    Gauge("aforo_worker_slots", "Slots.", registry=registry).set(3)
    Gauge("aforo_worker_info", "Facts.", ("ffmpeg",), registry=registry).labels("5.1").set(1)
    server, _ = start_http_server(port, "127.0.0.1", registry)
    try:
        assert read_workers(settings("native", prometheus(TWO), port)) == [{"ffmpeg": "5.1", "slots": 3}]
    finally:
        server.shutdown()


def test_without_any_answer_the_workers_are_unknown():
    assert read_workers(settings("native", f"http://127.0.0.1:{free_port()}")) == []


def test_a_record_of_a_page_has_no_empty_labels_because_prometheus_keeps_none():
    families = {
        "aforo_worker_info": [Sample({"celery": "5.4.0", "profile": ""}, 1.0)],
        "aforo_worker_slots": [Sample({}, 2.0)],
    }
    assert record_of_page(families) == {"celery": "5.4.0", "slots": 2}
