"""PromQL queries for the dashboard *Capacity*: figures of each run, and means over the runs of a cell.

In this module, a cell is all runs with the same video size and the same concurrency.
"""

from __future__ import annotations

from grafana.wording import STATUS_NUMBERS

CHOSEN = 'size=~"$size", mode=~"$mode", app=~"$app", queue=~"$queue"'
#: Labels of a run that the tables show.
LABELS = ("size", "concurrency", "mode")


def last(metric: str, *labels: str) -> str:
    """Return the PromQL query for the last value of `metric` of each run.

    Each series has the label `run_id` and the labels in `labels`. The query reads only the last 5 minutes.
    """
    by = ", ".join(("run_id", *labels))
    # 5 minutes are enough, because each scrape has every tracked run; the whole time range would take seconds
    return f"max by ({by}) (last_over_time({metric}[5m]))"


FACTS = last(f"aforo_run_info{{{CHOSEN}}}", *LABELS)
X = last("run_id:aforo_run_videos_per_minute:ratio")


def capacity(bound: str) -> str:
    """Return the PromQL query for X_sat of each run, or for one end of its 95 % interval.

    `bound` is `estimate` for X_sat, `lower` or `upper` for an end. X_sat is the throughput with every slot busy.
    """
    return last(f'run_id_bound:aforo_run_capacity_videos_per_minute:max{{bound="{bound}"}}')


def verdict(kind: str) -> str:
    """Return the PromQL query for one verdict on each run: its stability or its bottleneck.

    `kind` is `stability` or `bottleneck`, and is also the name of the label with the verdict. The other label is
    `run_id`.
    """
    return f"max by (run_id, {kind}) ({_stored_verdict(kind)})"


def _stored_verdict(kind: str) -> str:
    stored = f'run_id_kind_verdict:aforo_run_verdict:max{{kind="{kind}"}}'
    return f'label_replace({stored}, "{kind}", "$1", "verdict", "(.+)")'


VALIDITY = "max by (run_id, validity, reasons) (aforo_run_validity_info)"


def state() -> str:
    """Return the PromQL query for the state of each run, as a number.

    The constant `wording.RUN_STATES` has the word for each number. If a run had several states in the last 5 minutes,
    the highest number wins.
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
    """Return the PromQL query for the complete bursts with one validity (`valid` or `indicative`).

    A burst is complete if it has finished, all its videos are done, and no claim was denied. Each series has the labels
    `run_id`, `size`, `concurrency` and `mode`. `chosen` has PromQL label matchers for the runs.
    """
    facts = last(f'aforo_run_info{{{chosen}, mode="burst"}}', *LABELS)
    complete = last("run_id:aforo_run_complete:bool")
    return f'({facts} and on (run_id) {complete} and on (run_id) aforo_run_validity_info{{validity="{validity}"}})'


def by_cell(figure: str, chosen: str = CHOSEN) -> str:
    """Return the PromQL query for the mean of a figure over the complete bursts of each cell.

    `figure` is a PromQL query with one value per run. Indicative bursts count only in a cell without a valid complete
    burst. `chosen` has PromQL label matchers for the runs.
    """
    return " or ".join(
        f"avg by (size, concurrency) ({figure} * on (run_id) group_right () {bursts(validity, chosen)})"
        for validity in ("valid", "indicative")
    )


def best_cell() -> str:
    """Return the PromQL query for the greatest mean X_sat of each video size.

    The labels `size` and `concurrency` of a series name the cell with this X_sat.
    """
    return f"topk by (size) (1, {by_cell(capacity('estimate'))})"


def of_best_cell(expression: str) -> str:
    """Return the PromQL query `expression` for the cell with the greatest X_sat of each video size.

    `expression` is a query whose series have the labels `size` and `concurrency`. X_sat is the throughput with every
    slot busy.
    """
    return f"({expression}) and on (size, concurrency) ({best_cell()})"


def validity_of_cell() -> str:
    """Return the PromQL query for the validity of each cell, as a number.

    - 2: a valid complete burst has a known X_sat.
    - 1: only an indicative complete burst has a known X_sat.
    - 0: no such burst has a known X_sat, and the cell has an invalid run.

    Any other cell has no value. The constant `wording.VALIDITY_NUMBERS` has the word for each number.
    """
    measured = f"0 * {capacity('estimate')}"
    usable = (
        f"{number} + max by (size, concurrency) ({measured} * on (run_id) group_right () {bursts(validity)})"
        for validity, number in (("valid", 2), ("indicative", 1))
    )
    return " or ".join((*usable, f"max by (size, concurrency) ({invalid_runs()})"))


def invalid_runs() -> str:
    """Return the PromQL query for all invalid runs that match the user's choice on the dashboard.

    The query gives one series per run, with the value 0. In the constant `wording.VALIDITY_NUMBERS`,
    0 means *only invalid runs*.
    """
    return f'0 * ({FACTS} and on (run_id) aforo_run_validity_info{{validity="invalid"}})'


def bottleneck_of_cell() -> str:
    """Return the PromQL query for the most frequent bottleneck of each cell.

    Each series has the labels `size`, `concurrency` and `bottleneck`. Its value is the number of complete bursts with
    that bottleneck. Invalid bursts do not count.
    """
    stored, usable = _stored_verdict("bottleneck"), f"({bursts('valid')} or {bursts('indicative')})"
    counted = (
        f"count by (size, concurrency, bottleneck) ({stored} * on (run_id) group_left (size, concurrency) {usable})"
    )
    return f"topk by (size, concurrency) (1, {counted})"


def spaced(expression: str) -> str:
    """Return the PromQL query `expression` with a space in its label `size`: `50 MB` instead of `50MB`.

    `expression` is a query whose series have this label.
    """
    return f'label_replace({expression}, "size", "$1 $2", "size", "([0-9.]+)([KMG]B)")'


def as_cell(expression: str) -> str:
    """Return the PromQL query `expression` with a new label `cell`, such as `50 MB · 2`.

    The new label joins the labels `size` and `concurrency`, which `expression` must have.
    """
    return f'label_join({spaced(expression)}, "cell", " · ", "size", "concurrency")'
