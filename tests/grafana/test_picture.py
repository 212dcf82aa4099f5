"""The pictures: each panel is drawn from Prometheus' results, in the panel's unit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core import promql
from core.errors import UsageError
from grafana.board import Row, placed
from grafana.boards import BOARDS
from grafana.boards.capacity import CAPACITY
from grafana.boards.choices import QUEUES
from grafana.boards.run import RUN
from grafana.boards.stack_health import STACK_HEALTH
from grafana.dashboard_json import board_json
from grafana.expressions import expressions
from grafana.picture.answers import Look
from grafana.picture.axes import Scale, ticks
from grafana.picture.page import picture
from grafana.picture.values import shown
from grafana.picture.window import looks_at
from grafana.wording import GREEN, RED

T0 = 1_790_000_000.0
SVG = "{http://www.w3.org/2000/svg}"


class FakePrometheus:
    """Fake Prometheus that answers range queries and records them.

    The values come from a rule for the expression of the query.
    """

    def __init__(self, monkeypatch, answer) -> None:
        self.queries: list[tuple[str, float, float]] = []
        self.answer = answer
        monkeypatch.setattr(promql, "query_range", self.query_range)

    def query_range(self, _url, expression, start, end, step):
        self.queries.append((expression, start, end))
        moments = [start + n * step for n in range(int((end - start) / step) + 1)]
        return [promql.Series(labels, tuple((t, value) for t in moments)) for labels, value in self.answer(expression)]


def look(lang="es"):
    return Look("http://x", T0, T0 + 60, lang, {"run_id": "r1", "stage": "transcode"})


def words(text: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(text).iter(f"{SVG}text")]  # noqa: S314 (our own)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
@pytest.mark.parametrize("lang", ["es", "en"])
def test_every_panel_is_in_the_picture_with_its_own_queries(monkeypatch, board, lang):
    labels = {"run_id": "r1", "size": "50MB", "concurrency": "2", "mode": "burst", "le": "1.0"}
    prometheus = FakePrometheus(monkeypatch, lambda _: [(labels, 3.0)])
    texts = words(picture(board, look(lang)))
    panels = [part for part, _ in placed(board) if not isinstance(part, Row)]
    assert {panel.title.to(lang)[:12] for panel in panels} <= {title[:12] for title in texts}
    assert len(prometheus.queries) == sum(len(panel.queries) for panel in panels)
    assert not [text for text, _, _ in prometheus.queries if "$" in re.sub(r'"\$1"', "", text)]


def test_a_picture_without_data_shows_the_text_for_no_data(monkeypatch):
    FakePrometheus(monkeypatch, lambda _: [])
    texts = words(picture(RUN, look()))
    assert {"sin prueba en curso", "ningún fallo", "ráfaga: sin horario"} <= set(texts)
    assert not [text for text in texts if re.fullmatch(r"0( .*)?", text)]


def test_the_figure_of_a_rule_is_drawn_with_the_dashboards_digits(monkeypatch):
    x = "run_id:aforo_run_videos_per_minute:ratio"
    FakePrometheus(monkeypatch, lambda text: [({"run_id": "r1"}, 6.498499421646771)] if text.startswith(x) else [])
    assert "6.50 videos/min" in words(picture(RUN, look()))


def test_a_table_joins_its_queries_on_the_run_and_leaves_unknown_cells_empty(monkeypatch):
    def answer(text):
        if "avg by" in text:
            return []
        if "aforo_run_info" in text:
            facts = {"size": "50MB", "mode": "burst"}
            return [(facts | {"run_id": run, "concurrency": run[1]}, 1.0) for run in ("r1", "r2")]
        if "videos_per_minute:ratio" in text and "last_over_time" in text:
            return [({"run_id": "r2"}, 9.25)]
        return []

    FakePrometheus(monkeypatch, answer)
    texts = words(picture(CAPACITY, look()))
    assert texts.index("r2") < texts.index("r1")
    first = texts.index("50MB")
    assert texts[first : first + 5] == ["50MB", "2", "ráfaga", "9.25", "–"]


def test_a_value_that_is_no_number_is_a_gap(monkeypatch):
    FakePrometheus(monkeypatch, lambda _: [({}, float("nan"))])
    assert "nan" not in picture(RUN, look()).lower()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_picture_uses_instant_and_range_queries_like_grafana(monkeypatch, board):
    prometheus = FakePrometheus(monkeypatch, lambda _: [])
    picture(board, look())
    instant = [start == end == T0 + 60 for _, start, end in prometheus.queries]
    assert instant == [expression.is_instant for expression in expressions(json.loads(board_json(board, "es")))]


def test_a_target_that_stops_answering_changes_colour_and_a_removed_one_leaves_a_gap(monkeypatch):
    def answer(_url, text, start, _end, _step):
        if "(up{" not in text:
            return []
        a = tuple((start + n, float(n < 30)) for n in range(61))
        b = tuple((start + n, 1.0) for n in range(61) if not 16 <= n < 40)
        return [promql.Series({"job": "worker", "instance": name}, points) for name, points in (("a", a), ("b", b))]

    monkeypatch.setattr(promql, "query_range", answer)
    drawn = picture(STACK_HEALTH, look())
    bands = re.findall(r'width="([\d.]+)" height="22.0" rx="0" fill="(#\w+)"', drawn)
    assert [color for _, color in bands] == [GREEN, RED, GREEN, GREEN]
    up, down, before, after = (float(width) for width, _ in bands)
    assert (down / up, before / up, after / up) == pytest.approx((1.0, 16 / 30, 20 / 30), rel=0.01)
    assert {"worker a", "worker b", "responde", "no responde"} <= set(words(drawn))


def test_a_look_ends_when_its_share_of_the_run_had_passed(monkeypatch):
    answers = {
        "max by (run_id) (aforo_run_window_start_timestamp_seconds)": [
            ({"run_id": "a"}, T0),
            ({"run_id": "b"}, T0 + 500),
        ],
        "run_id:aforo_run_window_seconds:elapsed": [({"run_id": "a"}, 100.0), ({"run_id": "b"}, 50.0)],
        QUEUES: [({"queue": "videos"}, 1.0), ({"queue": "of-others"}, 0.0)],
        "prometheus_tsdb_head_series": [],
    }
    monkeypatch.setattr(promql, "query", lambda _, text: [promql.Sample(*each) for each in answers[text]])
    one, every = looks_at("http://x", "a", 0.5, "es", T0 + 900)
    assert (one.start, one.end, one.variables["run_id"]) == (T0 - 20, T0 + 50, "a")
    assert (every.start, every.end) == (T0 - 20, T0 + 900)
    assert [each.variables["queue"] for each in (one, every)] == ["videos", "videos"]
    assert looks_at("http://x", None, 1.0, "es", T0 + 900)[0].variables["run_id"] == "b"
    with pytest.raises(UsageError, match=r"run \(c\)"):
        looks_at("http://x", "c", 1.0, "es", T0 + 900)


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (6.4985, "suffix: videos/min", 2, "6.50 videos/min"),
        (0.0153, "s", None, "15 ms"),
        (18.13, "s", 2, "18.13 s"),
        (600.0, "s", 0, "10.0 min"),
        (2 * 1024**3, "bytes", None, "2 GiB"),
        (1536.0, "Bps", None, "1.5 KiB/s"),
        (0.985, "percentunit", 0, "98 %"),
        (0.373, "currencyUSD", 2, "$0.37"),
        (14.0, "none", None, "14"),
        (None, "none", None, "–"),
        (float("nan"), "s", None, "–"),
    ],
)
def test_a_value_is_shown_in_its_unit(value, unit, decimals, text):
    assert shown(value, unit, decimals) == text


@pytest.mark.parametrize(
    ("low", "high", "base", "marks"),
    [
        (0, 6.5, 10, [0, 2, 4, 6, 8]),
        (0, 1, 10, [0, 0.25, 0.5, 0.75, 1]),
        (0, 0, 10, [0, 0.25, 0.5, 0.75, 1]),
        (-1, 1, 10, [-1, -0.5, 0, 0.5, 1]),
        (0, 3 * 1024**3, 1024, [0, 1024**3, 2 * 1024**3, 3 * 1024**3]),
    ],
)
def test_axis_ticks_are_round_and_cover_the_values(low, high, base, marks):
    assert ticks(low, high, 4, base) == pytest.approx(marks)


def test_a_scale_maps_its_limits_to_the_ends_of_the_axis():
    scale = Scale(10, 20, 100, 0)
    assert [scale.at(value) for value in (10, 15, 20)] == [100, 50, 0]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_picture_in_the_docs_shows_the_current_dashboard(board):
    texts = words(Path(f"docs/pictures/{board.uid}.svg").read_text(encoding="utf-8"))
    titles = {part.title.to("es") for part, _ in placed(board)}
    assert {title for title in titles if not any(text.startswith(title[:20]) for text in texts)} == set()
    assert "no es una captura de Grafana" in texts[-1]
    assert f"](pictures/{board.uid}.svg)" in Path("docs/dashboards.md").read_text(encoding="utf-8")
