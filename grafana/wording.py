"""What people read on a dashboard, in both languages, and the colour that belongs to a word.

Label values stay what the database says; a panel shows them under these names. One outcome has one colour everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.language import MODE_NAMES, STAGE_NAMES, STATUS_NAMES, Text, same
from core.run import Mode, RunStatus
from core.video import Stage


@dataclass(frozen=True, slots=True)
class Word:
    """How a label value is shown."""

    text: Text
    color: str


Words = Mapping[str, Word]


def named(names: Mapping[str, Text], colors: Mapping[str, str]) -> Words:
    """Return the names that all programs share, each with its colour here."""
    return {str(value): Word(names[value], color) for value, color in colors.items()}


GREEN, RED, ORANGE, YELLOW = "#56A64B", "#E02F44", "#FF780A", "#F2CC0C"
BLUE, PURPLE, GREY = "#3274D9", "#8F3BB8", "#9FA7B3"
DARK_RED, DARK_PURPLE, TEAL, PINK = "#AD0317", "#5B2A86", "#0A9396", "#E377C2"

STATES: Words = {
    "uploaded": Word(Text("en espera", "waiting"), BLUE),
    "processing": Word(Text("en proceso", "in process"), YELLOW),
    "done": Word(Text("terminados", "done"), GREEN),
    "failed": Word(Text("fallidos", "failed"), RED),
}
OUTCOMES: Words = {
    "done": STATES["done"],
    "failed": STATES["failed"],
    "retried": Word(Text("reintentados", "retried"), ORANGE),
    "duplicate": Word(Text("duplicados", "duplicate"), PURPLE),
    "superseded": Word(Text("superados", "superseded"), DARK_PURPLE),
    "lost": Word(Text("perdidos", "lost"), DARK_RED),
}
#: Celery's own words for the end of a task, and ours where an execution says more
TASK_ENDS: Words = {
    "succeeded": Word(Text("logradas", "succeeded"), GREEN),
    "failed": Word(Text("fallidas", "failed"), RED),
    "retried": Word(Text("reintentadas", "retried"), ORANGE),
    "rejected": Word(Text("devueltas a la cola", "given back"), YELLOW),
    "ignored": Word(Text("ignoradas", "ignored"), TEAL),
    "revoked": Word(Text("revocadas", "revoked"), GREY),
    "duplicate": Word(Text("duplicadas", "duplicate"), PURPLE),
    "superseded": Word(Text("superadas", "superseded"), DARK_PURPLE),
    "lost": Word(Text("perdidas", "lost"), DARK_RED),
}
POLLS: Words = {
    "messages": Word(Text("con mensajes", "with messages"), GREEN),
    "empty": Word(Text("vacías", "empty"), GREY),
    "error": Word(Text("con error", "failed"), RED),
    "timeout": Word(Text("sin respuesta", "unanswered"), DARK_RED),
    "throttled": Word(Text("frenadas", "throttled"), ORANGE),
    "denied": Word(Text("denegadas", "denied"), PURPLE),
}
CPU_MODES: Words = {
    "user": Word(Text("programas", "programs"), GREEN),
    "nice": Word(Text("de baja prioridad", "nice"), TEAL),
    "system": Word(Text("núcleo", "kernel"), ORANGE),
    "iowait": Word(Text("espera de disco", "waiting for disk"), BLUE),
    "irq": Word(Text("interrupciones", "interrupts"), GREY),
    "softirq": Word(Text("interrupciones blandas", "soft interrupts"), PINK),
    "steal": Word(Text("robada", "stolen"), RED),
}
STAGES = named(
    STAGE_NAMES,
    {
        Stage.CLAIM: GREY,
        Stage.FETCH: BLUE,
        Stage.PROBE: PURPLE,
        Stage.TRANSCODE: GREEN,
        Stage.PUBLISH: ORANGE,
        Stage.FINISH: TEAL,
    },
)
STATUSES = named(
    STATUS_NAMES,
    {
        RunStatus.PREPARING: BLUE,
        RunStatus.RUNNING: YELLOW,
        RunStatus.FINISHED: GREEN,
        RunStatus.INTERRUPTED: ORANGE,
        RunStatus.FAILED: RED,
    },
)
MODES = named(MODE_NAMES, {Mode.BURST: BLUE, Mode.SUSTAINED: PURPLE})
VERDICTS: Words = {
    "stable": Word(Text("estable", "stable"), GREEN),
    "unstable": Word(Text("inestable", "unstable"), RED),
    "inconclusive": Word(Text("no concluyente", "inconclusive"), ORANGE),
}
BOTTLENECKS: Words = {
    "slots": Word(Text("faltan slots", "too few slots"), GREEN),
    "cpu": Word(same("CPU"), ORANGE),
    "cpu_quota": Word(Text("cuota de CPU", "CPU quota"), ORANGE),
    "memory_bandwidth": Word(Text("ancho de banda de memoria", "memory bandwidth"), PURPLE),
    "single_thread": Word(Text("ffmpeg en un solo hilo", "single-threaded ffmpeg"), YELLOW),
    "disk": Word(Text("disco", "disk"), RED),
    "network": Word(Text("red", "network"), BLUE),
    "memory": Word(Text("memoria", "memory"), PURPLE),
    "serialisation": Word(Text("serialización", "serialisation"), PINK),
    "unclear": Word(Text("sin determinar", "unclear"), GREY),
}
RESOURCES: Words = {
    "cpu": Word(same("CPU"), ORANGE),
    "io": Word(Text("disco", "disk"), RED),
    "memory": Word(Text("memoria", "memory"), PURPLE),
}
DIRECTIONS: Words = {
    "in": Word(Text("entrada", "in"), BLUE),
    "out": Word(Text("salida", "out"), ORANGE),
    "read": Word(Text("lectura", "read"), BLUE),
    "written": Word(Text("escritura", "written"), ORANGE),
}
UP: Words = {"1": Word(Text("responde", "up"), GREEN), "0": Word(Text("no responde", "down"), RED)}
