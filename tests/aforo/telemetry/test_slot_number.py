"""Slot numbers of pools of processes, threads and of one thread."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from billiard import Process

from aforo.telemetry.slot_number import ThreadNumbers, slot_number


def test_the_number_of_a_pool_process_is_its_index():
    read, write = os.pipe()
    process = Process(target=lambda: os.write(write, str(slot_number()).encode()))
    process.index = 3  # as billiard's pool sets it before it starts a child or a replacement
    process.start()
    process.join(30)
    assert os.read(read, 10) == b"3"


def test_each_thread_has_a_number_and_keeps_it():
    numbers, at_once = ThreadNumbers(), threading.Barrier(4)

    def twice():
        at_once.wait(30)
        return numbers.own(), numbers.own()

    with ThreadPoolExecutor(4) as threads:
        answers = [future.result(30) for future in [threads.submit(twice) for _ in range(4)]]
    assert sorted(answers) == [(k, k) for k in range(4)]


def test_a_new_thread_takes_the_number_of_an_ended_thread():
    numbers, given = ThreadNumbers(), []
    for _ in range(3):
        thread = threading.Thread(target=lambda: given.append(numbers.own()))
        thread.start()
        thread.join()
    assert given == [0, 0, 0]


def test_the_only_thread_of_a_solo_worker_has_the_number_0():
    assert ThreadNumbers().own() == 0
