"""The counts of real SQS are late by seconds, and whether a run's queue was real is known from its endpoint."""

from types import SimpleNamespace

import pytest

from capacity.analysis.run_facts import AWS_DELAY_SECONDS, EMULATOR_DELAY_SECONDS, queue_delay_seconds


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"stack": "compose", "real_sqs": True}, AWS_DELAY_SECONDS),
        ({"stack": "native", "real_sqs": True}, AWS_DELAY_SECONDS),
        ({"stack": "native", "real_sqs": False}, EMULATOR_DELAY_SECONDS),
        ({"stack": "aws"}, AWS_DELAY_SECONDS),  # an archive of an earlier version
        ({"stack": "compose"}, EMULATOR_DELAY_SECONDS),
    ],
)
def test_the_counts_of_a_queue_in_aws_may_be_late_whatever_the_stack_is(environment, expected):
    recorded = SimpleNamespace(run=SimpleNamespace(environment=environment))
    assert queue_delay_seconds(recorded) == expected
