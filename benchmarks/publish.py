"""Compare sending ten tasks per SQS call with a loop of `apply_async`.

Both sides send the same Celery messages to the same queue of one emulator, interleaved. Only the batched side writes
rows in SQLite, as the injector does. The output is tasks per second of each repetition, and the ratio.

    PYTHONPATH=. .venv/bin/python benchmarks/publish.py [--tasks 500] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

from celery import Celery

from benchmarks.harness import emulator, machine, paired_ratio, spread
from core import aws, sqs_queue
from core.broker import make_celery
from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.settings import Settings
from core.video import TASK_NAME, Payload
from injector.senders import NewVideo, VideoSender
from provision.queue import ensure_queue
from testing.emulator import KEYS
from testing.rows import run_row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with emulator() as endpoint, tempfile.TemporaryDirectory() as folder:
        os.environ.update(KEYS, AWS_ENDPOINT_URL_SQS=endpoint)
        settings = Settings.from_env({"AWS_ENDPOINT_URL": endpoint, "AFORO_DATABASE_URL": f"sqlite:///{folder}/a.db"})
        client = aws.client(settings, "sqs")
        app = make_celery(settings, ensure_queue(client, settings.queue))
        sender = VideoSender(app, client, sqs_queue.find_queue(client, settings.queue.name), database(settings))
        rates: dict[str, list[float]] = {"apply_async": [], "batched": []}
        for repeat in range(arguments.repeats):
            rates["apply_async"].append(arguments.tasks / timed_loop(app, arguments.tasks))
            rates["batched"].append(arguments.tasks / timed_batches(sender, arguments.tasks, repeat))
        show(rates, arguments.tasks)


def timed_loop(app: Celery, tasks: int) -> float:
    """Return the seconds that `tasks` calls of `apply_async` take."""
    started = time.perf_counter()
    for k in range(tasks):
        app.send_task(TASK_NAME, kwargs=Payload(f"video-{k}", "run").as_kwargs())
    return time.perf_counter() - started


def timed_batches(sender: VideoSender, tasks: int, repeat: int) -> float:
    """Return the seconds that recording and sending `tasks` videos takes."""
    videos = [NewVideo("run", repeat * tasks + k, "uploads/a.mp4", 1, "", "full", None, None) for k in range(tasks)]
    started = time.perf_counter()
    sender.record_and_send(videos)
    return time.perf_counter() - started


def database(settings: Settings) -> Sessions:
    """Return a session factory on a new database that has a row for the run."""
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row(id="run"))
    return sessions


def show(rates: dict[str, list[float]], tasks: int) -> None:
    """Print every repetition, the medians and their ratio."""
    print(machine())
    for name, values in rates.items():
        print(f"{name:>12}: {spread(values, '.0f')} tasks/s of {tasks}")
    print(f"ratio batched / apply_async: {paired_ratio(rates['batched'], rates['apply_async'])}")


if __name__ == "__main__":
    main()
