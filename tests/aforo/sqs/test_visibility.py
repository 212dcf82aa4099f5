"""One round of the visibility keeper: the lease outlives its message."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aforo.sqs.visibility import Receipt, VisibilityKeeper

RECEIPT = Receipt("url", "handle", 1, None)
AWAY = EndpointConnectionError(endpoint_url="http://sqs.example")
GONE = ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility")


class Scripted:
    """Answers with one of `answers` after the other, the last one again and again; None is success."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), 0

    def __call__(self, **_options):
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Sqs:
    def __init__(self, *answers):
        self.change_message_visibility = Scripted(*answers)


def rounds(sqs, renew, count):
    """Return what `count` rounds told, and what each said of another one."""
    told = []
    keeper = VisibilityKeeper(sqs, RECEIPT, 60, renew, told.append)
    return told, [keeper.go_round() for _ in range(count)]


def test_the_lease_of_a_message_that_is_gone_is_renewed_on_and_the_message_left_alone():
    sqs, renew = Sqs(None, AWAY, GONE), Scripted(True)
    told, goes_on = rounds(sqs, renew, 6)
    assert goes_on == [True] * 6
    assert renew.calls == 6
    assert sqs.change_message_visibility.calls == 3
    assert told == ["ok", "failed", "gone"]


def test_the_rounds_end_with_the_lease():
    told, goes_on = rounds(Sqs(None), Scripted(True, False), 2)
    assert (told, goes_on) == (["ok", "gone"], [True, False])


def test_without_its_message_only_what_goes_wrong_with_the_lease_is_told():
    told, goes_on = rounds(Sqs(GONE), Scripted(True, True, RuntimeError("away"), True, False), 5)
    assert told == ["gone", "failed", "gone"]
    assert goes_on == [True, True, True, True, False]


def test_the_lease_does_not_wait_for_an_sqs_that_is_silent():
    order = []

    class Silent:
        def change_message_visibility(self, **_options):
            order.append("message")

    VisibilityKeeper(Silent(), RECEIPT, 60, lambda: order.append("lease") or True).go_round()
    assert order == ["lease", "message"]


@pytest.mark.parametrize("renew", [Scripted(False), Scripted(RuntimeError("away"))])
def test_nothing_of_it_reaches_the_task(renew):
    with VisibilityKeeper(Sqs(AWAY), RECEIPT, 60, renew) as keeper:
        keeper.go_round()
    assert not keeper.go_round()
