"""Conclusions of the document: from how many slots on more slots stop paying, and what the sentence says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from capacity.analysis.scalability_curves import Point
from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.next_steps import advice
from capacity.estimators.interval import Interval
from capacity.estimators.littles_law import Agreement
from capacity.estimators.stability import Stability
from capacity.report.conclusions import Conclusion, enough_slots, unknowns
from capacity.report.document import conclusion_sentences
from tests.capacity.report.test_answer import sustained, verdict


def measured(slots, low, capacity, high):
    """Return a point of three runs."""
    return Point(slots, capacity, Interval(low, high), (capacity,) * 3, between_runs=True)


def once(slots, capacity):
    """Return a point of one run, whose interval says nothing about other runs."""
    return Point(slots, capacity, Interval(capacity - 0.1, capacity + 0.1), (capacity,))


@pytest.mark.parametrize(
    ("points", "enough"),
    [
        ([measured(1, 9, 10, 11), measured(2, 18, 19, 20), measured(4, 18, 19.5, 21)], ("certain", 2)),
        ([measured(1, 9, 10, 11), measured(2, 18, 19, 20), measured(4, 14, 15, 16)], ("certain", 2)),
        ([measured(1, 9, 10, 11), measured(2, 10, 10.5, 11), measured(4, 9, 10, 11)], ("certain", 1)),
        ([measured(1, 9, 10, 11), measured(2, 18, 19, 20), measured(4, 30, 31, 32)], ("rising", 4)),
        ([once(1, 10), once(2, 19), once(4, 19.2)], ("apparent", 2)),
        ([measured(1, 9, 10, 11), once(2, 19), measured(4, 18, 19.2, 21)], ("apparent", 2)),
        ([once(1, 10), once(4, 19)], ("open", 4)),
        ([once(2, 19)], ("one_level", 2)),
    ],
)
def test_more_slots_stop_paying_where_no_later_step_adds_capacity(points, enough):
    assert enough_slots(points) == enough


def test_the_sentence_of_a_size_has_capacity_steps_limit_and_what_to_do():
    fewer, more = measured(1, 9, 10, 11), measured(2, 18, 19, 20)
    values = {
        "size": "50 MB",
        "best": more,
        "gains": [(fewer, more, "up")],
        "enough": ("rising", 2),
        "needed": 3,
        "cause": None,
        "confidence": "baja",
        "next_step": advice(Cause.UNCLEAR).next_step,
    }
    assert conclusion_sentences([Conclusion("size", values)]) == [
        "**50 MB.** Hasta 19.00 videos por minuto, con 2 slots. De 1 a 2 slots, ×1.90 (sube). Con 2 slots la capacidad "
        "aún sube: no se midió dónde deja de hacerlo. Qué la limita no se pudo saber. Qué hacer: medir el mismo tamaño "
        "con 1, 2 y 4 slots: las pruebas comparables dan más criterios."
    ]


@pytest.mark.parametrize(
    ("judged", "is_open"),
    [
        (verdict(Stability.STABLE, 0.0, 0.3, 0.4), True),
        (verdict(Stability.STABLE, 0.0, 0.3, 0.4, arrivals=60), False),
        (verdict(Stability.UNSTABLE, 0.2, 0.9, 1.1), True),
        (verdict(Stability.UNSTABLE, 0.8, 4.1, 4.3), False),
    ],
)
def test_a_stability_is_an_open_question_if_more_videos_could_change_its_verdict(judged, is_open):
    run = sustained(judged, Cause.CPU)
    run.little = SimpleNamespace(agreement=Agreement.OK)
    codes = [each.code for each in unknowns(SimpleNamespace(runs=[], cells=[], newest_per_cell=[run]))]
    assert ("few_arrivals" in codes) is is_open
