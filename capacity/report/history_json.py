"""Convert the histories of cells to JSON values. docs/json.md describes the keys."""

from __future__ import annotations

from typing import Any

from capacity.analysis.cell_history import CellHistory, LevelChange, Series
from capacity.report.history_text import sentences
from capacity.runs.result_row import ResultRow
from core.language import Language


def history_as_json(one: CellHistory, margin: float | None, lang: Language) -> dict[str, Any]:
    """Return the history of a cell as a JSON object. docs/json.md describes the keys.

    The key `trend` says whether the newest change made X_sat or the service time worse by more than `margin`. A
    `margin` of 0.05 is 5 %. If `margin` is None, `trend` is null.
    """
    key = one.key
    return {
        "cell": key.cell,
        **{name: getattr(key, name) or None for name in ("profile", "stack", "storage")},
        "is_warm": key.is_warm,
        "trend": None if margin is None else one.judged.trend(margin),
        "series": [_series(series, lang) for series in one.series],
        "runs": [_run(row) for row in one.rows],
    }


def _series(series: Series, lang: Language) -> dict[str, Any]:
    return {
        "measure": series.measure,
        "runs": len(series.runs),
        "runs_missing": series.runs_missing,
        "level": series.level,
        "visible_ratio": series.visible_ratio,
        "changes": series.changes and [_change(series, change) for change in series.changes],
        "text": sentences(series, lang),
    }


def _change(series: Series, change: LevelChange) -> dict[str, Any]:
    return {
        "run_id": change.after.run_id,
        "created_at": change.after.created_at,
        "previous_run_id": change.before.run_id,
        "from_level": change.from_level,
        "to_level": change.to_level,
        "factor": change.factor,
        "factor_interval": change.interval,
        "loss_ratio": series.measure.loss(change.factor),
        "conditions": change.conditions,
    }


def _run(row: ResultRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "created_at": row.created_at,
        "x_sat_per_minute": row.x_sat_per_minute,
        "x_sat_interval": row.x_sat_interval,
        "service_mean_seconds": row.service_mean_seconds,
        "validity": row.validity.level,
        "validity_reasons": row.validity.reasons,
    }
