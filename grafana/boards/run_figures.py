"""PromQL queries for the dashboard *Capacity*: figures of each run, and means over the runs of a cell.

In this module, a cell is all runs with the same video size, concurrency, number of slots, profile and app. The figures
of a cell are those of `capacity.table.cells.TableCell`, which tests/grafana/test_answers.py compares.
"""

from __future__ import annotations

from grafana.wording import STATUS_NUMBERS

CHOSEN = 'size=~"$size", mode=~"$mode", app=~"$app", queue=~"$queue"'
#: Labels by which runs belong to one cell.
CELL_LABELS = ("size", "concurrency", "slots", "profile", "app")
CELL = ", ".join(CELL_LABELS)
#: Labels by which cells are grouped for the answer, which is the best cell of each group.
ANSWER_LABELS = "size, app, profile"
#: Labels of a run that the tables show, or by which its cell is known.
LABELS = (*CELL_LABELS, "mode")
#: Quantile of Student's t for a 95 % interval of `1 / {0}` degrees of freedom: 0.03 % off at most, from two on.
T = "1.959964 * exp(1.2132 * ({0}) + 0.7201 * ({0}) ^ 2)"


def last(metric: str, *labels: str) -> str:
    """Return the PromQL query for the last value of `metric` of each run.

    Each series has the label `run_id` and the labels in `labels`. The query reads only the last 5 minutes.
    """
    by = ", ".join(("run_id", *labels))
    # 5 minutes are enough, because each scrape has every tracked run; the whole time range would take seconds
    return f"max by ({by}) (last_over_time({metric}[5m]))"


#: A recording rule, because the queries of a refresh would join facts, state and validity of all runs 146 times.
BURSTS = "run_id:aforo_run_complete_burst:bool"
#: those with as many videos as the longest burst with the same cell and validity
LONGEST_BURSTS = "run_id:aforo_run_longest_burst:bool"
FACTS = last(f"aforo_run_info{{{CHOSEN}}}", *LABELS)
X_RULE = "run_id:aforo_run_videos_per_minute:ratio"
X = last(X_RULE)


def capacity(bound: str) -> str:
    """Return the PromQL query for X_sat of each run, or for one end of its 95 % interval.

    `bound` is `estimate` for X_sat, `lower` or `upper` for an end. X_sat is the throughput with every slot busy.
    """
    return last(_stored_capacity(bound))


def _stored_capacity(bound: str) -> str:
    return f'run_id_bound:aforo_run_capacity_videos_per_minute:max{{bound="{bound}"}}'


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


def x_of_cell(chosen: str = CHOSEN) -> str:
    """Return the PromQL query for X of each cell: the mean over its longest complete bursts.

    These are the bursts with the most videos, because X grows with their number. Indicative bursts count only in a cell
    without a valid complete burst. `chosen` has PromQL label matchers for the runs.
    """
    means = (f"avg by ({CELL}) ({_of_bursts(X_RULE, v, LONGEST_BURSTS, chosen)})" for v in ("valid", "indicative"))
    return " or ".join(means)


def x_sat_of_cell() -> str:
    """Return the PromQL query for X_sat of each cell: the geometric mean over the complete bursts of the cell.

    Indicative bursts count only in a cell without a valid complete burst that has an X_sat.
    """
    return " or ".join(_geometric_mean(validity) for validity in ("valid", "indicative"))


def x_sat_bound_of_cell(bound: str) -> str:
    """Return the PromQL query for one end of the 95 % interval of each cell's X_sat. `bound` is `lower` or `upper`.

    With three runs or more, the interval shows the variation between runs. With one run, the interval is that of the
    run. With two runs, there is none.
    """
    valid, indicative = (
        f"({_bound_of_one_run(bound, validity)} or {_bound_between_runs(bound, validity)})"
        for validity in ("valid", "indicative")
    )
    return f"{valid} or ({indicative} unless on ({CELL}) {_geometric_mean('valid')})"


def _bound_of_one_run(bound: str, validity: str) -> str:
    of_run = f"max by ({CELL}) ({_of_bursts(_stored_capacity(bound), validity)})"
    return f"{of_run} and on ({CELL}) {_runs(validity)} == 1"


def _bound_between_runs(bound: str, validity: str) -> str:
    sign = {"lower": "-", "upper": "+"}[bound]
    logarithms = f"ln({_of_bursts(_stored_capacity('estimate'), validity)})"
    # the variance of PromQL divides by n, that of the t interval by n - 1
    freedom = f"({_runs(validity)} >= 3) - 1"
    half = f"{T.format(f'1 / ({freedom})')} * stddev by ({CELL}) ({logarithms}) / sqrt({freedom})"
    return f"exp(avg by ({CELL}) ({logarithms}) {sign} {half})"


def _geometric_mean(validity: str) -> str:
    return f"exp(avg by ({CELL}) (ln({_of_bursts(_stored_capacity('estimate'), validity)})))"


def _runs(validity: str) -> str:
    return f"count by ({CELL}) ({_of_bursts(_stored_capacity('estimate'), validity)})"


def _of_bursts(figure: str, validity: str, bursts: str = BURSTS, chosen: str = CHOSEN) -> str:
    """Return the PromQL query for a figure of each complete burst with one validity (`valid` or `indicative`).

    `figure` is a metric with one value per run. Each series has the label `run_id` and the labels in LABELS. A burst is
    complete if it has finished, all its videos are done, and no claim was denied.
    """
    return f'{figure} * on (run_id) group_right () {bursts}{{{chosen}, validity="{validity}"}}'


def best_cell() -> str:
    """Return the PromQL query for the greatest X_sat of each video size, app and profile.

    The labels of a series, those in CELL_LABELS, name the cell with this X_sat.
    """
    return f"topk by ({ANSWER_LABELS}) (1, {x_sat_of_cell()})"


def of_best_cell(expression: str) -> str:
    """Return the PromQL query `expression` for the best cell of each video size, app and profile.

    `expression` is a query whose series have the labels in CELL_LABELS. The best cell has the greatest X_sat, which is
    the throughput with every slot busy.
    """
    return f"({expression}) and on ({CELL}) ({best_cell()})"


def validity_of_cell() -> str:
    """Return the PromQL query for the validity of each cell, as a number.

    - 2: a valid complete burst has a known X_sat.
    - 1: only an indicative complete burst has a known X_sat.
    - 0: no such burst has a known X_sat, and the cell has an invalid run.

    Any other cell has no value. The constant `wording.VALIDITY_NUMBERS` has the word for each number.
    """
    usable = (
        f"{number} + 0 * max by ({CELL}) ({_of_bursts(_stored_capacity('estimate'), validity)})"
        for validity, number in (("valid", 2), ("indicative", 1))
    )
    return " or ".join((*usable, f"max by ({CELL}) ({invalid_runs()})"))


def invalid_runs() -> str:
    """Return the PromQL query for all invalid runs that match the user's choice on the dashboard.

    The query gives one series per run, with the value 0. In the constant `wording.VALIDITY_NUMBERS`,
    0 means *only invalid runs*.
    """
    return f'0 * ({FACTS} and on (run_id) aforo_run_validity_info{{validity="invalid"}})'


def bottleneck_of_cell() -> str:
    """Return the PromQL query for the most frequent bottleneck of each cell.

    Each series has the label `bottleneck` and the labels in CELL_LABELS. Its value is the number of complete bursts
    with that bottleneck. Invalid bursts do not count.
    """
    stored = _stored_verdict("bottleneck")
    usable = f'max by (run_id, {CELL}) ({BURSTS}{{{CHOSEN}, validity=~"valid|indicative"}})'
    counted = f"count by ({CELL}, bottleneck) ({stored} * on (run_id) group_left ({CELL}) {usable})"
    return f"topk by ({CELL}) (1, {counted})"


def named(expression: str) -> str:
    """Return the PromQL query `expression` with its sizes and profiles as a legend shows them.

    The label `size` becomes `50 MB` instead of `50MB`. The new label `of_profile` is ` · showcase` for the profile
    `showcase`, and absent for the profile `full`. Runs of the app `mine` have the profile `mine`. No app can be called
    `full`, because `aforo.toml` rejects the names of profiles. `expression` is a query whose series have the labels
    `size` and `profile`.
    """
    spaced = f'label_replace({expression}, "size", "$1 $2", "size", "([0-9.]+)([KMG]B)")'
    of_profile = f'label_replace({spaced}, "of_profile", " · $1", "profile", "(.+)")'
    return f'label_replace({of_profile}, "of_profile", "", "profile", "full")'


def as_cell(expression: str) -> str:
    """Return the PromQL query `expression` with a new label `cell`, such as `50 MB · 2`, or `50 MB · 2 · showcase`.

    The new label joins the labels `size`, `concurrency` and `profile`, which `expression` must have.
    """
    joined = f'label_join({named(expression)}, "cell", " · ", "size", "concurrency")'
    return f'label_join({joined}, "cell", "", "cell", "of_profile")'


def as_series(expression: str) -> str:
    """Return the PromQL query `expression` with a new label `series`, such as `50 MB`, or `50 MB · showcase`.

    The new label joins the labels `size` and `profile`, which `expression` must have.
    """
    return f'label_join({named(expression)}, "series", "", "size", "of_profile")'


def with_bytes(expression: str) -> str:
    """Return the PromQL query `expression` with a new label `bytes`, such as `50e6`, by which sizes can be sorted.

    The new label comes from the label `size`. For a mix of sizes, `bytes` is the smallest of them.
    """
    for unit, power in (("KB", 3), ("MB", 6), ("GB", 9)):
        expression = f'label_replace({expression}, "bytes", "${{1}}e{power}", "size", "([0-9.]+){unit}.*")'
    return expression


#: Labels of `with_order`, the most important first.
ORDER = ("bytes", "slots_per_worker", "workers")


def with_order(expression: str) -> str:
    """Return the PromQL query `expression` with the labels ORDER, by whose numbers its cells can be sorted.

    The concurrency `2×3` becomes 2 slots of each of 3 workers.
    """
    ordered = f'label_replace({with_bytes(expression)}, "slots_per_worker", "$1", "concurrency", "([0-9]+).*")'
    ordered = f'label_replace({ordered}, "workers", "1", "concurrency", "[0-9]+")'
    return f'label_replace({ordered}, "workers", "$1", "concurrency", "[0-9]+×([0-9]+)")'
