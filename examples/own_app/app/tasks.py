"""The task: make a small version of a video."""

import os
import subprocess
from pathlib import Path

from aforo import stage
from app import videos
from app.main import celery

OUTPUT = Path(os.environ["OUTPUT_PATH"])


class TranscodeFailed(Exception):
    """Error: ffmpeg failed on the video."""


@celery.task(name="app.tasks.process_video")
def process_video(video_id: str, path: str, uploaded_at: float) -> Path:
    """Transcode the file at `path`."""
    videos.begin(video_id, float(uploaded_at))
    try:
        output = transcode(path, OUTPUT / f"{video_id}.mp4")
    except TranscodeFailed:
        videos.finish(video_id, "error")
        raise
    videos.finish(video_id, "completed")
    return output


def transcode(path: str, target: Path) -> Path:
    """Write the small version of `path` to `target`. Return `target`."""
    partial = target.with_suffix(".part")
    options = ["-vf", "scale=-2:180", "-c:v", "libx264", "-preset", "ultrafast", "-an", "-f", "mp4"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", f"file:{path}", *options, f"file:{partial}"]
    with stage("transcode"):
        if subprocess.run(command, check=False).returncode != 0:
            raise TranscodeFailed(path)
    with stage("publish"):
        return partial.rename(target)
