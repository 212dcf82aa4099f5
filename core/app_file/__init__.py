"""`aforo.toml`: the file in which users describe their own Celery app, so that Aforo can test it.

It says how the app's worker is started, how tasks are sent to it, and where the states of its videos are.
"""

from core.app_file.reader import read_app_file
from core.app_file.sections import AppFile, InputSection, StatusMapping, VideosSection, WorkerSection

__all__ = ["AppFile", "InputSection", "StatusMapping", "VideosSection", "WorkerSection", "read_app_file"]
