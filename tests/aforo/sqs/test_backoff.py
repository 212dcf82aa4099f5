from aforo.sqs.redelivery import LONGEST_BACK_OFF_SECONDS, back_off_seconds


def test_the_pause_doubles_with_each_delivery_up_to_a_limit():
    assert [back_off_seconds(n, 5, jitter=1) for n in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert back_off_seconds(1000, 5, jitter=1) == LONGEST_BACK_OFF_SECONDS


def test_half_of_the_pause_is_chance():
    assert (back_off_seconds(3, 5, jitter=0), back_off_seconds(3, 5, jitter=1)) == (10, 20)
    assert all(10 <= back_off_seconds(3, 5) <= 20 for _ in range(100))
