"""Our worker with altered parts: `python -m testing.altered no_queue_contract,… --concurrency 1`.

A name that starts with `no_` removes a protection, so that a test can show what happens without it. `loses_one_poll` is
a fault. Every other name shortens a time that would take minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from boto3.s3.transfer import TransferConfig

import worker.__main__ as program
from aforo.sqs import hardening, stopped_slots
from core import aws, cli, database, ports, storage
from core.settings import Settings
from testing.lost_poll import lose_one_poll
from worker import app, claims, cleanup, task

SMALL_PART_BYTES = 5 << 20  # the smallest part that S3 accepts


def _nothing(*_arguments: Any, **_options: Any) -> None:
    """Replace a protection by no action."""


def _by_number_alone(claim: claims.Claim) -> tuple[Any, ...]:
    return (claims.VideoRow.id == claim.video_id,)


def _allow_every_claim() -> None:
    claims.Claims._denial = _nothing  # type: ignore[method-assign]
    claims._is_current = _by_number_alone


def _limit_hard_before_the_deadline() -> None:
    """Kill a task 2 s before its deadline, without a soft limit before.

    A task that ignores its soft limit ends like this.
    """
    create = app.create_app

    def created(settings: Settings) -> app.WorkerApp:
        parts = create(settings)
        parts.celery.conf.update(task_soft_time_limit=None, task_time_limit=settings.worker.deadline_seconds - 2)
        return parts

    app.create_app = created


def _set(module: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(module, name, value)


ALTERATIONS: dict[str, Callable[[], None]] = {
    "no_queue_contract": _set(program, "require_contract", lambda *_: ()),
    "no_ffmpeg_check": _set(program, "require_ffmpeg", _nothing),
    "no_port_check": _set(ports, "require_free", _nothing),
    "no_wait": _set(program, "wait_for", lambda _what, check: check()),
    "no_reject": _set(task, "_unexpected_errors_rejected", nullcontext),
    "no_compare_and_set": _allow_every_claim,
    "brief_lock_wait": _set(database, "BUSY_TIMEOUT_SECONDS", 1),
    "brief_s3_wait": _set(aws, "client_options", lambda _seconds=15, usual=aws.client_options: usual(1)),
    "hang_before_deadline": _set(app, "HANG_SECONDS", -2),
    "hard_limit_before_deadline": _limit_hard_before_the_deadline,
    "replaces_stopped_slots_soon": _set(stopped_slots, "STOPPED_SECONDS", 3.0),
    "no_replacement_of_stopped_slots": _set(hardening, "watch_for_stopped_slots", _nothing),
    "loses_one_poll": lose_one_poll,
    "small_parts": _set(storage, "_TRANSFER", TransferConfig(SMALL_PART_BYTES, 1, SMALL_PART_BYTES)),
    "aborts_young_uploads": _set(cleanup, "ABANDONED_SECONDS", 0),
}


if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        ALTERATIONS[name]()
    cli.run(program.main, "python -m worker")
