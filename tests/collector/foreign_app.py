"""An app that is not ours: tasks that send others, are retried, fail, or die. Only the environment instruments it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

from celery import Celery, Task, chain, group

import aforo
import aforo.autoload  # what the entry point of an installed library imports; here the library is only in the path

QUEUE = os.environ["QUEUE_NAME"]
#: URLs of further queues by name
MORE_QUEUES = json.loads(os.environ.get("MORE_QUEUES", "{}"))
SERIALIZER = os.environ.get("SERIALIZER", "json")
app = Celery("foreign", broker="sqs://", set_as_current=True)
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    task_protocol=int(os.environ.get("PROTOCOL", "2")),
    task_serializer=SERIALIZER,
    accept_content=[SERIALIZER],
    broker_transport_options={
        "predefined_queues": {
            name: {"url": url} for name, url in ({QUEUE: os.environ["QUEUE_URL"]} | MORE_QUEUES).items()
        },
        "wait_time_seconds": 1,
    },
    # used with `-B` only
    beat_schedule={"tick": {"task": "tests.collector.foreign_app.quick", "schedule": 0.2}},
)
if os.environ.get("HARDEN"):
    aforo.harden(app)  # ten times as many tasks per second as on kombu's own transport


@app.task
def quick(*_arguments: object) -> None:
    """Do nothing."""


@app.task
def parent() -> None:
    """Send two messages, and work for a moment."""
    with aforo.stage("download"):
        time.sleep(0.05)
    quick.delay()
    quick.delay()


@app.task(bind=True, max_retries=1)
def twice(self: object) -> None:
    """Succeed at the second attempt."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task
def failing() -> None:
    """Fail with a text that must not leave the worker."""
    raise ValueError("a secret")


@app.task
def burning() -> None:
    """Use 0.3 s of CPU in a child program."""
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run(["python3", "-c", code], check=True)


@app.task
def transcoding() -> None:
    """Run programs with the names of ffprobe and ffmpeg, two of them at the same time, and another one."""
    subprocess.run(["./ffprobe", "0.1"], check=True)
    with aforo.stage("upload"):
        started = [subprocess.Popen(["./ffmpeg", "0.3"]), subprocess.Popen("./ffmpeg 0.3", shell=True)]  # noqa: S602
        for program in started:
            program.communicate()
        subprocess.run(["sleep", "0.1"], check=True)


@app.task(acks_late=False)
def dying() -> None:
    """Kill the process of the task."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def slow() -> None:
    """Keep a slot busy."""
    time.sleep(1.5)


@app.task(bind=True)
def noting(self: Task) -> None:
    """Wait for TASK_SECONDS. Then append this task's id, its process, its start and its end to the file NOTES."""
    started_at = time.time()
    with aforo.stage("download"):
        time.sleep(float(os.environ["TASK_SECONDS"]))
    with open(os.environ["NOTES"], "a", encoding="utf-8") as file:
        file.write(f"{self.request.id} {os.getpid()} {started_at} {time.time()}\n")


def send(kind: str, task_id: str) -> None:
    """Send the first message of one video, with this task id. `kind` may end in `@QUEUE`."""
    kind, _, queue = kind.partition("@")
    if kind == "chain":
        chain(quick.si().set(task_id=task_id), group(quick.si(), quick.si())).apply_async()
    elif kind == "delayed":
        quick.apply_async(task_id=task_id, countdown=9)
    else:
        app.tasks[f"tests.collector.foreign_app.{kind}"].apply_async(task_id=task_id, args=(), queue=queue or QUEUE)
