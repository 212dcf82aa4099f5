"""The slot of a task that Celery cannot start is freed, with and without a semaphore that counts the slots."""

from types import SimpleNamespace

import pytest

from aforo.sqs.slots import _guard


class Request:
    """Fake of a request whose message records that it goes back."""

    def __init__(self):
        self.returned = []
        channel = SimpleNamespace(undeliverable=self.returned.append)
        self.message = SimpleNamespace(channel=channel, delivery_tag="tag")
        self.id, self.worker_pid = "t", None


class Worker:
    """Fake of Celery's worker, which raises after it has taken a slot."""

    def __init__(self, has_semaphore):
        self.slots_freed = 0
        self.process_task = self._process_task_sem if has_semaphore else self._process_task
        self.consumer = SimpleNamespace(on_task_request=self.process_task)

    def _quick_release(self):
        self.slots_freed += 1

    def _process_task_sem(self, request):
        self._process_task(request)

    def _process_task(self, _request):
        raise RuntimeError("whatever Celery raises")


@pytest.mark.parametrize(("has_semaphore", "slots_freed"), [(True, 1), (False, 0)], ids=["prefork", "gevent"])
def test_a_task_that_cannot_be_started_goes_back_and_its_slot_is_freed_once(has_semaphore, slots_freed):
    worker, request = Worker(has_semaphore), Request()
    _guard(worker)
    worker.consumer.on_task_request(request)
    assert (request.returned, worker.slots_freed) == (["tag"], slots_freed)
