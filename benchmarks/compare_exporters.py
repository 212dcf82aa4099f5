"""Comparison of the samples of the database exporter with those of a SQL exporter with `sql_exporter.yml`."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
Told = dict[tuple[str, ...], float]
SUMS = ("total_response_seconds", "total_queue_wait_seconds", "total_service_seconds")


def parsed(text: str) -> Samples:
    """Return the samples of an exposition by name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def compare(ours: Samples, peer: Samples) -> None:
    """Raise AssertionError at the first difference in states, sums, executions or stages, per run and in total."""
    pairs = [
        (told(ours, "aforo_runs", "status"), told(peer, "sql_runs", "status", col="runs")),
        (told(ours, "aforo_videos", "state"), told(peer, "sql_videos", "state", col="videos")),
        (_by_run(ours, "videos", "state"), told(peer, "sql_run_videos", "run_id", "state", col="videos")),
        (
            _by_run(ours, "executions", "outcome"),
            told(peer, "sql_run_executions", "run_id", "outcome", col="executions"),
        ),
        (
            told(ours, "aforo_run_total_stage_seconds", "run_id", stage="transcode"),
            told(peer, "sql_run_executions", "run_id", col="transcode", outcome="done"),
        ),
    ]
    for sums in SUMS:
        pairs.append((told(ours, f"aforo_videos_{sums}"), told(peer, "sql_videos", col=sums, state="done")))
        pairs.append((_by_run(ours, sums), told(peer, "sql_run_videos", "run_id", col=sums, state="done")))
    for one, other in pairs:
        assert one, "nothing is told"
        assert one == other, sorted(set(one.items()) ^ set(other.items()))[:6]


def told(samples: Samples, name: str, *keys: str, **fixed: str) -> Told:
    """Return the samples of a name that have the labels `fixed` and are not 0, summed by the labels `keys`."""
    found: Told = {}
    for (sample, labels), value in samples.items():
        given = dict(labels)
        if sample == name and fixed.items() <= given.items() and value:
            key = tuple(given[label] for label in keys)
            found[key] = found.get(key, 0) + value
    return found


def _by_run(samples: Samples, name: str, *keys: str) -> Told:
    return told(samples, f"aforo_run_{name}", "run_id", *keys)
