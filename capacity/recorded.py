"""One run as it is stored: plain arrays, read in two queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity.columns import Array, floats, numbering, read_columns, words
from capacity.estimate import Booleans, Floats
from capacity.throughput import Attempts
from pipeline.errors import UsageError
from pipeline.models import AttemptRow, RunRow, VideoRow
from pipeline.run import Mode
from pipeline.video import FINAL_STATES, Outcome, Reason, Stage, VideoState

STATES = list(VideoState)
OUTCOMES = list(Outcome)


@dataclass(frozen=True)
class Census:
    """How many videos of a run are where; together they are the `injected`."""

    injected: int
    done: int
    failed: int
    waiting: int
    in_flight: int
    dead_lettered: int

    @property
    def is_conserved(self) -> bool:
        """Say whether no video is missing or counted twice."""
        return self.injected == self.done + self.failed + self.waiting + self.in_flight + self.dead_lettered


@dataclass(frozen=True)
class RecordedRun:
    """A run's row, one entry per video (NaN where not happened), and its working attempts.

    `stage_seconds` and `ffmpeg_cpu_seconds` have one entry per attempt, in the order of `attempts`.
    """

    run: RunRow
    intended_at: Floats
    uploaded_at: Floats
    started_at: Floats
    updated_at: Floats
    done: Booleans
    census: Census
    duplicates: int
    attempts: Attempts
    stage_seconds: Mapping[str, Floats]
    ffmpeg_cpu_seconds: Floats

    @property
    def is_burst(self) -> bool:
        """Say whether all videos were sent at once."""
        return self.run.mode == Mode.BURST

    @property
    def failed(self) -> int:
        """Return how many videos ended without a result, dead-lettered ones included."""
        return self.census.failed + self.census.dead_lettered


def find_run(session: Session, run_id: str | None, tasks_log: str | None = None) -> RunRow:
    """Return the run of that id, of that log of task ids, or the newest; raise UsageError when there is none."""
    wanted = select(RunRow).order_by(RunRow.created_at.desc())
    if run_id:
        wanted = wanted.where(RunRow.id == run_id)
    if tasks_log:
        wanted = wanted.join(VideoRow).where(VideoRow.task_id == _first_task(tasks_log))
    run = session.scalars(wanted.limit(1)).first()
    if run is None:
        raise UsageError("run", "none is recorded under it", "see `make table` for the runs", value=run_id or tasks_log)
    return run


def load_run(session: Session, run: RunRow) -> RecordedRun:
    """Read every video and attempt of `run`."""
    intended, uploaded, started, updated, states, reasons = _videos(session, run.id)
    attempts, outcomes, stages = _attempts(session, run.id)
    final = np.isin(states, [STATES.index(state) for state in FINAL_STATES])
    return RecordedRun(
        run=run,
        intended_at=intended,
        uploaded_at=uploaded,
        started_at=started,
        updated_at=np.where(final, updated, np.nan),
        done=states == STATES.index(VideoState.DONE),
        census=_census(states, dead=reasons == 0),
        duplicates=int((outcomes == OUTCOMES.index(Outcome.DUPLICATE)).sum()),
        attempts=attempts,
        stage_seconds={stage.value: stages[stage.value] for stage in Stage},
        ffmpeg_cpu_seconds=stages["ffmpeg_cpu"],
    )


def _videos(session: Session, run_id: str) -> list[Array]:
    moments = (VideoRow.intended_at, VideoRow.uploaded_at, VideoRow.started_at, VideoRow.updated_at)
    statement = select(*moments, VideoRow.state, VideoRow.reason).where(VideoRow.run_id == run_id)
    return read_columns(session, statement, (*(floats,) * len(moments), words(STATES), words([Reason.DEAD_LETTERED])))


def _census(states: Array, dead: Booleans) -> Census:
    counts = {state: int((states == code).sum()) for code, state in enumerate(STATES)}
    dead_lettered = int(dead.sum())
    return Census(
        injected=int(states.size),
        done=counts[VideoState.DONE],
        failed=counts[VideoState.FAILED] - dead_lettered,
        waiting=counts[VideoState.UPLOADED],
        in_flight=counts[VideoState.PROCESSING],
        dead_lettered=dead_lettered,
    )


def _attempts(session: Session, run_id: str) -> tuple[Attempts, Array, dict[str, Floats]]:
    """Return the attempts that worked, the outcomes of all, and the seconds of the former by stage."""
    names = [*(stage.value for stage in Stage), "ffmpeg_cpu"]
    moments = (AttemptRow.started_at, AttemptRow.ended_at)
    seconds = [getattr(AttemptRow, f"{name}_seconds") for name in names]
    who = AttemptRow.node.concat(":").concat(AttemptRow.slot)
    statement = select(AttemptRow.outcome, who, *moments, *seconds).where(AttemptRow.run_id == run_id)
    converters = (words(OUTCOMES), numbering(), *(floats,) * (len(moments) + len(seconds)))
    outcomes, slots, started, ended, *spent = read_columns(session, statement, converters)
    work = np.isfinite(ended) & (outcomes != OUTCOMES.index(Outcome.DUPLICATE))
    attempts = Attempts(
        started_at=started[work],
        ended_at=ended[work],
        counted=outcomes[work] == OUTCOMES.index(Outcome.DONE),
        slot=slots[work],
    )
    return attempts, outcomes, {name: values[work] for name, values in zip(names, spent, strict=True)}


def _first_task(tasks_log: str) -> str:
    try:
        with open(tasks_log, encoding="utf-8") as lines:
            return next(iter(lines), "").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "tasks log", "it cannot be read", "give results/worker_tasks_….log", value=tasks_log
        ) from error
