"""A small team's video service: a Celery task, ffmpeg, and a table of videos."""
