"""Compare sending several batches of ten tasks at once with a loop of `send_task`, which `apply_async` calls.

Both sides send the same Celery messages to the same queue of one emulator, interleaved, behind a proxy that delays each
call by the latency of a real service. Only the batched side writes rows in SQLite, as the injector does. The output is
tasks per second of each repetition, and the ratio.

    PYTHONPATH=. .venv/bin/python benchmarks/publish.py [--tasks 2000] [--loop 200] [--repeats 5] [--delay 0.015]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from celery import Celery

from benchmarks.harness import emulator, machine, paired_ratio, spread
from core import aws, sqs_queue
from core.broker import make_celery
from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.settings import Settings
from core.video import TASK_NAME, Payload
from injector.parallel_sender import send_videos
from injector.senders import NewVideo, Sender, VideoSender
from provision.queue import ensure_queue
from testing.emulator import KEYS
from testing.rows import run_row


def main() -> None:
    """Print the tasks sent per second in both ways, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2000, help="tasks of one repetition in batches")
    parser.add_argument("--loop", type=int, default=200, help="tasks of one repetition of send_task")
    parser.add_argument("--delay", type=float, default=0.015, help="seconds that the proxy delays each call")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with (
        emulator() as emulator_url,
        delayed(emulator_url, arguments.delay) as endpoint,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ.update(KEYS, AWS_ENDPOINT_URL_SQS=endpoint)
        settings = Settings.from_env({"AWS_ENDPOINT_URL": endpoint, "AFORO_DATABASE_URL": f"sqlite:///{folder}/a.db"})
        client = aws.client(settings, "sqs")
        app = make_celery(settings, ensure_queue(client, settings.queue))
        url = sqs_queue.find_queue(client, settings.queue.name)
        sender = VideoSender(app, Sender(client, url), database(settings))
        rates: dict[str, list[float]] = {"send_task": [], "batched": []}
        for repeat in range(arguments.repeats):
            rates["send_task"].append(arguments.loop / timed_loop(app, arguments.loop))
            rates["batched"].append(arguments.tasks / timed_batches(sender, arguments.tasks, repeat))
        show(rates, arguments.delay)


@contextmanager
def delayed(upstream: str, seconds: float) -> Iterator[str]:
    """Context manager: run a proxy to `upstream` that delays each call by `seconds`. Yield its URL.

    The proxy is a process of its own, so that it takes no CPU time from the senders.
    """
    address = urlsplit(upstream)
    code = "import sys,time;from testing.tcp_proxy import TcpProxy\nwith TcpProxy(sys.argv[1],int(sys.argv[2]),"
    code += "float(sys.argv[3])) as proxy:\n print(proxy.port,flush=True);sys.stdin.read()"
    command = [sys.executable, "-c", code, address.hostname or "", str(address.port), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            yield f"http://127.0.0.1:{int(proxy.stdout.readline())}"
        finally:
            proxy.terminate()


def timed_loop(app: Celery, tasks: int) -> float:
    """Return the seconds that `tasks` calls of Celery's `app.send_task` take. Each call sends one message."""
    started = time.perf_counter()
    for k in range(tasks):
        app.send_task(TASK_NAME, kwargs=Payload(f"video-{k}", "run").as_kwargs())
    return time.perf_counter() - started


def timed_batches(sender: VideoSender, tasks: int, repeat: int) -> float:
    """Return the seconds that recording and sending `tasks` videos takes, in repetition number `repeat`."""
    videos = [NewVideo("run", repeat * tasks + k, "uploads/a.mp4", 1, "", "full", None, None) for k in range(tasks)]
    started = time.perf_counter()
    send_videos(sender, videos)
    return time.perf_counter() - started


def database(settings: Settings) -> Sessions:
    """Return a session factory on a new database that has a row for the run."""
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row(id="run"))
    return sessions


def show(rates: dict[str, list[float]], delay_seconds: float) -> None:
    """Print every repetition, the medians and their ratio."""
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, {delay_seconds * 1000:g} ms per call")
    for name, values in rates.items():
        print(f"{name:>12}: {spread(values, '.0f')} tasks/s")
    print(f"ratio batched / send_task: {paired_ratio(rates['batched'], rates['send_task'])}")


if __name__ == "__main__":
    main()
