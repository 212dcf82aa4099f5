from collections import Counter

from capacity.matrix import Plan, ordered, predicted_seconds

PLAN = Plan(("5MB", "10MB"), (1, 2, 4), ("burst", "sustained"), count=16, repeats=2, rate_per_minute=10.0)


def test_every_cell_is_run_once_in_each_repeat():
    cells = Counter((t.size, t.concurrency, t.mode, t.repeat) for t in ordered(PLAN))
    assert len(cells) == 2 * 3 * 2 * 2
    assert set(cells.values()) == {1}


def test_repeats_are_interleaved_and_the_order_is_the_same_when_asked_again():
    tests = ordered(PLAN)
    assert [t.repeat for t in tests] == [1] * 12 + [2] * 12
    assert tests == ordered(PLAN)
    assert [t.note(PLAN) for t in tests[:12]] != sorted(t.note(PLAN) for t in tests[:12])


def test_an_automatic_rate_has_its_burst_before_it():
    plan = Plan(("5MB",), (1, 2), ("burst", "sustained"), 16, 1, None)
    assert [t.mode for t in ordered(plan)] == ["burst", "burst", "sustained", "sustained"]


def test_another_question_is_another_matrix():
    other = Plan(PLAN.sizes, PLAN.concurrencies, PLAN.modes, 17, 2, 10.0)
    assert other.name != PLAN.name


def test_the_predicted_time_is_unknown_until_every_cell_has_a_service_time():
    plan = Plan(("5MB",), (2,), ("burst", "sustained"), 16, 1, 10.0)
    tests = ordered(plan)
    assert predicted_seconds(plan, tests, {}) is None
    # burst 16 × 3 s / 2 slots + 3 s; sustained 16 × 6 s + 3 s
    assert predicted_seconds(plan, tests, {("5MB", 2): 3.0}) == 24 + 3 + 96 + 3
