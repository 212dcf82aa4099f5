"""Measure delay and scrape time of the SQS exporter, with 200 queues and 30 ms of latency to SQS.

The AWS emulator is behind a TCP proxy that delays every request. One run measures three times:

- sequential reading of all queues, as by an exporter that reads at scrape time
- from a sent message to the scrape that shows it, while the exporter reads without a pause
- the scrapes in the meantime

    .venv/bin/python benchmarks/sqs_exporter.py [--queues 200] [--latency-ms 30] [--messages 30] [--scrapes 300]
    .venv/bin/python benchmarks/sqs_exporter.py --quick
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.harness import emulator
from benchmarks.programs import percentiles, running, scrape, timed_scrape
from core import aws
from core.settings import Settings
from core.sqs_queue import read_attributes
from testing.polling import seconds_until
from testing.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

PORT = 20693
#: Minimum of the setting: the exporter reads almost without a pause.
PAUSE_SECONDS = 0.1
WITHOUT_PAUSE = {f"AFORO_EXPORTER_{state}_SECONDS": str(PAUSE_SECONDS) for state in ("BUSY", "IDLE")}
VISIBLE = "\naforo_sqs_messages_visible{"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=200)
    parser.add_argument("--latency-ms", type=float, default=30)
    parser.add_argument("--messages", type=int, default=30)
    parser.add_argument("--scrapes", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.queues, arguments.messages, arguments.scrapes = 10, 2, 10
    with emulator() as endpoint, proxied(endpoint, arguments.latency_ms / 1000) as distant:
        near, far = client(endpoint), client(distant)
        urls = [near.create_queue(QueueName=f"bench-{number:03d}")["QueueUrl"] for number in range(arguments.queues)]
        one_by_one = [timed_loop(far, urls) for _ in range(3)]
        with exporter(distant, WITHOUT_PAUSE):
            started = seconds_until(lambda: scrape(PORT).count(VISIBLE) == arguments.queues, "all queues")
            delays = [timed_message(near, url) for url in random.Random(1).sample(urls, arguments.messages)]
            reads = timed_readings(10)
            busy = [timed_scrape(PORT) for _ in range(arguments.scrapes)]
        with exporter(distant, {}):
            seconds_until(lambda: scrape(PORT).count(VISIBLE) == arguments.queues, "all queues")
            paced = [paced_scrape() for _ in range(arguments.scrapes)]
    print(f"{platform.platform()}, {os.cpu_count()} cores, boto3 {version('boto3')}")
    print(f"{arguments.queues} queues, {arguments.latency_ms:g} ms to SQS; first reading after {started:.2f} s")
    print(f"          sequential : {percentiles(one_by_one, 's')}")
    print(f"      read concurrent: {percentiles(reads, 's')}")
    print(f"    message to scrape: {percentiles(delays, 's')}")
    print(f"scrape, never pausing: {percentiles([1000 * seconds for seconds in busy], 'ms')}")
    print(f"scrape, every 5 s    : {percentiles([1000 * seconds for seconds in paced], 'ms')}")
    print(f"ratio sequential / concurrent: {statistics.median(one_by_one) / statistics.median(reads):.1f}")


@contextmanager
def proxied(endpoint: str, delay_seconds: float) -> Iterator[str]:
    """Run the delaying proxy in another process, so that its CPU time is not measured."""
    upstream, spawning = urlsplit(endpoint), multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    address = (str(upstream.hostname), int(upstream.port or 0), delay_seconds)
    process = spawning.Process(target=serve_proxy, args=(*address, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


def serve_proxy(host: str, port: int, delay_seconds: float, parent: Connection) -> None:
    """Run a delaying proxy until it is killed. Send its port to the parent process."""
    with TcpProxy(host, port, delay_seconds) as proxy:
        parent.send(proxy.port)
        threading.Event().wait()


@contextmanager
def exporter(endpoint: str, schedule: dict[str, str]) -> Iterator[None]:
    """Run the SQS exporter on all queues of the benchmark."""
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AFORO_DATABASE_URL": "sqlite:////nonexistent/bench.db",
        "AFORO_EXPORTER_SQS_PORT": str(PORT),
        "AFORO_EXPORTER_QUEUES": "bench-*",
    }
    with running([sys.executable, "-m", "exporters", "sqs"], settings | schedule):
        seconds_until(lambda: "aforo_exporter_info" in scrape(PORT), "the exporter")
        yield


def client(endpoint: str) -> SQSClient:
    """Return an SQS client for the emulator."""
    return aws.client(Settings.from_env({"AWS_ENDPOINT_URL": endpoint}), "sqs")


def timed_loop(sqs: SQSClient, urls: Sequence[str]) -> float:
    """Return the seconds that sequential reading of all queues takes."""
    started = time.perf_counter()
    for url in urls:
        read_attributes(sqs, url)
    return time.perf_counter() - started


def timed_message(sqs: SQSClient, url: str) -> float:
    """Return the seconds from sending a message to the scrape that shows it."""
    sample = f'{VISIBLE}queue="{url.rpartition("/")[2]}"}} 1.0'
    sqs.send_message(QueueUrl=url, MessageBody="m")
    return seconds_until(lambda: sample in scrape(PORT), "the message", every=0.005)


def timed_readings(number: int) -> list[float]:
    """Return the durations in seconds of `number` readings of all queues.

    A reading sets the same success time for all queues, so one queue shows when a reading ends.
    """
    sample = 'aforo_sqs_last_success_timestamp_seconds{queue="bench-000"}'
    moments = [value_of(sample)]
    while len(moments) <= number:
        seconds_until(lambda: value_of(sample) != moments[-1], "a reading", every=0.005)
        moments.append(value_of(sample))
    return [later - earlier - PAUSE_SECONDS for earlier, later in pairwise(moments)]


def paced_scrape() -> float:
    """Return the seconds of one scrape after a pause.

    The pause lets some scrapes fall into a reading of the queues.
    """
    time.sleep(0.05)
    return timed_scrape(PORT)


def value_of(sample: str) -> float:
    """Return the value of one sample of a scrape."""
    return next(float(line.split()[-1]) for line in scrape(PORT).splitlines() if line.startswith(sample))


if __name__ == "__main__":
    main()
