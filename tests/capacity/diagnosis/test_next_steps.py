import pytest

from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.next_steps import Disproof, NextStep, advice


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.UNCLEAR])
def test_each_verdict_says_what_would_prove_it_wrong(cause):
    assert advice(cause).disproof is not None


def test_without_a_verdict_there_is_something_to_try_and_nothing_to_disprove():
    assert advice(Cause.UNCLEAR).next_step.code is NextStep.COMPARE_SLOTS
    assert advice(Cause.UNCLEAR).disproof is None


def test_too_few_slots_is_wrong_if_more_slots_give_little():
    advised = advice(Cause.SLOTS)
    assert (advised.next_step.code, advised.disproof.code) == (NextStep.DOUBLE_SLOTS, Disproof.LITTLE_GAIN)
    assert advised.disproof.values == {"gain_ratio": 0.25}
