"""PromQL of figures of many runs and of cells, for the dashboard Capacity."""

from __future__ import annotations

from grafana.wording import STATUS_NUMBERS

CHOSEN = 'size=~"$size", mode=~"$mode", app=~"$app", queue=~"$queue"'
#: Labels of a run that the tables show.
LABELS = ("size", "concurrency", "mode")


def last(metric: str, *labels: str) -> str:
    """Return the query for the last value of `metric` per run, in the 5 minutes before the range ends.

    The exporter exposes the newest runs all the time, so 5 minutes contain every run. A query over the whole range
    would take seconds, because a day has 86,400 samples of each series.
    """
    by = ", ".join(("run_id", *labels))
    return f"max by ({by}) (last_over_time({metric}[5m]))"


FACTS = last(f"aforo_run_info{{{CHOSEN}}}", *LABELS)
X = last("run_id:aforo_run_videos_per_minute:ratio")


def capacity(bound: str) -> str:
    """Return the query for X_sat, or a bound of its interval, of each run."""
    return last(f'run_id_bound:aforo_run_capacity_videos_per_minute:max{{bound="{bound}"}}')


def verdict(kind: str) -> str:
    """Return the query for the current verdicts, with the verdict in a label named `kind`.

    Each query has its own label, because joined frames must not share labels. The query has no range selector. After a
    second report, a range would contain both verdicts.
    """
    return f"max by (run_id, {kind}) ({_stored_verdict(kind)})"


def _stored_verdict(kind: str) -> str:
    stored = f'run_id_kind_verdict:aforo_run_verdict:max{{kind="{kind}"}}'
    return f'label_replace({stored}, "{kind}", "$1", "verdict", "(.+)")'


VALIDITY = "max by (run_id, validity, reasons) (aforo_run_validity_info)"


def state() -> str:
    """Return the query for the number of each run's state, as in wording.RUN_STATES.

    Five minutes may contain several statuses of a run, and the first of the `or` wins.
    """
    numbered = [f"{code} * {last(_status(status))}" for status, code in reversed(STATUS_NUMBERS.items())]
    some_failed = f"4 * ({last(_status('finished'))} and on (run_id) ({last(FAILED)} > 0))"
    return " or ".join((*numbered[:2], some_failed, *numbered[2:]))


FAILED = 'aforo_run_videos{state="failed"}'


def _status(status: str) -> str:
    return f'aforo_run_status{{status="{status}"}}'


#: `2×3` are three nodes with two slots each.
ONE_NODE = 'concurrency!~".*×.*"'


def bursts(validity: str, chosen: str = CHOSEN) -> str:
    """Return the query for the complete bursts of one validity, with the labels of a run."""
    facts = last(f'aforo_run_info{{{chosen}, mode="burst"}}', *LABELS)
    complete = last("run_id:aforo_run_complete:bool")
    return f'({facts} and on (run_id) {complete} and on (run_id) aforo_run_validity_info{{validity="{validity}"}})'


def by_cell(figure: str, chosen: str = CHOSEN) -> str:
    """Return the query for the mean of `figure` over the best runs of each cell.

    Those are the valid complete bursts. A cell without one has the mean of its indicative ones. An invalid run is
    never part of it.
    """
    return " or ".join(
        f"avg by (size, concurrency) ({figure} * on (run_id) group_right () {bursts(validity, chosen)})"
        for validity in ("valid", "indicative")
    )


def best_cell() -> str:
    """Return the query for the X_sat of the cell with the greatest X_sat, one per size."""
    return f"topk by (size) (1, {by_cell(capacity('estimate'))})"


def of_best_cell(expression: str) -> str:
    """Return `expression`, which has the labels of a cell, for the cell with the greatest X_sat of each size."""
    return f"({expression}) and on (size, concurrency) ({best_cell()})"


def validity_of_cell() -> str:
    """Return the query for the validity of each cell's mean, as in wording.VALIDITY_NUMBERS."""
    measured = f"0 * {capacity('estimate')}"
    usable = (
        f"{number} + max by (size, concurrency) ({measured} * on (run_id) group_right () {bursts(validity)})"
        for validity, number in (("valid", 2), ("indicative", 1))
    )
    return " or ".join((*usable, f"max by (size, concurrency) ({invalid_runs()})"))


def invalid_runs() -> str:
    """Return the query for the chosen runs that must not be part of an answer, each with the value 0."""
    return f'0 * ({FACTS} and on (run_id) aforo_run_validity_info{{validity="invalid"}})'


def bottleneck_of_cell() -> str:
    """Return the query for the most frequent bottleneck of each cell's valid and indicative bursts, as a label."""
    stored, usable = _stored_verdict("bottleneck"), f"({bursts('valid')} or {bursts('indicative')})"
    counted = (
        f"count by (size, concurrency, bottleneck) ({stored} * on (run_id) group_left (size, concurrency) {usable})"
    )
    return f"topk by (size, concurrency) (1, {counted})"


def spaced(expression: str) -> str:
    """Return `expression` with its sizes written as the table writes them: 50 MB."""
    return f'label_replace({expression}, "size", "$1 $2", "size", "([0-9.]+)([KMG]B)")'


def as_cell(expression: str) -> str:
    """Return `expression` with size and concurrency in the one label `cell`, which names a bar or a row."""
    return f'label_join({spaced(expression)}, "cell", " · ", "size", "concurrency")'
