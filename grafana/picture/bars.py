"""Two kinds of panel: one horizontal bar per series, and bars by category."""

from __future__ import annotations

from collections.abc import Iterator

from grafana.panel import Panel
from grafana.picture import svg
from grafana.picture.answers import Look, now
from grafana.picture.axes import AXIS, Box, Scale
from grafana.picture.frame import LEGEND, ink_on, legend, nothing, threshold, unit, value_axis
from grafana.picture.values import shown


def bars(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw one bar per series: name, length, value."""
    found = [line for n, query in enumerate(panel.queries) for line in now(panel, query, look, n)]
    if not found:
        yield from nothing(panel, look, box)
        return
    order = list(dict.fromkeys([*(word.text.to(look.lang) for word in panel.words.values()), *(f.name for f in found)]))
    found.sort(key=lambda line: order.index(line.name))
    pitch = min(44.0, box.height / len(found))
    names = max(svg.width_of(line.name, 12) for line in found) + 10
    values = [_word_or_value(panel, look, line.last) for line in found]
    room = max(svg.width_of(value, 13) for value in values) + 12
    most = panel.maximum or max(0, *(line.last for line in found)) or 1
    for number, (line, value) in enumerate(zip(found, values, strict=True)):
        y, height = box.y + number * pitch, min(22.0, pitch - 6)
        color = threshold(panel, line.last) or line.color
        track = Box(box.x + names, y + (pitch - height) / 2, box.width - names - room, height)
        yield svg.text(box.x, track.y + height / 2 + 4, line.name, 12, svg.INK)
        yield svg.rect(track.x, track.y, track.width, height, svg.PAPER, 3)
        yield svg.rect(track.x, track.y, track.width * min(1, max(0, line.last) / most), height, color, 3)
        yield svg.text(box.right, track.y + height / 2 + 5, value, 13, svg.INK, "end", 600)


def _word_or_value(panel: Panel, look: Look, value: float) -> str:
    word = panel.value_words.get(f"{value:g}")
    return word.text.to(look.lang) if word else shown(value, unit(panel, look), panel.decimals)


def chart(panel: Panel, look: Look, box: Box) -> Iterator[str]:
    """Draw bars by category, side by side or stacked."""
    groups, series = _grouped(panel, look)
    if not groups:
        yield from nothing(panel, look, box)
        return
    plot = box.inside(top=4, bottom=20 + LEGEND)
    sums = [sum(group.values()) if panel.stacked else max(group.values()) for group in groups.values()]
    scale, plot = yield from value_axis(panel, look, plot, 0, max(sums))
    pitch = plot.width / len(groups)
    for number, (name, group) in enumerate(groups.items()):
        x = plot.x + number * pitch
        yield from _group(panel, look, group, series, scale, Box(x + pitch * 0.14, plot.y, pitch * 0.72, plot.height))
        yield svg.text(x + pitch / 2, plot.bottom + 15, svg.cut(name, AXIS, pitch), AXIS, svg.SOFT, "middle")
    yield from legend(list(series.items()), box)


def _group(
    panel: Panel, look: Look, group: dict[str, float], series: dict[str, str], scale: Scale, box: Box
) -> Iterator[str]:
    ground, width = 0.0, box.width if panel.stacked else min(90.0, box.width / len(series))
    left = box.x + (box.width - (width if panel.stacked else width * len(series))) / 2
    for position, (name, color) in enumerate(series.items()):
        if (value := group.get(name)) is None:
            continue
        top, x = scale.at(ground + value), left + (0 if panel.stacked else position * width)
        yield svg.rect(x + 2, top, width - 4, scale.at(ground) - top, color, 2, fill_opacity="0.88")
        if scale.at(ground) - top > 16 or not panel.stacked:
            y = top + 15 if panel.stacked or top - scale.end < 14 else top - 4
            words = shown(value, "none", panel.decimals) if not panel.stacked else shown(value, unit(panel, look), 1)
            ink = ink_on(color) if panel.stacked or top - scale.end < 14 else svg.INK
            yield svg.text(x + width / 2, y, words, AXIS, ink, "middle", 600)
        ground += value if panel.stacked else 0


def _grouped(panel: Panel, look: Look) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return bars by category and series, and the colour of each series.

    The bars are by concurrency and size, or by run and query.
    """
    groups: dict[str, dict[str, float]] = {}
    series: dict[str, str] = {}
    for position, query in enumerate(panel.queries):
        for line in now(panel, query, look, position):
            word = panel.words.get(f"Value #{chr(ord('A') + position)}")
            name = word.text.to(look.lang) if word else line.labels["size"]
            group = line.labels["run_id"] if word else line.labels["concurrency"]
            series.setdefault(name, word.color if word else line.color)
            groups.setdefault(group, {})[name] = line.last
    ordered = sorted(groups, key=lambda name: (int(name) if name.isdigit() else 0, name))
    return {name: groups[name] for name in ordered}, series
