"""PromQL queries for the dashboard *Capacity*: figures of runs, and of cells averaged over runs.

Here, all runs with one video size and one concurrency count as one cell.
"""

from __future__ import annotations

from grafana.wording import STATUS_NUMBERS

CHOSEN = 'size=~"$size", mode=~"$mode", app=~"$app", queue=~"$queue"'
#: Labels of a run that the tables show.
LABELS = ("size", "concurrency", "mode")


def last(metric: str, *labels: str) -> str:
    """Return the PromQL query for the last value of `metric` of each run.

    Its series have the label `run_id` and those in `labels`. The query looks back 5 minutes from the end of the
    dashboard's time range. That is enough, because each scrape contains all runs that the exporter reports. A query
    over the whole range would take seconds, because a day has 86,400 samples of each series.
    """
    by = ", ".join(("run_id", *labels))
    return f"max by ({by}) (last_over_time({metric}[5m]))"


FACTS = last(f"aforo_run_info{{{CHOSEN}}}", *LABELS)
X = last("run_id:aforo_run_videos_per_minute:ratio")


def capacity(bound: str) -> str:
    """Return the PromQL query for X_sat of each run (`estimate`), or one end of its interval.

    `bound` is `estimate`, `lower` or `upper`. X_sat is the throughput with every slot busy.
    """
    return last(f'run_id_bound:aforo_run_capacity_videos_per_minute:max{{bound="{bound}"}}')


def verdict(kind: str) -> str:
    """Return the PromQL query for the current verdict of each run.

    `kind` is the kind of verdict, such as `bottleneck`. Each series has a label with the name `kind`, whose value is
    the verdict. So a table can show two kinds in two columns. The query reads one moment only. Over a time range, a run
    whose verdict has changed would have two verdicts.
    """
    return f"max by (run_id, {kind}) ({_stored_verdict(kind)})"


def _stored_verdict(kind: str) -> str:
    stored = f'run_id_kind_verdict:aforo_run_verdict:max{{kind="{kind}"}}'
    return f'label_replace({stored}, "{kind}", "$1", "verdict", "(.+)")'


VALIDITY = "max by (run_id, validity, reasons) (aforo_run_validity_info)"


def state() -> str:
    """Return the PromQL query for the state of each run, as its number in wording.RUN_STATES.

    If a run changed its state within the 5 minutes that the query reads, the result is the state with the highest
    number.
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
    """Return the PromQL query for the complete bursts with this validity (`valid` or `indicative`).

    A burst is complete if it has finished, every expected video is done, and no execution was denied the claim of its
    video. The query gives one series per run. `chosen` is a list of PromQL label matchers that selects the runs. By
    default, it selects those chosen on the dashboard.
    """
    facts = last(f'aforo_run_info{{{chosen}, mode="burst"}}', *LABELS)
    complete = last("run_id:aforo_run_complete:bool")
    return f'({facts} and on (run_id) {complete} and on (run_id) aforo_run_validity_info{{validity="{validity}"}})'


def by_cell(figure: str, chosen: str = CHOSEN) -> str:
    """Return the PromQL query for the mean of `figure` over the complete bursts of each cell.

    `figure` is a query with one value per run. `chosen` is a list of PromQL label matchers that selects the runs. The
    mean is over the valid complete bursts of the cell. If it has none, the mean is over its indicative ones. `bursts`
    says which bursts are complete.
    """
    return " or ".join(
        f"avg by (size, concurrency) ({figure} * on (run_id) group_right () {bursts(validity, chosen)})"
        for validity in ("valid", "indicative")
    )


def best_cell() -> str:
    """Return the PromQL query that gives, for each size, the cell with the greatest X_sat.

    X_sat is the throughput with every slot busy.
    """
    return f"topk by (size) (1, {by_cell(capacity('estimate'))})"


def of_best_cell(expression: str) -> str:
    """Restrict a PromQL query of cells to the cell with the greatest X_sat of each video size.

    `expression` is a query whose series have the labels of a cell. X_sat is the throughput with every slot busy.
    """
    return f"({expression}) and on (size, concurrency) ({best_cell()})"


def validity_of_cell() -> str:
    """Return the PromQL query for the validity of each cell, as its number in wording.VALIDITY_NUMBERS.

    - 2: the cell has a valid complete burst with a known X_sat.
    - 1: it has no such burst, but an indicative complete burst with a known X_sat.
    - 0: it has neither, but an invalid run.

    Any other cell has no number. X_sat is the throughput with every slot busy.
    """
    measured = f"0 * {capacity('estimate')}"
    usable = (
        f"{number} + max by (size, concurrency) ({measured} * on (run_id) group_right () {bursts(validity)})"
        for validity, number in (("valid", 2), ("indicative", 1))
    )
    return " or ".join((*usable, f"max by (size, concurrency) ({invalid_runs()})"))


def invalid_runs() -> str:
    """Return the PromQL query for the invalid runs among the runs chosen on the dashboard.

    The query gives one series per run, with the value 0. In wording.VALIDITY_NUMBERS, 0 is the validity of a cell that
    has only invalid runs.
    """
    return f'0 * ({FACTS} and on (run_id) aforo_run_validity_info{{validity="invalid"}})'


def bottleneck_of_cell() -> str:
    """Return the PromQL query for the most frequent bottleneck of each cell.

    The name of the bottleneck is the label `bottleneck`. Valid and indicative bursts count.
    """
    stored, usable = _stored_verdict("bottleneck"), f"({bursts('valid')} or {bursts('indicative')})"
    counted = (
        f"count by (size, concurrency, bottleneck) ({stored} * on (run_id) group_left (size, concurrency) {usable})"
    )
    return f"topk by (size, concurrency) (1, {counted})"


def spaced(expression: str) -> str:
    """Return the PromQL query `expression` with a space in its label `size`: `50 MB` instead of `50MB`."""
    return f'label_replace({expression}, "size", "$1 $2", "size", "([0-9.]+)([KMG]B)")'


def as_cell(expression: str) -> str:
    """Return the PromQL query `expression` with a new label `cell`, made of size and concurrency.

    The label names a bar or a row, such as `50 MB · 2`.
    """
    return f'label_join({spaced(expression)}, "cell", " · ", "size", "concurrency")'
