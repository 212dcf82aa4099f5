"""The two languages of the results, and the shared names of verdicts, causes, states and stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.run import Mode, RunStatus
from core.video import Outcome, Stage, VideoState

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = ("es", "en")
DEFAULT_LANGUAGE: Language = "es"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    es: str
    en: str

    def to(self, lang: Language) -> str:
        """Return the sentence in the language `lang`."""
        return self.es if lang == "es" else self.en


def same(word: str) -> Text:
    """Return a text that is the same in both languages."""
    return Text(word, word)


MODE_NAMES: Mapping[str, Text] = {
    Mode.BURST: Text("ráfaga", "burst"),
    Mode.SUSTAINED: Text("sostenido", "sustained"),
}
STATUS_NAMES: Mapping[str, Text] = {
    RunStatus.PREPARING: Text("en preparación", "being prepared"),
    RunStatus.RUNNING: Text("en curso", "running"),
    RunStatus.FINISHED: Text("terminada", "finished"),
    RunStatus.INTERRUPTED: Text("interrumpida", "interrupted"),
    RunStatus.FAILED: Text("fallida", "failed"),
}
STATE_NAMES: Mapping[str, Text] = {
    VideoState.UPLOADED: Text("en espera", "waiting"),
    VideoState.PROCESSING: Text("en proceso", "in process"),
    VideoState.DONE: Text("terminados", "done"),
    VideoState.FAILED: Text("fallidos", "failed"),
}
#: Of videos and executions, which are masculine in Spanish. A task is feminine: see grafana/wording.py.
OUTCOME_NAMES: Mapping[str, Text] = {
    Outcome.DONE: STATE_NAMES[VideoState.DONE],
    Outcome.FAILED: STATE_NAMES[VideoState.FAILED],
    Outcome.RETRIED: Text("reintentados", "retried"),
    Outcome.DUPLICATE: Text("duplicados", "duplicate"),
    Outcome.SUPERSEDED: Text("superados", "superseded"),
    Outcome.LOST: Text("perdidos", "lost"),
}
STAGE_NAMES: Mapping[str, Text] = {
    Stage.CLAIM: Text("reserva", "claim"),
    Stage.FETCH: Text("descarga", "fetch"),
    Stage.PROBE: Text("sondeo", "probe"),
    Stage.TRANSCODE: same("ffmpeg"),
    Stage.PUBLISH: Text("publicación", "publish"),
    Stage.FINISH: Text("cierre", "finish"),
}
#: By the value in `runs.stability`, which is that of capacity's Stability. The label of the metric is in lower case.
STABILITY_NAMES: Mapping[str, Text] = {
    "STABLE": Text("estable", "stable"),
    "UNSTABLE": Text("inestable", "unstable"),
    "INCONCLUSIVE": Text("no concluyente", "inconclusive"),
}
#: By the value in `runs.bottleneck`, which is that of capacity's Cause.
CAUSE_NAMES: Mapping[str, Text] = {
    "slots": Text("faltan slots", "too few slots"),
    "cpu": same("CPU"),
    "cpu_quota": Text("cuota de CPU del contenedor", "container CPU quota"),
    "memory_bandwidth": Text("ancho de banda de memoria, caché o SMT", "memory bandwidth, cache or SMT"),
    "single_thread": Text("ffmpeg en un solo hilo", "single-threaded ffmpeg"),
    "disk": Text("disco", "disk"),
    "network": Text("red o almacenamiento", "network or storage"),
    "memory": Text("memoria", "memory"),
    "database": Text("base de datos", "database"),
    "queue_polling": Text("sondeo de la cola", "queue polling"),
    "serialisation": Text("serialización no medida", "unmeasured serialisation"),
    "unclear": Text("sin cuello de botella claro", "no clear bottleneck"),
}
