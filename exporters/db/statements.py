"""SQL statements of `statements.sql`, adapted to the table and column names in the user's database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from sqlalchemy import BindParameter, String, TextClause, bindparam, text

from core.errors import UsageError
from core.settings import Exporters
from core.video import FINAL_STATES, VideoState

#: The columns that are read. A column mapped to "" is one that the user's table does not have.
COLUMNS = ("id", "run_id", "state", "reason", "uploaded_at", "sent_at", "started_at", "updated_at", "intended_at")
OPTIONAL = frozenset({"run_id", "reason", "sent_at", "started_at", "intended_at"})
MOMENTS = frozenset({"uploaded_at", "sent_at", "started_at", "updated_at", "intended_at"})
#: Columns that only our own schema has. They are read only if videos have a run_id.
OF_RUNS = frozenset({"reason", "sent_at", "intended_at"})
#: State of a row whose own state is not in the mapping.
OTHER = "other"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_LISTS = ("runs", "final", "uploaded", "processing", "ended")
#: SQL of a moment as epoch seconds, and of `:since` in the type of the column. `{}` is the column.
_TIMES = {
    ("epoch", "sqlite"): ("{}", ":since"),
    ("epoch", "postgresql"): ("{}", ":since"),
    ("epoch_ms", "sqlite"): ("({} / 1000.0)", ":since * 1000"),
    ("epoch_ms", "postgresql"): ("CAST({} / 1000.0 AS double precision)", ":since * 1000"),
    ("timestamp", "sqlite"): (
        "((julianday({}) - 2440587.5) * 86400.0)",
        "strftime('%Y-%m-%d %H:%M:%S', :since, 'unixepoch')",
    ),
    ("timestamp", "postgresql"): ("CAST(EXTRACT(EPOCH FROM {}) AS double precision)", "to_timestamp(:since)"),
}


@dataclass(frozen=True)
class VideosTable:
    """The user's table of videos: its name, its columns, and the values of its state column.

    - `columns` maps a column name of Aforo to the user's name, or to '' for a column that does not exist.
    - `states` maps a value of the user's state column to a state of Aforo.
    - `times` is the format of the time columns: `epoch`, `epoch_ms` or `timestamp`.
    """

    table: str
    columns: dict[str, str]
    times: str
    states: dict[str, str]

    @classmethod
    def of(cls, settings: Exporters) -> VideosTable:
        """Return the videos table as the exporter's settings describe it.

        Raise UsageError for an invalid setting.
        """
        table = ".".join(_quoted(part, "AFORO_EXPORTER_VIDEOS_TABLE") for part in settings.videos_table.split("."))
        columns = {**{name: name for name in COLUMNS}, **_known_columns(settings.videos_columns)}
        if not columns["run_id"]:
            columns |= dict.fromkeys(OF_RUNS, "")
        return cls(table, columns, settings.videos_times, _states(settings.videos_states))

    @property
    def has_runs(self) -> bool:
        """Return True if the exporter's settings give the videos table a column `run_id`.

        A database with this column also has Aforo's tables `runs` and `executions`.
        """
        return bool(self.columns["run_id"])

    @property
    def final(self) -> list[str]:
        """Return the values of the user's state column that mean a final state."""
        return self.named(*FINAL_STATES)

    def named(self, *states: VideoState) -> list[str]:
        """Return the values of the user's state column that mean one of these states."""
        return [theirs for theirs, ours in self.states.items() if ours in states]

    def state(self, theirs: str | None) -> str:
        """Translate a value of the user's state column to Aforo's state. An unknown value gives `other`."""
        return self.states.get(theirs or "", OTHER)


def load_all(table: VideosTable, dialect: str) -> dict[str, TextClause]:
    """Return all SQL statements of `statements.sql`, by name, adapted to this videos table.

    `dialect` is `sqlite` or `postgresql`.
    """
    names = _names(table, dialect)
    source = files("exporters.db").joinpath("statements.sql").read_text("utf-8")
    _, *named = re.split(r"(?m)^-- name: (\w+)\n", source)
    return {name: _statement(body, names) for name, body in zip(named[::2], named[1::2], strict=True)}


def _statement(source: str, names: dict[str, str]) -> TextClause:
    lists: list[BindParameter[Any]] = [
        bindparam(name, type_=String(), expanding=True) for name in _LISTS if f":{name}" in source
    ]
    return text(source.format_map(names)).bindparams(*lists)


def _names(table: VideosTable, dialect: str) -> dict[str, str]:
    """Return the value of each placeholder in the SQL files."""
    moment, since = _TIMES[table.times, dialect]
    names = {"videos": table.table, "since": since}
    for ours, theirs in table.columns.items():
        quoted = _quoted(theirs, "AFORO_EXPORTER_VIDEOS_COLUMNS") if theirs else _missing(ours)
        names[ours] = moment.format(quoted) if ours in MOMENTS and theirs else quoted
        names[f"{ours}_column"] = quoted
    return names


def _missing(column: str) -> str:
    """Return the SQL that replaces a missing column. PostgreSQL needs a type for arithmetic with it."""
    if column in MOMENTS:
        return "CAST(NULL AS double precision)"
    return "''" if column == "run_id" else "NULL"


def _quoted(identifier: str, setting: str) -> str:
    if not _IDENTIFIER.fullmatch(identifier):
        why = "it must consist of letters, digits and '_', at most 63"
        raise UsageError(setting, why, "use such a name", value=identifier)
    return f'"{identifier}"'


def _known_columns(given: Mapping[str, str]) -> dict[str, str]:
    columns = dict(given)
    for ours, theirs in columns.items():
        if ours not in COLUMNS or not (theirs or ours in OPTIONAL):
            why = f"the keys are {', '.join(COLUMNS)}; only {', '.join(sorted(OPTIONAL))} may be empty"
            raise UsageError(
                "AFORO_EXPORTER_VIDEOS_COLUMNS", why, "see .env.example for the form", value=f"{ours}={theirs}"
            )
        if theirs:
            _quoted(theirs, "AFORO_EXPORTER_VIDEOS_COLUMNS")
    return columns


def _states(given: Mapping[str, str]) -> dict[str, str]:
    states = dict(given) or {state.value: state.value for state in VideoState}
    for theirs, ours in states.items():
        if ours not in {*VideoState, OTHER}:
            why = "the values are " + ", ".join(VideoState)
            raise UsageError(
                "AFORO_EXPORTER_VIDEOS_STATES", why, "see .env.example for the form", value=f"{theirs}={ours}"
            )
    return states
