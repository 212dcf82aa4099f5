"""An app with the two lines of Aforo and stages, on the hardened transport."""

from __future__ import annotations

import os
import subprocess

from celery import Celery

import aforo

QUEUE = os.environ["QUEUE_NAME"]
app = Celery("metered", broker="sqs://")
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_transport_options={"predefined_queues": {QUEUE: {"url": os.environ["QUEUE_URL"]}}, "wait_time_seconds": 5},
)
metrics = aforo.instrument(app, port=int(os.environ["METRICS_PORT"]))
aforo.harden(app, metrics)


@app.task(name="app.tasks.process_video")
def process_video(video_id: int, path: str) -> None:
    """Decode the file at `path`, and write the id of the video."""
    with aforo.stage("transcode"):
        subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-t", "0.2", "-f", "null", "-"], check=True)
    with aforo.stage("publish"), open(f"{os.environ['OUTPUT_PATH']}/done", "a", encoding="utf-8") as file:
        file.write(f"{video_id}\n")
