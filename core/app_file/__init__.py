"""`aforo.toml`: the worker under test, and how to send it videos."""

from core.app_file.reader import read_app_file
from core.app_file.sections import AppFile, InputSection, StatusMapping, VideosSection, WorkerSection

__all__ = ["AppFile", "InputSection", "StatusMapping", "VideosSection", "WorkerSection", "read_app_file"]
