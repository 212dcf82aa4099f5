"""Redrive policies of queues."""

import pytest

from aforo.sqs.redrive_policy import RedrivePolicy

ARN = "arn:aws:sqs:us-east-1:000000000000:videos-failed"


def test_the_number_of_receives_may_be_text_as_some_tools_write_it():
    attributes = {"RedrivePolicy": f'{{"deadLetterTargetArn": "{ARN}", "maxReceiveCount": "5"}}'}
    assert RedrivePolicy.of(attributes) == RedrivePolicy(ARN, 5)


@pytest.mark.parametrize(
    "attributes",
    [{}, {"RedrivePolicy": ""}, {"RedrivePolicy": '{"maxReceiveCount": 5}'},
     {"RedrivePolicy": f'{{"deadLetterTargetArn": "{ARN}"}}'}],
)  # fmt: skip
def test_a_queue_without_a_complete_policy_has_none(attributes):
    assert RedrivePolicy.of(attributes) is None
