"""Celery task that cuts a video to 30 s, scales it down, and saves a picture of it."""

import subprocess
from pathlib import Path

from celery import Task
from core.config import settings
from sqlalchemy import update

from core.models import Session, Video, now
from worker.main import app

RETRY_SECONDS = 3


class FfmpegFailed(Exception):
    """ffmpeg or ffprobe ended with an error."""


@app.task(name="worker.tasks.process_video", bind=True, max_retries=2)
def process_video(self: Task, video_id: int, source: str) -> None:
    """Process one video, and delete the file `source` if that succeeds.

    Do nothing if another delivery has taken the video. Retry the task twice if ffmpeg fails. Then mark the video as
    failed.
    """
    if not take(video_id):
        return
    try:
        result = process(Path(source), video_id)
    except FfmpegFailed as error:
        if self.request.retries >= self.max_retries:
            finish(video_id, status="failed", error=str(error))
            return
        finish(video_id, status="uploaded", error=str(error))
        raise self.retry(exc=error, countdown=RETRY_SECONDS) from error
    finish(video_id, status="done", result_path=str(result))
    Path(source).unlink(missing_ok=True)


def take(video_id: int) -> bool:
    """Mark an uploaded video as being processed. Return False if it is not uploaded."""
    free = update(Video).where(Video.id == video_id, Video.status == "uploaded")
    with Session.begin() as session:
        return session.execute(free.values(status="processing", updated_at=now())).rowcount == 1


def finish(video_id: int, **values: str) -> None:
    """Write new values, such as the status, into the row of a video, and set its update time."""
    with Session.begin() as session:
        session.execute(update(Video).where(Video.id == video_id).values(**values, updated_at=now()))


def process(source: Path, video_id: int) -> Path:
    """Cut a video to 30 s, scale it to a height of 180 pixels, and save a picture of it as a JPEG.

    Return the path of the small video. Raise FfmpegFailed if a program fails.
    """
    settings.output_folder.mkdir(exist_ok=True)
    short, small = (settings.output_folder / f"{video_id}.{name}.mp4" for name in ("short", "small"))
    run("ffprobe", "-v", "error", "-show_streams", str(source))
    run(*FFMPEG, "-i", str(source), "-t", "30", "-c", "copy", str(short))
    run(*FFMPEG, *THREADS, "-i", str(short), "-vf", "scale=-2:180", *H264, *THREADS, str(small))
    run(*FFMPEG, "-i", str(small), "-frames:v", "1", str(small.with_suffix(".jpg")))
    short.unlink()
    return small


FFMPEG = ("ffmpeg", "-nostdin", "-loglevel", "error", "-y")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
#: before an input, the threads of its decoder; before an output, those of its encoder
THREADS = ("-threads", str(settings.ffmpeg_threads))


def run(*command: str) -> None:
    """Run a program. If it fails, raise FfmpegFailed with the last line of its standard error."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise FfmpegFailed((ended.stderr.strip().splitlines() or [command[0]])[-1])
