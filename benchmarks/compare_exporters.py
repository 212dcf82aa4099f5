"""Compare the samples of the database exporter with those of a SQL exporter.

The SQL exporter runs with `sql_exporter.yml`.
"""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Sums = dict[tuple[str, ...], float]
SECONDS = ("total_response_seconds", "total_queue_wait_seconds", "total_service_seconds")


def parsed(text: str) -> Samples:
    """Return the samples of an exposition by name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def compare(ours: Samples, peer: Samples) -> None:
    """Raise AssertionError at the first difference between the samples of the two exporters.

    States, sums, executions and stages are compared, per run and in total.
    """
    pairs = [
        (sums(ours, "aforo_runs", "status"), sums(peer, "sql_runs", "status", col="runs")),
        (sums(ours, "aforo_videos", "state"), sums(peer, "sql_videos", "state", col="videos")),
        (_by_run(ours, "videos", "state"), sums(peer, "sql_run_videos", "run_id", "state", col="videos")),
        (
            _by_run(ours, "executions", "outcome"),
            sums(peer, "sql_run_executions", "run_id", "outcome", col="executions"),
        ),
        (
            sums(ours, "aforo_run_total_stage_seconds", "run_id", stage="transcode"),
            sums(peer, "sql_run_executions", "run_id", col="transcode", outcome="done"),
        ),
    ]
    for name in SECONDS:
        pairs.append((sums(ours, f"aforo_videos_{name}"), sums(peer, "sql_videos", col=name, state="done")))
        pairs.append((_by_run(ours, name), sums(peer, "sql_run_videos", "run_id", col=name, state="done")))
    for one, other in pairs:
        assert one, "there are no samples"
        assert one == other, sorted(set(one.items()) ^ set(other.items()))[:6]


def sums(samples: Samples, name: str, *keys: str, **fixed: str) -> Sums:
    """Return the samples named `name`, summed by the labels `keys`.

    Only samples that have the labels `fixed` and are not 0 are included.
    """
    result: Sums = {}
    for (sample, labels), value in samples.items():
        given = dict(labels)
        if sample == name and fixed.items() <= given.items() and value:
            key = tuple(given[label] for label in keys)
            result[key] = result.get(key, 0) + value
    return result


def _by_run(samples: Samples, name: str, *keys: str) -> Sums:
    return sums(samples, f"aforo_run_{name}", "run_id", *keys)
