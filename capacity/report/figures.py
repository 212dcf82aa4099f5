"""The drawings of the report: which data go on which chart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capacity.estimate import Floats, Integers
from capacity.evidence import RunEvidence
from capacity.language import Language, Text, number
from capacity.report.charts import Axis, Frame, draw, legend, thinned
from capacity.report.statements import STAGE_NAMES
from capacity.resources import BUSY_MODES
from capacity.results import ResultRow
from capacity.scalability import UslFit
from capacity.stability import waiting_videos
from pipeline.video import Stage

BARS_LIMIT = 200
SLOTS_LIMIT = 32
STAGE_COLOURS = {
    Stage.CLAIM: "grey",
    Stage.FETCH: "teal",
    Stage.PROBE: "violet",
    Stage.TRANSCODE: "blue",
    Stage.PUBLISH: "amber",
    Stage.FINISH: "grey",
}


def throughput_chart(rows: Sequence[ResultRow], fit: UslFit | None, lang: Language) -> str:
    """Draw X_sat with its intervals against slots, and the fitted law where it may be used."""
    known = [row for row in rows if row.x_sat_per_minute is not None]
    most = max(row.slots for row in known)
    top = max(max(row.x_sat_per_minute or 0.0, _upper(row)) for row in known)
    frame = Frame(Axis(0, most + 0.5, "slots"), Axis(0, 1.08 * top), 220)
    shapes, dots = [], []
    for row in known:
        x, capacity = float(row.slots), row.x_sat_per_minute or 0.0
        if row.x_sat_interval is not None:
            ends = np.array([row.x_sat_interval.low, _upper(row)])
            shapes.append(frame.line(np.array([x, x]), ends, "blue"))
        dots.append(frame.dot(x, capacity, "blue", f"{row.run_id}: {number(capacity, lang)}/min"))
    if fit is not None and fit.refused is None:
        n = np.linspace(1, most, 60)
        shapes.append(frame.line(n, np.array([fit.model.throughput(float(v)) for v in n]), "green", dashed=True))
    name = Text("Capacidad (videos/min) por número de slots", "Capacity (videos/min) by number of slots")
    return draw(frame, name.to(lang), shapes, dots)


def timeline(run: RunEvidence, start: float, end: float, lang: Language) -> str:
    """Draw what every slot did: the stages of each attempt, or how busy the slot was where attempts are too many."""
    attempts = run.recorded.attempts
    if attempts.slot is None or not attempts.started_at.size:
        return ""
    slots = np.unique(attempts.slot)[:SLOTS_LIMIT]
    frame = Frame(Axis(0, end - start, "s"), Axis(0, len(slots)), 26 * len(slots) + 10)
    shapes: list[str] = []
    for row, slot in enumerate(slots):
        chosen = np.flatnonzero(attempts.slot == slot)
        bottom = len(slots) - row - 0.85
        few = attempts.started_at.size <= BARS_LIMIT
        shapes += _stages(run, frame, chosen, start, bottom, lang) if few else _busy(run, frame, chosen, start, bottom)
    names = [f"slot {position + 1}" for position in range(len(slots))]
    return draw(frame, Text("Qué hizo cada slot", "What each slot did").to(lang), shapes, names=names)


def stage_legend(lang: Language) -> str:
    """Return the colours of the stages."""
    shown = (Stage.FETCH, Stage.PROBE, Stage.TRANSCODE, Stage.PUBLISH)
    return legend([(STAGE_COLOURS[stage], STAGE_NAMES[stage].to(lang)) for stage in shown])


def queue_chart(run: RunEvidence, start: float, end: float, lang: Language) -> str:
    """Draw how many videos waited, from the run's own log."""
    times = np.linspace(start, end, 300)
    waiting = waiting_videos(run.recorded.uploaded_at, run.recorded.started_at, times)
    frame = Frame(Axis(0, end - start, "s"), Axis(0, max(1.0, 1.05 * float(waiting.max()))), 110)
    shapes = [frame.area(times - start, waiting, "violet"), frame.line(times - start, waiting, "violet")]
    return draw(frame, Text("Videos en espera", "Videos waiting").to(lang), shapes)


def resource_charts(run: RunEvidence, start: float, end: float, lang: Language) -> str:
    """Draw CPU, pressure and disk on the time axis of the run; nothing where nothing was recorded."""
    resources = run.resources
    cores = resources.latest("cores")
    x = resources.times - start
    parts = []
    cpu = [resources.rates(key) for key in resources.samples if key.startswith("cpu.") and key[4:] in BUSY_MODES]
    if cpu and cores:
        frame = Frame(Axis(0, end - start, "s"), Axis(0, 100, "%"), 110)
        busy = 100 * np.sum(cpu, axis=0) / cores
        name = Text("CPU ocupada de la máquina", "CPU busy on the machine").to(lang)
        parts.append(draw(frame, name, [frame.area(x, busy, "blue"), frame.line(x, busy, "blue")]))
    pressure = {name: resources.rates(f"pressure.{name}.some") for name in ("cpu", "io", "memory")}
    if any(np.isfinite(values).any() for values in pressure.values()):
        parts.append(_pressure_chart(x, pressure, Axis(0, end - start, "s"), lang))
    disk = {name: resources.rates(f"disk.{name}") / 1e6 for name in ("read", "written")}
    if any(np.isfinite(values).any() for values in disk.values()):
        parts.append(_disk_chart(x, disk, Axis(0, end - start, "s"), lang))
    return "".join(parts)


def service_chart(run: RunEvidence, lang: Language) -> str:
    """Draw how service times are distributed."""
    attempts = run.recorded.attempts
    service = (attempts.ended_at - attempts.started_at)[attempts.counted]
    if not service.size:
        return ""
    counts, edges = np.histogram(service, bins=min(24, max(4, round(np.sqrt(service.size) * 2))))
    frame = Frame(Axis(float(edges[0]), float(edges[-1]), "s"), Axis(0, 1.1 * float(counts.max())), 140)
    boxes = [
        frame.box(low, high, 0, float(n), "blue", f"{low:.2f}–{high:.2f} s: {n}")
        for low, high, n in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    name = Text("Tiempo de servicio: videos por duración", "Service time: videos by duration")
    return draw(frame, name.to(lang), boxes)


def stage_chart(run: RunEvidence, lang: Language) -> str:
    """Draw the mean seconds of each stage of a video."""
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
    return draw(frame, title, boxes, names=[STAGE_NAMES[Stage(name)].to(lang) for name in means])


def _stages(run: RunEvidence, frame: Frame, chosen: Integers, start: float, bottom: float, lang: Language) -> list[str]:
    attempts, boxes = run.recorded.attempts, []
    for i in chosen.tolist():
        begin, end = float(attempts.started_at[i] - start), float(attempts.ended_at[i] - start)
        done = bool(attempts.counted[i])
        boxes.append(frame.box(begin, end, bottom, bottom + 0.7, "grey" if done else "red", f"{end - begin:.2f} s"))
        for stage in Stage if done else ():
            seconds = float(np.nan_to_num(run.recorded.stage_seconds[stage.value][i]))
            if seconds > 0:
                said = f"{STAGE_NAMES[stage].to(lang)} {seconds:.2f} s"
                boxes.append(frame.box(begin, begin + seconds, bottom, bottom + 0.7, STAGE_COLOURS[stage], said))
            begin += seconds
    return boxes


def _busy(run: RunEvidence, frame: Frame, chosen: Integers, start: float, bottom: float) -> list[str]:
    """Return the share of each interval that the slot worked, as bars of that height."""
    attempts = run.recorded.attempts
    edges = np.linspace(frame.x.low, frame.x.high, BARS_LIMIT // 2 + 1)
    moments = np.sort(np.concatenate([attempts.started_at[chosen], attempts.ended_at[chosen]])) - start
    worked = np.concatenate([[0.0], np.cumsum(np.where(np.arange(moments.size - 1) % 2 == 0, np.diff(moments), 0.0))])
    shares = np.diff(np.interp(edges, moments, worked)) / np.diff(edges)
    return [
        frame.box(low, high, bottom, bottom + 0.7 * share, "blue")
        for low, high, share in zip(edges[:-1].tolist(), edges[1:].tolist(), shares.tolist(), strict=True)
        if share > 0
    ]


def _pressure_chart(x: Floats, pressure: dict[str, Floats], axis: Axis, lang: Language) -> str:
    frame = Frame(axis, Axis(0, 100, "%"), 110)
    colours = {"cpu": "blue", "io": "amber", "memory": "red"}
    names = {"cpu": "CPU", "io": Text("E/S", "I/O").to(lang), "memory": Text("memoria", "memory").to(lang)}
    lines = [frame.line(*thinned(x, 100 * values), colours[name]) for name, values in pressure.items()]
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


def _upper(row: ResultRow) -> float:
    """Return the interval's upper end as far as a chart can show it."""
    capacity = row.x_sat_per_minute or 0.0
    return capacity if row.x_sat_interval is None else min(row.x_sat_interval.high, 2 * capacity)
