"""F30, F31: sources that are slow, hang or disappear, on a real PostgreSQL behind a proxy."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.database import open_engine, upgrade_schema
from core.settings import Settings
from exporters.sqs.source import SqsSources
from testing.polling import until
from testing.tcp_proxy import TcpProxy
from tests.exporters.fakes import FakeQueues
from tests.exporters.servers import Server, serving
from tests.exporters.store import Store
from tests.exporters.watches import values, watching

pytestmark = pytest.mark.postgresql
T0 = 1_790_000_000.0
DONE = 'aforo_videos{queue="aforo-videos",state="done"}'
WORKS = 'aforo_exporter_collector_success{collector="db"} 1.0'
FAILS = 'aforo_exporter_collector_success{collector="db"} 0.0'
FIGURES = ("aforo_run", "aforo_video")
TIMED_OUT = 'aforo_exporter_errors_total{collector="db",reason="timeout"}'


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[TcpProxy]:
    url = make_url(postgresql_url)
    with TcpProxy(str(url.host), int(url.port or 0)) as running:
        yield running


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    engine = open_engine(postgresql_url)
    upgrade_schema(engine)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def exporter(store: Store, proxy: TcpProxy, tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, AFORO_DATABASE_URL=through(store, proxy)) as running:
        until(lambda: WORKS in scrape(running), "the first count")
        yield running


def through(store: Store, proxy: TcpProxy) -> str:
    return store.engine.url.set(port=proxy.port).render_as_string(hide_password=False)


def scrape(server: Server, timeout_seconds: float = 1) -> str:
    """Scrape as Prometheus does, with its timeout in a header."""
    return server.get(**{"X-Prometheus-Scrape-Timeout-Seconds": str(timeout_seconds)})[2]


def scrape_until_it_works(server: Server) -> str:
    """Return the first successful scrape.

    The failed scrapes before must have no value, because a 0 would look like a counter reset.
    """
    text = ""

    def works() -> bool:
        nonlocal text
        text = scrape(server)
        return WORKS in text or any(line.startswith(FIGURES) for line in text.splitlines())

    until(works, "the first count")
    assert WORKS in text
    return text


def value(text: str, series: str) -> float | None:
    values = [line.rpartition(" ")[2] for line in text.splitlines() if line.rpartition(" ")[0] == series]
    return float(values[0]) if values else None


def test_a_hanging_database_is_reported_before_the_scrape_times_out_and_recovers(
    exporter: Server, store: Store, proxy: TcpProxy
) -> None:
    proxy.hold()
    began = time.monotonic()
    text = scrape(exporter, timeout_seconds=2)
    assert time.monotonic() - began < 2
    assert FAILS in text
    assert value(text, TIMED_OUT) == 1
    store.run("a", time.time(), count=1)
    store.upload("v", "a", time.time(), state="done")
    proxy.release()
    until(lambda: WORKS in scrape(exporter) and value(scrape(exporter), DONE) == 1, "the database that came back")


def test_the_last_result_is_served_with_its_timestamp_until_it_is_too_old(
    exporter: Server, store: Store, proxy: TcpProxy
) -> None:
    proxy.cut()
    last_success = 'aforo_exporter_last_success_timestamp_seconds{collector="db"}'
    text = scrape(exporter)
    assert FAILS in text
    assert value(text, DONE) == 0
    timestamp = value(text, last_success)
    until(lambda: value(scrape(exporter), DONE) is None, "samples too old to be served", seconds=40)
    assert value(scrape(exporter), last_success) == timestamp
    proxy.restore()
    until(lambda: WORKS in scrape(exporter) and value(scrape(exporter), DONE) == 0, "the database that came back")


def test_a_thousand_scrapes_of_a_database_that_hangs_all_end_and_few_threads_serve_them(
    exporter: Server, proxy: TcpProxy
) -> None:
    proxy.hold()
    with ThreadPoolExecutor(100) as clients:
        texts = list(clients.map(lambda _: scrape(exporter, timeout_seconds=1), range(1000)))
    assert [text for text in texts if FAILS not in text] == []
    threads = Path(f"/proc/{exporter.process.pid}/status").read_text().split("Threads:")[1].split()[0]
    assert int(threads) <= 12


def test_an_exporter_restarted_after_a_kill_has_the_same_totals(store: Store, proxy: TcpProxy, tmp_path: Path) -> None:
    store.run("a", T0, count=3)
    for number in range(3):
        store.upload(f"v{number}", "a", T0, started_at=T0 + 1)
        store.finish(f"v{number}", T0 + 10 + number)
    scrapes: list[set[str]] = []
    for _ in range(2):
        with serving(tmp_path, AFORO_DATABASE_URL=through(store, proxy)) as running:
            text = scrape_until_it_works(running)
            scrapes.append({line for line in text.splitlines() if line.startswith(FIGURES)})
            running.process.send_signal(signal.SIGKILL)
            running.process.wait(10)
    assert scrapes[0] == scrapes[1]
    assert 'aforo_run_total_response_seconds{run_id="a"} 33.0' in scrapes[1]


def test_a_hanging_database_does_not_prevent_the_exporter_from_ending(exporter: Server, proxy: TcpProxy) -> None:
    proxy.hold()
    assert FAILS in scrape(exporter)
    exporter.process.send_signal(signal.SIGTERM)
    assert exporter.process.wait(20) == 0


def test_a_connection_to_a_silent_server_times_out(postgresql_url: str) -> None:
    with open_engine(postgresql_url).connect() as connection:
        driver = connection.connection.dbapi_connection
        with socket.fromfd(driver.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire:  # type: ignore[union-attr]
            options = [
                wire.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
            ]
            assert options == [10, 5]
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 25_000


def test_sqs_is_still_polled_while_the_database_hangs(store: Store, proxy: TcpProxy) -> None:
    fake = FakeQueues()
    fake.make("videos", visible=1)
    environment = {"AFORO_DATABASE_URL": through(store, proxy), "AFORO_EXPORTER_TIMEOUT_SECONDS": "0.3"}
    watch = watching(fake, Settings.from_env({"SQS_QUEUE_NAME": "videos", **environment}))
    until(lambda: polled(watch) is None, "the database to be queried")
    proxy.hold()
    for visible in (2, 3):
        fake.make("videos", visible=visible)
        assert isinstance(polled(watch), TimeoutError)
        assert values(watch.queues.fetch(), "aforo_sqs_messages_visible") == {("videos",): visible}
    proxy.release()
    until(lambda: polled(watch) is None, "the database that came back")


def polled(watch: SqsSources) -> Exception | None:
    watch.poll()
    try:
        watch.oldest_message.fetch()
    except Exception as error:
        return error
    return None
