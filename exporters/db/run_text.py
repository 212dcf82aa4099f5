"""Text of the metrics `aforo_run_*` for the /metrics page, kept in memory for each run.

Only the lines of changed runs are rendered again. The text is the same in the Prometheus text format and in
OpenMetrics, because all these metrics are gauges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.core import Metric

from core import metrics
from exporters.db.families import Samples, families_of_run, samples_of_run, window
from exporters.db.run_aggregates import Run, RunAggregates
from exporters.exposition import to_text

HEADERS = {
    metric.name: f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n" for metric in metrics.RUN
}


class RenderedRun(NamedTuple):
    """Cached metric lines of one run, by metric name, and the values from which they were rendered."""

    run: Run
    window: tuple[float | None, float | None]
    samples: Samples
    lines: dict[str, str]


@dataclass
class RunText:
    """Render the metrics `aforo_run_*` as text, and cache the lines of each run until the run changes."""

    #: Queue that carries the tasks, for the label of the runs.
    queue: str = ""
    _cache: dict[str, RenderedRun] = field(default_factory=dict)

    def render(self, aggregates: RunAggregates, now: float) -> str:
        """Return the text of the metrics `aforo_run_*` for all tracked runs in `aggregates`.

        `now` is the current time in epoch seconds. The lines of unchanged runs come from the cache. Afterwards the
        field `changed_runs` of `aggregates` is empty.
        """
        changed, aggregates.changed_runs = aggregates.changed_runs, set()
        self._cache = {run_id: self._of_run(aggregates, run_id, run_id in changed, now) for run_id in aggregates.runs}
        return "".join(self._blocks())

    def _of_run(self, aggregates: RunAggregates, run_id: str, has_changed: bool, now: float) -> RenderedRun:
        run, tally, cached = aggregates.runs[run_id], aggregates.tallies[run_id], self._cache.get(run_id)
        if cached is not None and not has_changed and cached.run == run and cached.window[1] is not None:
            return cached
        span = window(run, tally, now)
        if cached is not None and not has_changed and cached[:2] == (run, span):
            return cached
        samples = samples_of_run(run, tally, aggregates.executions[run_id], now, self.queue)
        if cached is not None and cached.samples == samples:
            return cached._replace(run=run, window=span)
        return RenderedRun(run, span, samples, {f.name: sample_lines(f) for f in families_of_run(run_id, samples)})

    def _blocks(self) -> Iterator[str]:
        for name, header in HEADERS.items():
            yield header
            yield "".join([rendered.lines[name] for rendered in self._cache.values()])


def sample_lines(family: Metric) -> str:
    """Return the sample lines of one metric in the Prometheus format, without its HELP and TYPE lines."""
    return "".join(line for line in to_text([family]).splitlines(keepends=True) if not line.startswith("#"))
