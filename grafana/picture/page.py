"""A whole dashboard as one SVG, with a caption that explains how it was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from core.language import Text
from grafana.board import GRID_WIDTH, Board, Row, placed
from grafana.panel import Kind, Panel
from grafana.picture import svg
from grafana.picture.answers import Look
from grafana.picture.axes import Box
from grafana.picture.frame import unit
from grafana.picture.kinds import draw_content

WIDTH, CELL, GAP, HEAD, FOOT = 1440.0, 38.0, 8.0, 56.0, 40.0


def picture(board: Board, look: Look) -> str:
    """Return the text of an SVG file with the dashboard over the time window."""
    parts = list(placed(board))
    height = HEAD + max(place.y + place.height for _, place in parts) * CELL + FOOT
    marks = [svg.rect(0, 0, WIDTH, height, svg.PAPER), *_head(board, look)]
    for part, place in parts:
        unit = (WIDTH - GAP) / GRID_WIDTH
        box = Box(GAP + place.x * unit, HEAD + place.y * CELL, place.width * unit - GAP, place.height * CELL - GAP)
        marks += _heading(part, look, box) if isinstance(part, Row) else _card(part, look, box)
    marks.append(svg.text(WIDTH / 2, height - 14, _caption(look), 12, svg.SOFT, "middle"))
    shape = f'width="{WIDTH:g}" height="{height:g}" viewBox="0 0 {WIDTH:g} {height:g}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {shape} font-family="{svg.FONT}">'
    return "\n".join([opening, *marks, "</svg>"]) + "\n"


def _head(board: Board, look: Look) -> Iterator[str]:
    yield svg.text(GAP + 6, 35, board.title.to(look.lang), 20, svg.INK, "start", 600)
    chosen = [f"{variable.title.to(look.lang)}: {look.variables[variable.name]}" for variable in board.variables
              if variable.name in look.variables]  # fmt: skip
    moments = [datetime.fromtimestamp(t, UTC).strftime("%H:%M:%S") for t in (look.start, look.end)]
    words = "  ·  ".join([*chosen, f"{moments[0]} – {moments[1]} UTC"])
    yield svg.text(WIDTH - GAP - 6, 35, words, 13, svg.SOFT, "end")


def _heading(row: Row, look: Look, box: Box) -> list[str]:
    return [svg.text(box.x + 6, box.y + 22, row.title.to(look.lang), 15, svg.INK, "start", 600)]


def _card(panel: Panel, look: Look, box: Box) -> list[str]:
    title = svg.cut(panel.title.to(look.lang), 13, box.width - 20)
    has_axis, (_, _, words) = panel.kind not in {Kind.STAT, Kind.BARS}, unit(panel, look).partition("suffix: ")
    return [
        svg.rect(box.x, box.y, box.width, box.height, svg.CARD, 4, stroke=svg.LINE),
        svg.text(box.x + 10, box.y + 20, title, 13, svg.INK, "start", 500),
        svg.text(box.right - 10, box.y + 20, words if has_axis else "", 11, svg.SOFT, "end"),
        *draw_content(panel, look, box.inside(10, 32, 10, 10)),
    ]


def _caption(look: Look) -> str:
    return Text(
        "Dibujado por `python -m grafana picture` con las consultas del tablero y los datos de una prueba real, leídos "
        "de su Prometheus; no es una captura de Grafana.",
        "Drawn by `python -m grafana picture` with the dashboard's own queries and a real run's data, read from its "
        "Prometheus; not a screenshot of Grafana.",
    ).to(look.lang)
