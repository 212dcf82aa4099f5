"""Draw the charts of the report as HTML, each from the data of a run or of scalability curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.analysis.run_analysis import RunAnalysis
from capacity.analysis.scalability_curves import Curve, Point
from capacity.estimators.interval import Floats, Integers
from capacity.estimators.littles_law import videos_present
from capacity.report.charts import Axis, Frame, draw, legend, thinned
from capacity.runs.resource_samples import BUSY_MODES, Resources
from capacity.table.table_text import capacity_text
from core.language import STAGE_NAMES, Language, Text
from core.video import Stage

BARS_LIMIT = 200
SLOTS_LIMIT = 32
RATE_SAMPLES = 5
CURVE_COLOURS = ("blue", "amber", "green", "violet", "teal", "red")
STAGE_COLOURS = {
    Stage.CLAIM: "grey",
    Stage.FETCH: "teal",
    Stage.PROBE: "violet",
    Stage.TRANSCODE: "blue",
    Stage.PUBLISH: "amber",
    Stage.FINISH: "grey",
}


def throughput_chart(curves: Sequence[Curve], lang: Language) -> str:
    """Return the HTML of a chart of X_sat against the number of slots, with one colour per curve.

    The dots are measured points with their 95 % intervals. The dashed line is the fitted scalability law, if the law
    may be used.
    """
    most = max(cell.slots for curve in curves for cell in curve.points)
    top = max(max(cell.capacity, _upper(cell)) for curve in curves for cell in curve.points)
    frame = Frame(Axis(0, most + 0.5, "slots", is_count=True), Axis(0, 1.08 * top), 240)
    shapes, marks, names = [], [], []
    for curve, colour in zip(curves, CURVE_COLOURS * len(curves), strict=False):
        shapes.append(_law(frame, curve, most, colour))
        names.append((colour, curve.name))
        for point in curve.points:
            if point.interval is not None:
                marks.append(frame.whisker(point.slots, point.interval.low, point.interval.high, colour))
            title = capacity_text(point.capacity, point.interval, lang)
            marks.append(frame.dot(point.slots, point.capacity, colour, f"{title}/min"))
    name = Text(
        "Capacidad nominal (videos/min) por número de slots", "Nominal capacity (videos/min) by number of slots"
    )
    return draw(frame, name.to(lang), shapes, marks) + legend(names)


def _law(frame: Frame, curve: Curve, most: int, colour: str) -> str:
    """Return the fitted scalability law as a dashed line. Return nothing if the law does not apply."""
    if curve.fit.unusable is None:
        n = np.linspace(1, most, 60)
        return frame.line(n, np.array([curve.fit.model.throughput(float(v)) for v in n]), colour, dashed=True)
    return ""


def timeline(run: RunAnalysis, start: float, end: float, lang: Language) -> str:
    """Return the HTML of a chart that shows the stage of each slot from `start` to `end` (epoch seconds).

    Only the first SLOTS_LIMIT slots are drawn. With more than BARS_LIMIT executions, the chart shows the busy share of
    each slot instead of the stages. Return '' if the slots are unknown.
    """
    executions = run.recorded.executions
    if executions.slot is None or not executions.started_at.size:
        return ""
    slots = np.unique(executions.slot)[:SLOTS_LIMIT]
    frame = Frame(Axis(0, end - start, "s"), Axis(0, len(slots)), 26 * len(slots) + 10)
    shapes: list[str] = []
    for row, slot in enumerate(slots):
        chosen = np.flatnonzero(executions.slot == slot)
        bottom = len(slots) - row - 0.85
        few = executions.started_at.size <= BARS_LIMIT
        shapes += _stages(run, frame, chosen, start, bottom, lang) if few else _busy(run, frame, chosen, start, bottom)
    names = [f"slot {position + 1}" for position in range(len(slots))]
    title = Text("Qué hizo cada slot", "What each slot did").to(lang)
    return draw(frame, title, shapes, names=names) + _stage_legend(lang)


def _stage_legend(lang: Language) -> str:
    shown = (Stage.FETCH, Stage.PROBE, Stage.TRANSCODE, Stage.PUBLISH)
    return legend([(STAGE_COLOURS[stage], STAGE_NAMES[stage].to(lang)) for stage in shown])


def queue_chart(run: RunAnalysis, start: float, end: float, lang: Language) -> str:
    """Return the HTML of a chart of the number of waiting videos, from `start` to `end` (epoch seconds).

    This number is computed from the recorded upload and start times of the videos. The counts of SQS are not used.
    """
    times = np.linspace(start, end, 300)
    waiting = videos_present(run.recorded.uploaded_at, run.recorded.started_at, times)
    most = max(1.0, 1.05 * float(waiting.max()))
    frame = Frame(Axis(0, end - start, "s"), Axis(0, most, is_count=True), 110)
    shapes = [frame.area(times - start, waiting, "violet"), frame.line(times - start, waiting, "violet")]
    return draw(frame, Text("Videos en espera", "Videos waiting").to(lang), shapes)


def resource_charts(run: RunAnalysis, start: float, end: float, lang: Language) -> str:
    """Return the HTML of charts of CPU, pressure (PSI) and disk, from `start` to `end` (epoch seconds).

    A resource without samples gets no chart.
    """
    resources = run.resources.during(start, end)
    cores = resources.latest("cores")
    x = resources.times - start
    parts = []
    cpu = [_rates(resources, key) for key in resources.samples if key.startswith("cpu.") and key[4:] in BUSY_MODES]
    if cpu and cores:
        frame = Frame(Axis(0, end - start, "s"), Axis(0, 104, "%"), 110)
        busy = np.minimum(100.0, 100 * np.sum(cpu, axis=0) / cores)
        name = Text("CPU ocupada de la máquina", "CPU busy on the machine").to(lang)
        parts.append(draw(frame, name, [frame.area(x, busy, "blue"), frame.line(x, busy, "blue")]))
    pressure = {name: _rates(resources, f"pressure.{name}.some") for name in ("cpu", "io", "memory")}
    if any(np.isfinite(values).any() for values in pressure.values()):
        parts.append(_pressure_chart(x, pressure, Axis(0, end - start, "s"), lang))
    disk = {name: _rates(resources, f"disk.{name}") / 1e6 for name in ("read", "written")}
    if any(np.isfinite(values).any() for values in disk.values()):
        parts.append(_disk_chart(x, disk, Axis(0, end - start, "s"), lang))
    return "".join(parts)


def service_chart(run: RunAnalysis, lang: Language) -> str:
    """Return the HTML of a histogram of the service times of a run.

    Return '' if no execution completed a video.
    """
    executions = run.recorded.executions
    service = (executions.ended_at - executions.started_at)[executions.counted]
    if not service.size:
        return ""
    counts, edges = np.histogram(service, bins=min(24, max(4, round(np.sqrt(service.size) * 2))))
    frame = Frame(Axis(float(edges[0]), float(edges[-1]), "s"), Axis(0, 1.1 * float(counts.max()), is_count=True), 140)
    boxes = [
        frame.box(low, high, 0, float(n), "blue", f"{low:.2f}–{high:.2f} s: {n}")
        for low, high, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    name = Text("Tiempo de servicio: videos por duración", "Service time: videos by duration")
    return draw(frame, name.to(lang), boxes)


def stage_chart(run: RunAnalysis, lang: Language) -> str:
    """Return the HTML of a chart of the mean seconds of each stage, or '' if no stage has a known time."""
    means = {name: seconds for name, seconds in run.parts.stage_seconds.items() if seconds > 0}
    if not means:
        return ""
    frame = Frame(Axis(0, 1.05 * max(means.values()), "s"), Axis(0, len(means)), 28 * len(means) + 10)
    boxes = [
        frame.box(
            0, seconds, len(means) - row - 0.8, len(means) - row - 0.2, STAGE_COLOURS[Stage(name)], f"{seconds:.3f} s"
        )
        for row, (name, seconds) in enumerate(means.items())
    ]
    title = Text("Segundos por etapa (media)", "Seconds by stage (mean)").to(lang)
    return draw(frame, title, boxes, names=[STAGE_NAMES[name].to(lang) for name in means])


def _stages(run: RunAnalysis, frame: Frame, chosen: Integers, start: float, bottom: float, lang: Language) -> list[str]:
    executions, boxes = run.recorded.executions, []
    for i in chosen.tolist():
        begin, end = float(executions.started_at[i] - start), float(executions.ended_at[i] - start)
        done = bool(executions.counted[i] or run.recorded.is_part[i])
        boxes.append(frame.box(begin, end, bottom, bottom + 0.7, "grey" if done else "red", f"{end - begin:.2f} s"))
        for stage in Stage if done else ():
            seconds = float(np.nan_to_num(run.recorded.stage_seconds[stage.value][i]))
            if seconds > 0:
                tooltip = f"{STAGE_NAMES[stage].to(lang)} {seconds:.2f} s"
                boxes.append(frame.box(begin, begin + seconds, bottom, bottom + 0.7, STAGE_COLOURS[stage], tooltip))
            begin += seconds
        boxes.append(frame.line(np.array([end, end]), np.array([bottom, bottom + 0.7]), "ground"))
    return boxes


def _busy(run: RunAnalysis, frame: Frame, chosen: Integers, start: float, bottom: float) -> list[str]:
    """Return the busy share of one slot per time interval, as one bar per interval."""
    executions = run.recorded.executions
    edges = np.linspace(frame.x.low, frame.x.high, BARS_LIMIT // 2 + 1)
    moments = np.sort(np.concatenate([executions.started_at[chosen], executions.ended_at[chosen]])) - start
    worked = np.concatenate([[0.0], np.cumsum(np.where(np.arange(moments.size - 1) % 2 == 0, np.diff(moments), 0.0))])
    shares = np.diff(np.interp(edges, moments, worked)) / np.diff(edges)
    return [
        frame.box(low, high, bottom, bottom + 0.7 * share, "blue")
        for low, high, share in zip(edges[:-1].tolist(), edges[1:].tolist(), shares.tolist(), strict=True)
        if share > 0
    ]


def _pressure_chart(x: Floats, pressure: dict[str, Floats], axis: Axis, lang: Language) -> str:
    frame = Frame(axis, Axis(0, 104, "%"), 110)
    colours = {"cpu": "blue", "io": "amber", "memory": "red"}
    names = {"cpu": "CPU", "io": Text("E/S", "I/O").to(lang), "memory": Text("memoria", "memory").to(lang)}
    lines = [
        frame.line(*thinned(x, np.minimum(100.0, 100 * values)), colours[name]) for name, values in pressure.items()
    ]
    title = Text("Presión (PSI some): tiempo con tareas frenadas", "Pressure (PSI some): time with stalled tasks")
    return draw(frame, title.to(lang), lines) + legend([(colours[name], names[name]) for name in pressure])


def _disk_chart(x: Floats, disk: dict[str, Floats], axis: Axis, lang: Language) -> str:
    top = max(float(np.nanmax(values, initial=0.0)) for values in disk.values())
    frame = Frame(axis, Axis(0, max(1.0, 1.05 * top)), 110)
    names = {"read": Text("lectura", "read").to(lang), "written": Text("escritura", "written").to(lang)}
    colours = {"read": "teal", "written": "amber"}
    lines = [frame.line(*thinned(x, values), colours[name]) for name, values in disk.items()]
    title = Text("Disco (MB/s)", "Disk (MB/s)").to(lang)
    return draw(frame, title, lines) + legend([(colours[name], names[name]) for name in disk])


def _upper(point: Point) -> float:
    """Return the upper end that the axis shows: that of the interval, at most twice the capacity."""
    return point.capacity if point.interval is None else min(point.interval.high, 2 * point.capacity)


def _rates(resources: Resources, key: str) -> Floats:
    """Return a counter's increase per second, each over several samples.

    Several samples are needed because scrapes are not exactly periodic.
    """
    values = resources.samples.get(key, np.full(resources.times.size, np.nan))
    rates = np.full(values.size, np.nan)
    span = min(RATE_SAMPLES, values.size - 1)
    if span > 0:
        rates[span:] = (values[span:] - values[:-span]).clip(min=0) / (resources.times[span:] - resources.times[:-span])
    return rates
