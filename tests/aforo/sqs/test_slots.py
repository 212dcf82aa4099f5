"""The slot of a task that Celery cannot start is freed, with and without a semaphore that counts the slots."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from aforo.sqs.slots import _guard


class Worker:
    """Fake of Celery's worker, which raises after it has taken a slot."""

    def __init__(self, has_semaphore):
        self._quick_release = Mock()
        self.process_task = self._process_task_sem if has_semaphore else self._process_task
        self.consumer = SimpleNamespace(on_task_request=self.process_task)

    def _process_task_sem(self, request):
        self._process_task(request)

    def _process_task(self, _request):
        raise RuntimeError("whatever Celery raises")


@pytest.mark.parametrize(("has_semaphore", "slots_freed"), [(True, 1), (False, 0)], ids=["prefork", "gevent"])
def test_a_task_that_cannot_be_started_goes_back_and_its_slot_is_freed_once(has_semaphore, slots_freed):
    worker, request = Worker(has_semaphore), Mock()
    _guard(worker)
    worker.consumer.on_task_request(request)
    request.message.channel.undeliverable.assert_called_once_with(request.message.delivery_tag)
    assert worker._quick_release.call_count == slots_freed
