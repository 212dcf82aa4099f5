"""The load shape of a run is a condition. Verdicts for a constant rate do not apply to a rate that changes."""

import numpy as np

from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import analyse
from capacity.diagnosis.bottleneck import Cause
from capacity.estimators.stability import Stability
from capacity.report.statements import headline
from capacity.report.terminal import render_terminal
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.sessions import reading
from capacity.table.cells import fill, key_of
from capacity.table.table_text import cells_of, csv_row
from core.models import RunRow
from core.run import Mode
from tests.capacity.store import add_run, run_row

COUNT, RATE = 240, 60.0


def analysed(sessions, run_id, created_at=1000.0, **environment):
    """Store and analyse a run of 240 arrivals per 240 s, each served at once by one of 8 slots in 1 s."""
    uploaded = np.sort(np.random.default_rng(5).random(COUNT) * COUNT)
    facts = dict(count=COUNT, mode=Mode.SUSTAINED, rate=RATE, slots=8, created_at=created_at)
    row = run_row(run_id, **facts, environment=environment)
    with sessions.begin() as session:
        add_run(session, row, uploaded, uploaded + 1.0, uploaded=uploaded, slot=[k % 8 for k in range(COUNT)])
    with reading(sessions) as session:
        return analyse(measure(load_run(session, session.get_one(RunRow, run_id))), Resources(np.empty(0)))


def test_a_run_whose_rate_changes_has_no_verdict_on_stability_or_bottleneck_and_says_why(sessions):
    run = analysed(sessions, "ramp", shape="ramp:30-90")
    assert (run.stability, run.row.stability, run.bottleneck.cause) == (None, None, Cause.UNCLEAR)
    assert "arrivals ramp:30-90; the rate changes, so there is no verdict on stability" in headline(run.row, "en")
    shown = " ".join(render_terminal(run, "en").split())
    assert "does not apply: the rate changes during the run" in shown
    assert "inconclusive" not in shown.lower()


def test_poisson_arrivals_are_judged_and_need_more_arrivals_than_equal_intervals(sessions):
    poisson = analysed(sessions, "poisson", 2000.0, shape="poisson", seed=7)
    equal = analysed(sessions, "equal")
    assert poisson.stability.verdict is equal.stability.verdict is Stability.STABLE
    assert poisson.row.rate_per_minute == RATE
    assert poisson.stability.arrivals_needed >= equal.stability.arrivals_needed
    assert "poisson (seed 7)" in " ".join(render_terminal(poisson, "en").split())


def test_each_shape_is_a_cell_of_its_own_and_is_in_its_notes(sessions):
    rows = [analysed(sessions, "a").row, analysed(sessions, "b", 2000.0, shape="poisson", seed=1).row]
    rows.append(analysed(sessions, "c", 3000.0, shape="poisson", seed=2).row)  # another seed is the same cell
    assert [key_of(row).shape for row in rows] == ["", "poisson", "poisson"]
    equal, poisson = fill(rows)
    assert (len(equal.runs), len(poisson.runs)) == (1, 2)
    assert "llegadas=poisson" in cells_of(poisson, "es")[-1]
    assert (csv_row(equal)["shape"], csv_row(poisson)["shape"]) == (None, "poisson")
