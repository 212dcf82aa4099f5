"""The metric catalogue: names, labels, and the page that is generated from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aforo.sqs import observer
from aforo.sqs.observer import ExtensionResult, InvalidReason, PollResult
from aforo.telemetry.label_values import DECLARED_OUTCOMES, FAILURE_REASONS, Operation
from aforo.telemetry.request_counting import OUTCOMES
from capacity.diagnosis.bottleneck import Cause
from capacity.estimators.stability import Stability
from collector.metrics import Reason as CollectorReason
from core.label_values import OF_FAMILY, VALUES, values_of
from core.metrics import CATALOGUE, Kind
from core.metrics_page import SECTIONS, render, unit_of
from core.video import Outcome, Reason
from exporters.faults import Fault

METRICS = list(CATALOGUE.values())


def test_the_page_is_up_to_date_with_the_catalogue():
    assert Path("docs/metrics.md").read_text(encoding="utf-8") == render()
    assert [m.name for _, _, families in SECTIONS for m in families] == list(CATALOGUE)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_name_follows_the_rules_and_has_a_help_text(metric):
    assert re.fullmatch(r"aforo_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|mb|percent|count|sum|bucket)$", metric.name)
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(metric.buckets)
    for label in metric.labels:
        assert values_of(metric.name, label)


def test_only_the_bounded_families_of_the_database_exporter_have_a_run_label():
    assert {m.name for m in METRICS if "run_id" in m.labels} == {m.name for m in METRICS if m.name[:10] == "aforo_run_"}


def test_no_value_is_declared_for_a_label_that_no_metric_has():
    used = {(m.name, label) for m in METRICS for label in m.labels}
    assert set(OF_FAMILY) <= used
    assert set(VALUES) == {label for family, label in used - set(OF_FAMILY)}


def test_a_unit_is_read_from_the_name():
    assert unit_of(CATALOGUE["aforo_worker_last_poll_timestamp_seconds"]) == "seconds since 1970, UTC"
    assert unit_of(CATALOGUE["aforo_node_disk_bytes_total"]) == "bytes"
    assert unit_of(CATALOGUE["aforo_worker_slots"]) == "number"


def test_closed_lists_are_those_of_the_programs_that_emit_them():
    assert set(values_of("aforo_exporter_errors_total", "reason")) == set(Fault)
    assert set(values_of("aforo_collector_errors_total", "reason")) == set(CollectorReason)
    assert set(values_of("aforo_worker_invalid_messages_total", "reason")) == set(InvalidReason)
    assert set(values_of("aforo_worker_polls_total", "result")) == set(PollResult)
    assert set(values_of("aforo_worker_visibility_extensions_total", "result")) == set(ExtensionResult)
    assert set(values_of("aforo_worker_handled_errors_total", "operation")) == {*observer.Operation, *Operation}
    assert set(FAILURE_REASONS) == set(Reason)
    celery_ends = {ends for _, ends in OUTCOMES} | {"succeeded", "failed"}
    assert celery_ends <= set(values_of("aforo_worker_tasks_total", "outcome"))
    assert set(values_of("aforo_worker_tasks_total", "outcome")) <= celery_ends | set(Outcome)
    assert set(DECLARED_OUTCOMES) <= set(Outcome)
    verdicts = {verdict.lower() for verdict in Stability} | set(Cause)
    assert set(values_of("aforo_run_verdict", "verdict")) == verdicts
