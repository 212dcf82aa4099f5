"""Measure delay and scrape time of the SQS exporter, with 200 queues and 30 ms of latency to SQS.

The AWS emulator is behind a TCP proxy that delays every request. One run measures:

- the time of a sequential reading of all queues, as by an exporter that reads at scrape time
- the time from a sent message to the scrape that shows it, while the exporter reads without a pause
- the times of scrapes, with and without a pause between readings
- how often a thread of the exporter waits during a scrape. While the exporter reads SQS, each of these waits can last
  until ten other threads have had the interpreter. Unlike the times, this number does not depend on other processes.

With `--against`, the exporters of other checkouts take turns with the exporter of this checkout, and each round is a
pair.

    .venv/bin/python benchmarks/sqs_exporter.py [--queues 200] [--latency-ms 30] [--messages 10] [--scrapes 100]
        [--rounds 3] [--against PATH ...]
    .venv/bin/python benchmarks/sqs_exporter.py --quick
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain, pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from benchmarks.harness import emulator, paired_ratio, spread
from benchmarks.programs import ROOT, percentiles, running, scrape, timed_scrape
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
#: The first reading is the only one while the scrapes last.
READ_ONCE = {f"AFORO_EXPORTER_{state}_SECONDS": "600" for state in ("BUSY", "IDLE")}
VISIBLE = "\naforo_sqs_messages_visible{"


@dataclass
class Times:
    """Measurements of one checkout's exporter: times in seconds, and the waits of its threads per scrape."""

    first_readings: list[float] = field(default_factory=list)
    readings: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    busy_scrapes: list[float] = field(default_factory=list)
    #: by round, because the 99th percentiles of the same round form a pair
    paced_scrapes: list[list[float]] = field(default_factory=list)
    #: not a time: voluntary context switches of all threads per scrape, between two readings
    waits_per_scrape: list[float] = field(default_factory=list)


def main() -> None:
    """Measure all checkouts in turns, and print their times and waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=200)
    parser.add_argument("--latency-ms", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=10, help="Messages per round")
    parser.add_argument("--scrapes", type=int, default=100, help="Scrapes per round")
    parser.add_argument("--against", type=Path, nargs="+", default=[], help="Other checkouts to compare with")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.queues, arguments.rounds, arguments.messages, arguments.scrapes = 10, 1, 2, 10
    checkouts = {path.resolve(): Times() for path in (ROOT, *arguments.against)}
    with emulator() as endpoint, proxied(endpoint, arguments.latency_ms / 1000) as distant:
        near, far = client(endpoint), client(distant)
        urls = [near.create_queue(QueueName=f"bench-{number:03d}")["QueueUrl"] for number in range(arguments.queues)]
        one_by_one = [timed_loop(far, urls) for _ in range(3)]
        for number in range(arguments.rounds):
            turns = list(checkouts.items())
            for path, times in reversed(turns) if number % 2 else turns:
                sampled = random.Random(number).sample(urls, arguments.messages)
                measure(path, times, distant, near, urls, sampled, arguments.scrapes)
    print(f"{platform.platform()}, {os.cpu_count()} cores, boto3 {version('boto3')}")
    print(f"{arguments.queues} queues, {arguments.latency_ms:g} ms to SQS")
    print(f"          sequential : {percentiles(one_by_one, 's')}")
    for path, times in checkouts.items():
        print(f"{path}: first readings after {spread(times.first_readings)} s")
        print(f"      read concurrent: {percentiles(times.readings, 's')}")
        print(f"    message to scrape: {percentiles(times.delays, 's')}")
        print(f"scrape, never pausing: {percentiles(milliseconds(times.busy_scrapes), 'ms')}")
        print(f"scrape, every 5 s    : {percentiles(milliseconds([*chain(*times.paced_scrapes)]), 'ms')}")
        print(f"waits per scrape     : {spread(times.waits_per_scrape, '.1f')}")
        ratio = statistics.median(one_by_one) / statistics.median(times.readings)
        print(f"ratio sequential / concurrent: {ratio:.1f}")
    this, *others = checkouts.items()
    for path, times in others:
        pairs = paired_ratio(*([p99(scrapes) for scrapes in each.paced_scrapes] for each in (times, this[1])))
        print(f"ratio of the p99 every 5 s, {path} / {this[0]}: {pairs}")


def measure(
    checkout: Path,
    times: Times,
    distant: str,
    near: SQSClient,
    urls: Sequence[str],
    sampled: Sequence[str],
    scrapes: int,
) -> None:
    """Run the exporter of a checkout three times, and add the measurements to `times`.

    The exporter reads the queues `urls` at the address `distant`. The messages are sent with the client `near` to the
    queues `sampled`. `scrapes` is the number of scrapes per run of the exporter.
    """

    def shows_all() -> bool:
        return scrape(PORT).count(VISIBLE) == len(urls)

    with exporter(checkout, distant, WITHOUT_PAUSE):
        times.first_readings.append(seconds_until(shows_all, "all queues"))
        times.delays += [timed_message(near, url) for url in sampled]
        times.readings += timed_readings(4)
        times.busy_scrapes += [timed_scrape(PORT) for _ in range(scrapes)]
    with exporter(checkout, distant, {}):
        seconds_until(shows_all, "all queues")
        times.paced_scrapes.append([paced_scrape() for _ in range(scrapes)])
    with exporter(checkout, distant, READ_ONCE) as process:
        seconds_until(shows_all, "all queues")
        before = switches(process)
        for _ in range(scrapes):
            scrape(PORT)
        times.waits_per_scrape.append((switches(process) - before) / scrapes)


def switches(process: psutil.Process) -> int:
    """Return how often the threads of a process have waited: their voluntary context switches."""
    statuses = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/status")]
    return sum(
        int(count) for status in statuses for count in re.findall(r"^voluntary_ctxt_switches:\s(\d+)", status, re.M)
    )


def milliseconds(seconds: Sequence[float]) -> list[float]:
    """Return times in milliseconds."""
    return [1000 * each for each in seconds]


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


@contextmanager
def proxied(endpoint: str, delay_seconds: float) -> Iterator[str]:
    """Context manager: run a proxy that delays each request to `endpoint`, and yield its URL.

    The proxy is another process, so that its CPU time is not measured.
    """
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
def exporter(checkout: Path, endpoint: str, schedule: dict[str, str]) -> Iterator[psutil.Popen]:
    """Context manager: run the SQS exporter of a checkout on all queues. Yield its process.

    `schedule` are the settings for the pauses between two readings.
    """
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AFORO_DATABASE_URL": "sqlite:////nonexistent/bench.db",
        "AFORO_EXPORTER_SQS_PORT": str(PORT),
        "AFORO_EXPORTER_QUEUES": "bench-*",
    }
    # -P: the working directory, which is this checkout, does not come first
    with running(
        [sys.executable, "-P", "-m", "exporters", "sqs"], settings | schedule | {"PYTHONPATH": str(checkout)}
    ) as process:
        seconds_until(lambda: "aforo_exporter_info" in scrape(PORT), "the exporter")
        yield process


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
    """Purge a queue, and return the seconds from sending a message to the scrape that shows it."""
    sample = f'{VISIBLE}queue="{url.rpartition("/")[2]}"}} 1.0'
    sqs.purge_queue(QueueUrl=url)
    seconds_until(lambda: f"{sample[:-3]}0.0" in scrape(PORT), "the empty queue")
    sqs.send_message(QueueUrl=url, MessageBody="m")
    return seconds_until(lambda: sample in scrape(PORT), "the message", every=0.005)


def timed_readings(number: int) -> list[float]:
    """Wait for `number` readings of all queues, and return their durations in seconds.

    The pause between two readings does not count. A reading sets the same success time for all queues, so one queue
    shows when a reading ends.
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
    """Scrape the exporter, and return the value of the first sample whose line starts with `sample`."""
    return next(float(line.split()[-1]) for line in scrape(PORT).splitlines() if line.startswith(sample))


if __name__ == "__main__":
    main()
