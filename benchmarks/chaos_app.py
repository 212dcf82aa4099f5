"""A team's Celery app for `chaos.py`, started with `celery -A benchmarks.chaos_app worker`.

It has its own table, a child program per task, a retry if that program dies, and a message that stays until its job has
a final state. CHAOS_HARDENED=1 selects our transport, otherwise it is stock Celery. CHAOS_REENTRANT=1 lets a delivery
claim a job whose earlier task died.
"""

from __future__ import annotations

import os
import subprocess

from celery import Celery, Task
from sqlalchemy import create_engine

import aforo
from benchmarks.chaos_jobs import Jobs

QUEUE = os.environ["CHAOS_QUEUE"]
RETRY_SECONDS = 1

app = Celery("chaos", broker="sqs://")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": int(os.environ["CHAOS_VISIBILITY_SECONDS"]),
        "wait_time_seconds": 1,
        "predefined_queues": {QUEUE: {"url": os.environ["CHAOS_QUEUE_URL"]}},
    },
)
if os.environ.get("CHAOS_HARDENED") == "1":
    aforo.harden(app)

engine = create_engine(os.environ["CHAOS_DATABASE_URL"], pool_pre_ping=True)
jobs = Jobs(engine, is_reentrant=os.environ.get("CHAOS_REENTRANT") == "1")


@app.task(name="chaos.work", bind=True, max_retries=8)  # type: ignore[untyped-decorator]
def work(self: Task, job: str, seconds: float) -> None:
    """Do one job: run `sleep` in place of ffmpeg. Retry the task if that program is killed."""
    if not jobs.claim(job):
        return
    if subprocess.run(["sleep", str(seconds)], check=False).returncode == 0:
        jobs.finish(job)
    elif self.request.retries < self.max_retries:
        jobs.release(job)
        raise self.retry(countdown=RETRY_SECONDS)
    else:
        jobs.fail(job)
