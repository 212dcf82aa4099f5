"""Measure the time for which a task runs ffmpeg and ffprobe, without a change of the task's code.

That time is recorded as the stage `transcode` for ffmpeg and `probe` for ffprobe.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from aforo.telemetry import event_channel, stages
from aforo.telemetry.label_values import Operation
from aforo.telemetry.task_result import current_delivery

logger = logging.getLogger(__name__)
#: Stage by the beginning of a program's name; names such as `ffmpeg-linux64-v4.2.2` exist.
STAGE_OF_PROGRAM = {"ffprobe": "probe", "ffmpeg": "transcode"}
_MARK = "_aforo_delivery"


@dataclass
class _Running:
    """Programs of the current task of one thread. `stage` is that of the program that started first."""

    delivery: str = ""
    programs: set[int] = field(default_factory=set)
    stage: str = ""
    since: float = 0.0


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.running = _Running()


_of_thread = _OfThread()


def follow_child_programs() -> None:
    """Patch `subprocess.Popen` to measure each ffmpeg and ffprobe of a task as a stage of that task.

    ffmpeg is the stage `transcode`, ffprobe the stage `probe`. A stage ends when the task gets the program's exit code.
    Programs that run at the same time are one stage: that of the program that started first.
    """
    popen: Any = subprocess.Popen
    if hasattr(popen, _MARK):
        return
    setattr(popen, _MARK, None)
    popen.__init__ = _started_after(popen.__init__)
    popen.wait, popen.poll = _ended_after(popen.wait), _ended_after(popen.poll)


def _started_after(start: Callable[..., None]) -> Callable[..., None]:
    @wraps(start)
    def start_and_note(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        before = time.perf_counter()  # the program already runs when `start` returns
        start(self, args, *rest, **options)
        with _never_an_error_of_the_task():
            _note_start(self, args, before)

    return start_and_note


def _ended_after(wait: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(wait)
    def wait_and_note(self: Any, *args: Any, **options: Any) -> Any:
        code = wait(self, *args, **options)
        if code is not None and getattr(self, _MARK) is not None:
            with _never_an_error_of_the_task():
                _note_end(self)
        return code

    return wait_and_note


@contextmanager
def _never_an_error_of_the_task() -> Iterator[None]:
    try:
        yield
    except Exception:
        event_channel.handled_error(Operation.TELEMETRY_EVENT)
        logger.warning("a program of a task could not be measured", exc_info=True)


def _note_start(program: Any, args: Any, before: float) -> None:
    stage, delivery = _stage_of(args), current_delivery()
    if stage is None or not delivery:
        return
    running = _of_thread.running
    if running.delivery != delivery:  # programs of an ended task
        running = _of_thread.running = _Running(delivery)
    if not running.programs:
        running.stage, running.since = stage, before
    running.programs.add(id(program))
    setattr(program, _MARK, delivery)


def _note_end(program: Any) -> None:
    running = _of_thread.running
    delivery = getattr(program, _MARK)
    setattr(program, _MARK, None)
    if running.delivery != delivery or id(program) not in running.programs:
        return
    running.programs.remove(id(program))
    if not running.programs:
        stages.record_stage(running.stage, time.perf_counter() - running.since)


def _stage_of(args: Any) -> str | None:
    """Return the stage of a command, given as a list of words or as a text for the shell; None for other programs."""
    first = args if isinstance(args, (str, bytes, os.PathLike)) else next(iter(args), "")
    words = os.fsdecode(first).split(maxsplit=1) if isinstance(args, (str, bytes)) else [os.fsdecode(first)]
    name = os.path.basename(words[0]) if words else ""
    return next((stage for program, stage in STAGE_OF_PROGRAM.items() if name.startswith(program)), None)
