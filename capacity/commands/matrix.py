"""`matrix`: every cell by itself, resumable at the cell."""

from __future__ import annotations

from dataclasses import dataclass, field

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import func, select

from capacity.commands.options import lang_option, with_examples
from capacity.language import UNKNOWN, Language, Text
from capacity.matrix import AUTOMATIC_SHARE, Plan, PlannedTest, ordered, predicted_seconds
from capacity.results import HEADER, RULE, ResultRow, table_line
from capacity.trial import Laboratory, Test
from pipeline.errors import EnvironmentFault, UsageError
from pipeline.models import RunRow, VideoRow
from pipeline.run import FINAL_STATUSES, Mode, RunStatus
from pipeline.size import parse_size

PLAN = Text(
    "{tests} pruebas, {done} ya hechas; duración prevista: {time}", "{tests} tests, {done} done; predicted: {time}"
)


@click.command(epilog=with_examples("matrix", "matrix --sizes 5MB,10MB --concurrencies 1,2,4 --count 16 --rate auto"))
@click.option("--sizes", envvar="SIZES", default="50MB,100MB", show_default=True, help="Sizes [env: SIZES].")
@click.option(
    "--concurrencies", envvar="CONCURRENCY", default="1,2,4", show_default=True, help="Slots [env: CONCURRENCY]."
)
@click.option("--modes", envvar="MODES", default="burst,sustained", show_default=True, help="Modes [env: MODES].")
@click.option("--count", envvar="COUNT", type=click.IntRange(1), default=24, show_default=True, help="Videos a test.")
@click.option("--repeats", envvar="REPEATS", type=click.IntRange(1), default=1, show_default=True, help="Runs a cell.")
@click.option("--rate", envvar="RATE", default="10", show_default=True, help="Videos a minute, or auto [env: RATE].")
@click.option("--plan-only", is_flag=True, help="Print the plan and run nothing.")
@lang_option
def matrix(
    sizes: str, concurrencies: str, modes: str, count: int, repeats: int, rate: str, plan_only: bool, lang: Language
) -> None:
    """Run every size × concurrency × mode by itself; asked again after an interruption, it goes on where it stopped."""
    plan = Plan(_sizes(sizes), _concurrencies(concurrencies), _modes(modes), count, repeats, _rate(rate))
    campaign = Campaign(Laboratory.open(), plan, lang)
    campaign.resume()
    click.echo(campaign.outlook())
    if not plan_only:
        campaign.run()


@dataclass
class Campaign:
    """A plan being carried out; `rows` are the tests that are done."""

    laboratory: Laboratory
    plan: Plan
    lang: Language
    rows: dict[PlannedTest, ResultRow] = field(default_factory=dict)

    def resume(self) -> None:
        """Find what an earlier call did: finished runs count, a run still being worked on is waited for."""
        for test in ordered(self.plan):
            run_id = self._earlier_run(test.note(self.plan))
            if run_id is not None:
                self.rows[test] = self.laboratory.row(run_id)

    def outlook(self) -> str:
        """Return how many tests there are and how long they will take, as far as that is known."""
        tests = ordered(self.plan)
        seconds = predicted_seconds(self.plan, [t for t in tests if t not in self.rows], self._service_seconds())
        shown = UNKNOWN.to(self.lang) if seconds is None else f"{seconds / 60:.0f} min"
        return PLAN.to(self.lang).format(tests=len(tests), done=len(self.rows), time=shown)

    def run(self) -> None:
        """Run what is left, one line of the table for each test as it ends."""
        click.echo(f"{HEADER}\n{RULE}")
        for test in ordered(self.plan):
            if test not in self.rows:
                self.rows[test] = self._run(test)
            click.echo(table_line(self.rows[test], self.lang))
        click.echo(self.outlook(), err=True)

    def _run(self, test: PlannedTest) -> ResultRow:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
            bar = display.add_task(f"{len(self.rows) + 1}/{len(ordered(self.plan))} {test.note(self.plan)}", total=None)
            return self.laboratory.run(
                self._test(test), lambda ended, expected: display.update(bar, completed=ended, total=expected)
            )

    def _test(self, test: PlannedTest) -> Test:
        rate = None if test.mode == Mode.BURST else self.plan.rate_per_minute or self._automatic_rate(test)
        note = test.note(self.plan)
        return Test(test.size, test.concurrency, Mode(test.mode), self.plan.count, rate, note)

    def _automatic_rate(self, test: PlannedTest) -> float:
        burst = PlannedTest(test.size, test.concurrency, Mode.BURST.value, test.repeat)
        capacity = self.rows[burst].x_sat_per_minute if burst in self.rows else None
        if capacity is None:
            raise EnvironmentFault(
                "RATE", "the burst of this cell has no X_sat", "use more COUNT, or give a rate", value="auto"
            )
        return AUTOMATIC_SHARE * capacity

    def _earlier_run(self, note: str) -> str | None:
        newest = select(RunRow).where(RunRow.note == note).order_by(RunRow.created_at.desc()).limit(1)
        with self.laboratory.sessions() as session:
            run = session.scalars(newest).first()
            if run is None or run.status in {RunStatus.INTERRUPTED, RunStatus.FAILED}:
                return None
            injected = session.scalar(
                select(func.count()).where(VideoRow.run_id == run.id, VideoRow.sent_at.is_not(None))
            )
        if run.status not in FINAL_STATUSES and injected != run.count:
            self.laboratory.abandon(run.id)
            return None
        self.laboratory.wait(run.id, lambda _ended, _expected: None)
        return run.id

    def _service_seconds(self) -> dict[tuple[str, int], float]:
        known = ((t, row.service_mean_seconds) for t, row in self.rows.items())
        return {(t.size, t.concurrency): seconds for t, seconds in known if seconds is not None}


def _sizes(text: str) -> tuple[str, ...]:
    sizes = tuple(part.strip() for part in text.split(","))
    for size in sizes:
        parse_size(size)
    return sizes


def _concurrencies(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(p.isascii() and p.isdigit() and 1 <= int(p) <= 512 for p in parts):
        raise UsageError("CONCURRENCY", "it must be whole numbers of slots", "give 1,2,4", value=text)
    return tuple(dict.fromkeys(int(p) for p in parts))


def _modes(text: str) -> tuple[str, ...]:
    modes = tuple(part.strip() for part in text.split(","))
    if not set(modes) <= {m.value for m in Mode}:
        raise UsageError("MODES", "there are burst and sustained", "give burst,sustained", value=text)
    return modes


def _rate(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = float("nan")
    if not 0.01 <= rate <= 60_000:
        raise UsageError("RATE", "it must be videos a minute or auto", "give RATE=10 or RATE=auto", value=text)
    return rate
