"""Ticks of the visibility heartbeat. The lease is renewed even after the message is visible again."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aforo.sqs.message import ReceivedMessage
from aforo.sqs.observer import SilentObserver
from aforo.sqs.visibility import VisibilityHeartbeat, _tick
from testing.fake_sqs import FakeSqs

MESSAGE = ReceivedMessage("q", "url", "handle")
AWAY = EndpointConnectionError(endpoint_url="http://sqs.example")
GONE = ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility")


class Renew:
    """Renew a lease with these results in turn. The last one repeats, and an exception is raised."""

    def __init__(self, *results):
        self.results, self.calls = list(results), 0

    def __call__(self):
        self.calls += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


class Results(SilentObserver):
    def __init__(self):
        self.extended, self.handled = [], []

    def visibility_extended(self, result):
        self.extended.append(result)

    def handled_error(self, operation):
        self.handled.append(operation)


def run_ticks(sqs, renew, count):
    """Return the observed results of `count` ticks, and for each tick if it allows another one."""
    results = Results()
    heartbeat = VisibilityHeartbeat(sqs, MESSAGE, 60, renew, results)
    return results.extended, [heartbeat.tick() for _ in range(count)]


def test_after_its_message_is_gone_the_lease_is_still_renewed():
    sqs, renew = FakeSqs({}, AWAY, GONE), Renew(True)
    observed, goes_on = run_ticks(sqs, renew, 6)
    assert goes_on == [True] * 6
    assert renew.calls == 6
    assert len(sqs.calls) == 3
    assert observed == ["ok", "failed", "gone"]


def test_the_ticks_end_with_the_lease():
    observed, goes_on = run_ticks(FakeSqs({}), Renew(True, False), 2)
    assert (observed, goes_on) == (["ok", "gone"], [True, False])


def test_after_its_message_is_gone_only_failures_of_the_lease_are_observed():
    observed, goes_on = run_ticks(FakeSqs(GONE), Renew(True, True, RuntimeError("away"), True, False), 5)
    assert observed == ["gone", "failed", "gone"]
    assert goes_on == [True, True, True, True, False]


def test_a_failure_that_renew_has_logged_itself_is_observed_and_not_logged_again(caplog):
    observed, goes_on = run_ticks(FakeSqs({}), Renew(None, RuntimeError("away"), True), 3)
    assert (observed, goes_on) == (["failed", "failed", "ok"], [True] * 3)
    assert [record.getMessage() for record in caplog.records] == ["could not renew the lease of a running task: away"]


def test_the_lease_is_renewed_before_sqs_is_called():
    order = []

    class Silent:
        def change_message_visibility(self, **_options):
            order.append("message")

    VisibilityHeartbeat(Silent(), MESSAGE, 60, lambda: order.append("lease") or True).tick()
    assert order == ["lease", "message"]


@pytest.mark.parametrize("result", [False, RuntimeError("away")])
def test_no_failure_reaches_the_task(result):
    with VisibilityHeartbeat(FakeSqs(AWAY), MESSAGE, 60, Renew(result)) as heartbeat:
        heartbeat.tick()
    assert not heartbeat.tick()


def test_an_observer_that_raises_is_counted_and_the_ticks_go_on():
    class Broken(Results):
        def visibility_extended(self, result):
            raise RuntimeError(result)

    results = Broken()
    assert 18 <= _tick(VisibilityHeartbeat(FakeSqs({}), MESSAGE, 60, observer=results)) <= 20
    assert results.handled == ["extend_visibility"]


def test_an_observer_that_cannot_count_either_does_not_end_the_ticks(caplog):
    class Broken(Results):
        def visibility_extended(self, result):
            raise RuntimeError(result)

        def handled_error(self, operation):
            raise RuntimeError("the observer is broken")

    assert 18 <= _tick(VisibilityHeartbeat(FakeSqs({}), MESSAGE, 60, observer=Broken())) <= 20
    assert "the observer could not count a failed tick" in caplog.text
