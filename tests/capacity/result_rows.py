"""Result rows for tests.

`row()` is a complete burst. ELSEWHERE has conditions that differ from those of `row()`.
"""

from __future__ import annotations

from dataclasses import replace

from capacity.diagnosis.validity import Level, Validity
from capacity.estimators.interval import Interval
from capacity.runs.conditions import Conditions
from capacity.runs.result_row import ResultRow

HERE = Conditions(source_sha256="ab", storage="filesystem", ffmpeg="5.1", cpu_model="AMD EPYC", cpu_count=2)
ELSEWHERE = [
    replace(HERE, cpu_model="Another CPU"),
    replace(HERE, cpu_count=8),
    replace(HERE, memory_gigabytes=64),
    replace(HERE, storage="s3"),
    replace(HERE, stack="aws"),
    replace(HERE, ffmpeg="7.0"),
    replace(HERE, celery="6.0"),
    replace(HERE, profile="showcase"),
    replace(HERE, source_sha256="cd"),
]


def row(run_id="a", **more):
    facts = dict(
        run_id=run_id, status="finished", mode="burst", size_label="5MB", concurrency=2, slots=2, count=16,
        rate_per_minute=None, done=16, failed=0, duplicates=0, x_per_minute=8.0, s_seconds=60.0, x_database=8.0,
        s_database=60.0, x_sat_per_minute=8.2, x_sat_interval=Interval(7.7, 8.8), service_mean_seconds=14.0,
        service_cv=0.1, stability=None, conditions=HERE, created_at=1.0,
    )  # fmt: skip
    facts |= more
    return ResultRow(**{"unfinished": facts["count"] - facts["done"] - facts["failed"], **facts})


def invalid_row(run_id="a", reason="littles_law", **more):
    """Return a complete burst that a data-quality flag makes invalid."""
    return row(run_id, validity=Validity(Level.INVALID, (reason,)), **more)


def indicative_row(run_id="a", reason="few_videos", **more):
    """Return a complete burst with a warning."""
    return row(run_id, validity=Validity(Level.INDICATIVE, (reason,)), **more)
