"""The per-run families as text, rendered once per change: 200 runs are 5,000 lines, of which a scrape changes 30.

Only gauges: their lines are the same in the text format and in OpenMetrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.core import Metric

from core import metrics
from exporters.db.families import Samples, families_of_run, samples_of_run, window
from exporters.db.run_aggregates import RunAggregates, Run
from exporters.exposition import to_text

HEADERS = {
    metric.name: f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n" for metric in metrics.RUN
}


class RenderedRun(NamedTuple):
    """One run's lines by family, and what they were made from."""

    run: Run
    window: tuple[float | None, float | None]
    samples: Samples
    lines: dict[str, str]


@dataclass
class RunText:
    """Renders the `aforo_run_*` families of a aggregates and remembers each run's lines until the run changes."""

    _known: dict[str, RenderedRun] = field(default_factory=dict)

    def render(self, aggregates: RunAggregates, now: float) -> str:
        """Return all families as text; takes note of what the aggregates says has been touched."""
        touched, aggregates.changed_runs = aggregates.changed_runs, set()
        self._known = {run_id: self._of_run(aggregates, run_id, run_id in touched, now) for run_id in aggregates.runs}
        return "".join(self._blocks())

    def _of_run(self, aggregates: RunAggregates, run_id: str, touched: bool, now: float) -> RenderedRun:
        run, tally, known = aggregates.runs[run_id], aggregates.tallies[run_id], self._known.get(run_id)
        if known is not None and not touched and known.run == run and known.window[1] is not None:
            return known
        span = window(run, tally, now)
        if known is not None and not touched and known[:2] == (run, span):
            return known
        samples = samples_of_run(run, tally, aggregates.executions[run_id], now)
        if known is not None and known.samples == samples:
            return known._replace(run=run, window=span)
        return RenderedRun(run, span, samples, {f.name: sample_lines(f) for f in families_of_run(run_id, samples)})

    def _blocks(self) -> Iterator[str]:
        for name, header in HEADERS.items():
            yield header
            yield "".join([rendered.lines[name] for rendered in self._known.values()])


def sample_lines(family: Metric) -> str:
    """Return a family's lines without its header."""
    return "".join(line for line in to_text([family]).splitlines(keepends=True) if not line.startswith("#"))
