"""`aforo.toml`: the file in which users describe their own Celery app, so that Aforo can test it.

The file says how to start the worker, how to send tasks, and where the states of the videos are.
"""

from core.app_file.reader import read_app_file
from core.app_file.sections import AppFile, InputSection, StatusMapping, VideosSection, WorkerSection

__all__ = ["AppFile", "InputSection", "StatusMapping", "VideosSection", "WorkerSection", "read_app_file"]
