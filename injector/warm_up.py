"""Warm-up: process a few videos before the measured run, because a slot's first video can be slower."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from core import sqs_queue
from core.run import WARM_UP, Mode, RunStatus
from core.size_mix import SizeMix, SizeShare
from injector.injection import Injection, Request
from injector.monitor import follow

#: two videos per slot, because a slot that is free early may take a second one
VIDEOS_PER_SLOT = 2
#: SQS counts messages approximately, and deletes the last ones after their videos have ended
LONGEST_COUNT_SECONDS = 60.0


def warm_up(request: Request, slots: int, prepare: Callable[[Request], Injection], say: Callable[[str], None]) -> None:
    """Send two warm-up videos per slot as a burst, and wait until all have ended.

    The videos are recorded as a run of their own. Of a mix, they have the size with the largest weight. At the end,
    wait up to 60 s until SQS counts no message in the queue. `slots` is the number of slots of all workers. `prepare`
    returns the object that sends a request's videos. `say` prints a line of text.
    """
    count = VIDEOS_PER_SLOT * slots
    say(f"warm-up: {count} videos")
    run_id = time.strftime(f"{WARM_UP}-%Y%m%d-%H%M%S", time.gmtime())
    videos = dataclasses.replace(request, mode=Mode.BURST, count=count, rate_per_minute=None, warmup=False)
    videos = dataclasses.replace(videos, shape=None, seed=None, arrivals=None, sizes=_commonest(request.sizes))
    injection = prepare(dataclasses.replace(videos, run_id=run_id, note=WARM_UP))
    with injection.recorded():
        injection.send()
        follow(injection.sessions, run_id, injection.loss_watch())
        injection.end(RunStatus.FINISHED)
    _await_empty_queue(injection)


def _commonest(sizes: SizeMix | None) -> SizeMix | None:
    """Return the size with the largest weight, because the slots are too few videos for the shares of a mix."""
    if sizes is None:
        return None
    share = max(sizes.shares, key=lambda share: share.weight)
    return SizeMix((SizeShare(share.size_bytes),))


def _await_empty_queue(injection: Injection) -> None:
    """Wait until SQS counts no message, so that the last messages of the warm-up are not taken for earlier work."""
    sender, deadline = injection.maker.sender, time.monotonic() + LONGEST_COUNT_SECONDS
    while time.monotonic() < deadline:
        if not sqs_queue.read_attributes(sender.client, sender.queue_url).total:
            return
        time.sleep(1)
