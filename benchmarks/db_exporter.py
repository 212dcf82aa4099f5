"""Compare the database exporter with Debian's `prometheus-sql-exporter` for the same values.

The two exporters use a separate PostgreSQL server. First our exporter is scraped over HTTP while 8 videos per second
change (`big_table.Work`). Then the peer, `prometheus-sql-exporter`, is started, the values of the two exporters are
compared, and the peer is scraped in the same way. The peer repeats its queries in the background, and answers a scrape
with its last result. Our exporter refreshes its values at each scrape. So costs are given per refresh of all values.

Database time is planning and execution time in pg_stat_statements, by user. CPU is that of the backends and of the
parallel workers that ended in the meantime.

    .venv/bin/python benchmarks/db_exporter.py --folder DIR --fill 100000 1000000     create the tables only
    .venv/bin/python benchmarks/db_exporter.py --folder DIR --videos 100000 1000000   measure
    .venv/bin/python benchmarks/db_exporter.py --quick                                short test run
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.big_table import Work, fill
from benchmarks.compare_exporters import compare, parsed
from benchmarks.programs import ROOT, percentiles, running, scrape, timed_scrape
from testing import postgresql
from testing.polling import seconds_until

OURS, PEER = "aforo", "sql_exporter"
PORTS = {OURS: 20691, PEER: 20692}
#: A statement that each exporter executes once per refresh.
ONCE_A_REFRESH = {OURS: "%FROM runs%ORDER BY created_at DESC, id DESC%", PEER: "%FROM videos GROUP BY state%"}
FEWEST_REFRESHES = 3
READY = {OURS: 'success{collector="db"} 1.0', PEER: "sql_run_executions"}
SERVER = (
    "-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=on -c autovacuum=off"
    " -c shared_buffers=1GB -c max_wal_size=8GB"
)
#: Time between two scrapes, and videos that change in it: 8 per second, like 160 slots at 20 s per video.
INTERVAL_SECONDS = 0.25
PER_TICK = 2
WARM_SCRAPES = 4
LONGEST_SECONDS = 400.0


@dataclass(frozen=True)
class Cost:
    """Seconds that an exporter has used: database time, CPU of its database backends, and its own CPU."""

    database: float
    backends: float
    exporter: float


@dataclass(frozen=True)
class Side:
    """Measurements of one exporter at one table size.

    `start_seconds` and `start` are time and cost until the first values. `scrapes` are the durations of the scrapes in
    seconds. `total` is the cost of `refreshes` refreshes, one every `refresh_seconds`.
    """

    name: str
    start_seconds: float
    start: Cost
    scrapes: list[float]
    refreshes: int
    refresh_seconds: float
    total: Cost
    rss_bytes: int

    @property
    def database_ms(self) -> float:
        """Return the database time of one refresh, in milliseconds."""
        return 1000 * self.total.database / self.refreshes


def main() -> None:
    """Fill test databases, measure our exporter and `prometheus-sql-exporter` on each, and print both costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="data folder of the server (default: a temporary one)")
    parser.add_argument("--fill", type=int, nargs="*", default=[])
    parser.add_argument("--videos", type=int, nargs="*", default=[])
    parser.add_argument(
        "--scrapes", type=int, default=300, help="maximum number of scrapes per exporter and table size"
    )
    parser.add_argument("--seconds", type=float, default=60, help="seconds of scraping the peer per table size")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.videos, arguments.scrapes, arguments.seconds = [2000], 8, 2
    with tempfile.TemporaryDirectory() as temporary, server(arguments.folder or Path(temporary)) as url:
        for videos in arguments.fill:
            print(f"{videos} videos filled in {fill(url, videos):.0f} s", flush=True)
        for videos in arguments.videos:
            fill(url, videos)
            show(videos, *measured(make_url(url).set(database=f"videos_{videos}").render_as_string(), arguments))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Context manager: run a PostgreSQL server with its data in `folder`, and yield the URL of `postgres`.

    The server gets one read-only user per exporter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with postgresql.running_server(folder, SERVER) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for role in (OURS, PEER):
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                    connection.execute(f"CREATE ROLE {role} LOGIN IN ROLE pg_read_all_data")
            print(f"{platform.platform()}, {os.cpu_count()} cores, {connection.info.server_version=}", flush=True)
        yield url


def measured(url: str, arguments: argparse.Namespace) -> tuple[Side, Side]:
    """Measure both exporters on one database. Raise AssertionError if their values differ."""
    work = Work(url, PER_TICK)
    with ours(url) as own_pid:
        one = side(CostMeter(url, OURS, own_pid), work, arguments.scrapes, 10 * arguments.seconds)
        with peer(url) as pid:
            seconds_until(lambda: READY[PEER] in scrape(PORTS[PEER], LONGEST_SECONDS), PEER, LONGEST_SECONDS)
            compare(parsed(scrape(PORTS[OURS])), parsed(scrape(PORTS[PEER], LONGEST_SECONDS)))
            other = side(CostMeter(url, PEER, pid), work, arguments.scrapes, arguments.seconds)
    return one, other


@contextmanager
def ours(url: str) -> Iterator[int]:
    """Context manager: run our exporter with its own read-only database user. Yield its process id."""
    database = make_url(url).set(username=OURS).render_as_string()
    environment = {"AFORO_DATABASE_URL": database, "AFORO_EXPORTER_DB_PORT": str(PORTS[OURS])}
    with running([sys.executable, "-m", "exporters", "db"], environment) as process:
        yield process.pid


@contextmanager
def peer(url: str) -> Iterator[int]:
    """Context manager: run `prometheus-sql-exporter` with its own read-only user. Yield its process id."""
    database = make_url(url).set(username=PEER, drivername="postgres").render_as_string()
    config = (ROOT / "benchmarks/sql_exporter.yml").read_text(encoding="utf-8")
    address = f"127.0.0.1:{PORTS[PEER]}"
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(config.replace("{url}", f"{database}?sslmode=disable"))
        file.flush()
        with running(["prometheus-sql-exporter", "-config.file", file.name, "-web.listen-address", address]) as process:
            yield process.pid


def side(watch: CostMeter, work: Work, scrapes: int, seconds: float) -> Side:
    """Measure one exporter: wait for its first values, then scrape while rows change.

    Stop after `scrapes` scrapes or after `seconds`.
    """
    port, before = PORTS[watch.user], watch.cost()
    started = seconds_until(lambda: READY[watch.user] in scrape(port, LONGEST_SECONDS), watch.user, LONGEST_SECONDS)
    start = watch.cost(before)
    for _ in range(WARM_SCRAPES):
        work.tick()
        scrape(port, LONGEST_SECONDS)
    if watch.user == PEER:
        watch.wait_for_refresh()
    before, took, measuring_since, refreshes = watch.cost(), list[float](), time.monotonic(), watch.refreshes()
    while len(took) < scrapes and (time.monotonic() < measuring_since + seconds):
        tick = time.monotonic()
        work.tick()
        took.append(timed_scrape(port, LONGEST_SECONDS))
        time.sleep(max(0.0, tick + INTERVAL_SECONDS - time.monotonic()))
    if watch.user == PEER:
        while watch.refreshes() - refreshes < FEWEST_REFRESHES - 1:
            watch.wait_for_refresh()
        watch.wait_for_refresh()
    refreshes, passed = watch.refreshes() - refreshes, time.monotonic() - measuring_since
    return Side(watch.user, started, start, took, refreshes, passed / refreshes, watch.cost(before), watch.rss_bytes())


class CostMeter:
    """Meter of the costs of one exporter.

    Costs are read from pg_stat_statements of its database user `user`, and from /proc of its process.
    """

    def __init__(self, url: str, user: str, pid: int) -> None:
        self.user, self._pid = user, pid
        self._connection = psycopg.connect(url, autocommit=True)
        self._postmaster = int(Path(f"/proc/{self._connection.info.backend_pid}/stat").read_text().split()[3])

    def cost(self, before: Cost | None = None) -> Cost:
        """Return the cost since the start of the exporter, or since `before`."""
        early = before or Cost(0, 0, 0)
        return Cost(
            self._database_seconds() - early.database,
            self._backend_seconds() - early.backends,
            _process_seconds(self._pid) - early.exporter,
        )

    def refreshes(self) -> int:
        """Return the number of refreshes that the exporter has finished."""
        query = (
            "SELECT COALESCE(SUM(calls), 0) FROM pg_stat_statements s JOIN pg_roles r ON s.userid = r.oid"
            " WHERE rolname = %s AND query LIKE %s"
        )
        return int(self._connection.execute(query, [self.user, ONCE_A_REFRESH[self.user]]).fetchone()[0])  # type: ignore[index]

    def wait_for_refresh(self) -> None:
        """Wait until the exporter finishes its next refresh.

        The refreshes are counted by the calls of a statement that runs once per refresh.
        """
        before = self.refreshes()
        seconds_until(lambda: self.refreshes() > before, "a refresh", LONGEST_SECONDS)

    def rss_bytes(self) -> int:
        """Return the resident memory of the exporter."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def _database_seconds(self) -> float:
        query = (
            "SELECT COALESCE(SUM(total_exec_time + total_plan_time), 0) / 1000 FROM pg_stat_statements s"
            " JOIN pg_roles r ON s.userid = r.oid WHERE rolname = %s"
        )
        return float(self._connection.execute(query, [self.user]).fetchone()[0])  # type: ignore[index]

    def _backend_seconds(self) -> float:
        backends = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = %s", [self.user]
        ).fetchall()
        ended = sum(int(field) for field in Path(f"/proc/{self._postmaster}/stat").read_text().split()[15:17])
        return ended / os.sysconf("SC_CLK_TCK") + sum(_process_seconds(pid) for (pid,) in backends)


def _process_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(videos: int, one: Side, other: Side) -> None:
    """Print the measurements of both exporters and their ratio."""
    print(f"\n{videos} videos: the figures of both agree")
    for side in (one, other):
        number = side.refreshes
        print(
            f"{side.name:>13}: scrape {percentiles([1000 * seconds for seconds in side.scrapes], 'ms')};"
            f" database time {side.database_ms:.2f} ms, its CPU {1000 * side.total.backends / number:.2f} ms,"
            f" exporter CPU {1000 * side.total.exporter / number:.2f} ms per refresh ({number}, one every"
            f" {side.refresh_seconds:.2f} s); RSS {side.rss_bytes / 1e6:.0f} MB;"
            f" first values after {side.start_seconds:.1f} s ({side.start.database:.1f} s of the database)"
        )
    print(f"ratio of database time, {other.name} / {one.name}: {other.database_ms / one.database_ms:.0f}", flush=True)


if __name__ == "__main__":
    main()
