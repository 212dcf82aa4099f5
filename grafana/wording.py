"""What people read on a dashboard, in both languages, and the colour that belongs to a word.

Label values stay what the database says; a panel shows them under these names. One outcome has one colour everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = ("es", "en")


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    es: str
    en: str

    def to(self, lang: Language) -> str:
        """Return the sentence in `lang`."""
        return self.es if lang == "es" else self.en


def same(word: str) -> Text:
    """Return a text that reads the same in both languages."""
    return Text(word, word)


@dataclass(frozen=True, slots=True)
class Word:
    """How a label value is shown."""

    text: Text
    color: str


Words = Mapping[str, Word]

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
#: Celery's own words for the end of a task, and ours where an attempt says more
TASK_ENDS: Words = {
    "succeeded": Word(Text("logradas", "succeeded"), GREEN),
    "failed": Word(Text("fallidas", "failed"), RED),
    "retried": Word(Text("reintentadas", "retried"), ORANGE),
    "rejected": Word(Text("devueltas a la cola", "given back"), YELLOW),
    "ignored": Word(Text("ignoradas", "ignored"), TEAL),
    "revoked": Word(Text("revocadas", "revoked"), GREY),
    "duplicate": Word(Text("duplicadas", "duplicate"), PURPLE),
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
STAGES: Words = {
    "claim": Word(Text("reclamar", "claim"), GREY),
    "fetch": Word(Text("descargar", "fetch"), BLUE),
    "probe": Word(Text("examinar", "probe"), PURPLE),
    "transcode": Word(Text("transcodificar", "transcode"), GREEN),
    "publish": Word(Text("publicar", "publish"), ORANGE),
    "finish": Word(Text("cerrar", "finish"), TEAL),
}
STATUSES: Words = {
    "preparing": Word(Text("en preparación", "preparing"), BLUE),
    "running": Word(Text("en curso", "running"), YELLOW),
    "finished": Word(Text("terminada", "finished"), GREEN),
    "interrupted": Word(Text("interrumpida", "interrupted"), ORANGE),
    "failed": Word(Text("fallida", "failed"), RED),
}
MODES: Words = {
    "burst": Word(Text("ráfaga", "burst"), BLUE),
    "sustained": Word(Text("sostenido", "sustained"), PURPLE),
}
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
