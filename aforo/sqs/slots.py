"""Free a slot that Celery has taken for a task but cannot use, because starting the task failed."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup
from celery.worker import state

logger = logging.getLogger(__name__)


def keep_slots(app: Celery) -> None:
    """Install a hook in the workers of `app`, to free the slot of a task that Celery cannot start.

    Call this before a worker starts.
    """

    # corrects a defect: if Celery raises after it has taken a slot, the slot stays taken
    def guard(instance: Any = None, **_signal: Any) -> None:
        if instance.app is app:
            _guard(instance)

    celeryd_after_setup.connect(guard, weak=False)


def _guard(worker: Any) -> None:
    start_task = worker._process_task

    def process_task(request: Any) -> None:
        try:
            start_task(request)
        except Exception:
            logger.exception("Celery could not start a task; its slot is free again")
            _free(worker, request)

    if worker.consumer.on_task_request == start_task:  # a pool without a semaphore
        worker.consumer.on_task_request = process_task
    worker._process_task = process_task


def _free(worker: Any, request: Any) -> None:
    """Free the slot and the place in the prefetch window.

    The message returns to the queue after its visibility timeout.
    """
    state.task_ready(request)
    message = request.message
    message.channel.undeliverable(message.delivery_tag)
    if worker.process_task == worker._process_task_sem:
        worker._quick_release()
