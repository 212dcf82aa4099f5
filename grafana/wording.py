"""Names and colours of label values on the dashboards, in both languages.

One outcome has the same colour everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.language import (
    CAUSE_NAMES,
    MODE_NAMES,
    OUTCOME_NAMES,
    STABILITY_NAMES,
    STAGE_NAMES,
    STATE_NAMES,
    STATUS_NAMES,
    Text,
    same,
)
from core.run import Mode, RunStatus
from core.video import Outcome, Stage, VideoState


@dataclass(frozen=True, slots=True)
class Word:
    """Name and colour of a label value."""

    text: Text
    color: str


Words = Mapping[str, Word]


def named(names: Mapping[str, Text], colors: Mapping[str, str]) -> Words:
    """Return the shared names with their colours, by label value.

    The label values are in lower case, as the exporter writes them.
    """
    return {value.lower(): Word(names[value], color) for value, color in colors.items()}


GREEN, RED, ORANGE, YELLOW = "#56A64B", "#E02F44", "#FF780A", "#F2CC0C"
BLUE, PURPLE, GREY = "#3274D9", "#8F3BB8", "#9FA7B3"
DARK_RED, DARK_PURPLE, TEAL, PINK = "#AD0317", "#5B2A86", "#0A9396", "#E377C2"

STATES = named(
    STATE_NAMES,
    {VideoState.UPLOADED: BLUE, VideoState.PROCESSING: YELLOW, VideoState.DONE: GREEN, VideoState.FAILED: RED},
)
OUTCOMES = named(
    OUTCOME_NAMES,
    {
        Outcome.DONE: GREEN,
        Outcome.FAILED: RED,
        Outcome.RETRIED: ORANGE,
        Outcome.PART: TEAL,
        Outcome.DUPLICATE: PURPLE,
        Outcome.SUPERSEDED: DARK_PURPLE,
        Outcome.LOST: DARK_RED,
    },
)
#: Ends of a task: Celery's states, and our outcomes that Celery does not have
TASK_ENDS: Words = {
    "succeeded": Word(Text("logradas", "succeeded"), GREEN),
    "failed": Word(Text("fallidas", "failed"), RED),
    "retried": Word(Text("reintentadas", "retried"), ORANGE),
    "rejected": Word(Text("devueltas a la cola", "returned to the queue"), YELLOW),
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
VERDICTS = named(STABILITY_NAMES, {"STABLE": GREEN, "UNSTABLE": RED, "INCONCLUSIVE": ORANGE})
BOTTLENECKS = named(
    CAUSE_NAMES,
    {
        "slots": GREEN,
        "cpu": ORANGE,
        "cpu_quota": ORANGE,
        "memory_bandwidth": PURPLE,
        "single_thread": YELLOW,
        "disk": RED,
        "network": BLUE,
        "memory": PURPLE,
        "database": BLUE,
        "queue_polling": YELLOW,
        "serialisation": PINK,
        "unclear": GREY,
    },
)
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
