"""Drawing function of each kind of panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grafana.panel import Kind, Panel
from grafana.picture import svg
from grafana.picture.answers import Look, now
from grafana.picture.axes import Box
from grafana.picture.bars import bars, chart
from grafana.picture.frame import ink_on, nothing, threshold, unit
from grafana.picture.heat import heat
from grafana.picture.series import series
from grafana.picture.states import states
from grafana.picture.table import table
from grafana.picture.values import shown


def draw_content(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Yield the SVG elements of a panel's content."""
    return _DRAWINGS[panel.kind](panel, look, box)


def stat(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw one number, on the background colour that its thresholds define."""
    found = [line for n, query in enumerate(panel.queries) for line in now(panel, query, look, n)]
    if panel.by_name:
        found = [line for line in found if line.last > 0]
    if not found:
        yield from nothing(panel, look, box)
        return
    last = found[-1]
    words = last.name if panel.by_name else shown(last.last, unit(panel, look), panel.decimals)
    color = last.color if panel.by_name else threshold(panel, last.last)
    size = min(34.0, box.height * 0.5, 0.92 * box.width / (max(len(words), 1) * 0.56))
    if color:
        yield svg.rect(box.x, box.y, box.width, box.height, color, 6)
    ink = ink_on(color) if color else svg.INK
    yield svg.text(box.x + box.width / 2, box.y + box.height / 2 + size * 0.36, words, size, ink, "middle", 600)


_DRAWINGS: dict[Kind, Callable[[Panel, Look, Box], Iterator[str]]] = {
    Kind.STAT: stat,
    Kind.SERIES: series,
    Kind.BARS: bars,
    Kind.CHART: chart,
    Kind.TABLE: table,
    Kind.HEAT: heat,
    Kind.STATES: states,
}
