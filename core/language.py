"""Spanish and English texts of the results: names of verdicts, causes, states and stages."""

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
    """A text in both languages, Spanish and English."""

    es: str
    en: str

    def to(self, lang: Language) -> str:
        """Return the text in the language `lang`."""
        return self.es if lang == "es" else self.en


def same(word: str) -> Text:
    """Return a Text for a word that is the same in both languages."""
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
    Outcome.PART: Text("partes", "parts"),
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
#: Heading of a run's or a cell's validity: on page, document, terminal and dashboards. *Confianza* is the confidence in
#: a bottleneck.
VALIDITY_HEADING = Text("Validez", "Validity")
#: By the value in `runs.validity`, which is that of capacity's Level.
VALIDITY_NAMES: Mapping[str, Text] = {
    "valid": Text("válida", "valid"),
    "indicative": Text("indicativa", "indicative"),
    "invalid": Text("NO VÁLIDA", "INVALID"),
}
#: By the codes in `runs.validity_reasons`, which are those of capacity's Problem.
VALIDITY_REASON_NAMES: Mapping[str, Text] = {
    "steal": Text("CPU robada", "stolen CPU"),
    "canary_changed": Text("CPU más lenta al final", "slower CPU at the end"),
    "canary_unusual": Text("CPU más lenta de lo usual", "slower CPU than usual"),
    "clock_offset": Text("reloj desviado", "clock offset"),
    "clock_difference": Text("relojes distintos", "clocks differ"),
    "clock_skew": Text("tiempos negativos", "negative times"),
    "mixed_fleet": Text("workers distintos", "different workers"),
    "changed_fleet": Text("los workers cambiaron", "the workers changed"),
    "autoscale": Text("slots variables", "slots vary"),
    "other_processes": Text("otros procesos", "other processes"),
    "machine_speed": Text("la CPU por video varía", "the CPU per video varies"),
    "speed_changed": Text("la máquina cambió de velocidad", "the machine changed its speed"),
    "duplicates": Text("entregas repetidas", "duplicate deliveries"),
    "unfinished": Text("videos sin terminar", "unfinished videos"),
    "generator_limited": Text("el inyector se retrasó", "the injector was late"),
    "littles_law": Text("la cola y el registro no coinciden", "queue and records disagree"),
    "few_videos": Text("pocos videos", "few videos"),
    "autocorrelation": Text("ciclos correlacionados", "correlated cycles"),
    "drift": Text("deriva", "drift"),
    "overlapping_executions": Text("ejecuciones solapadas", "overlapping executions"),
    "faster_than_service": Text("X_sat imposible", "impossible X_sat"),
    "idle_slots": Text("slots que no trabajaron", "slots that did not work"),
    "work_done_twice": Text("trabajo hecho dos veces", "work done twice"),
    "lost_executions": Text("ejecuciones perdidas", "lost executions"),
    "missed_executions": Text("ejecuciones no leídas", "executions not read"),
    "retried_executions": Text("ejecuciones reintentadas", "retried executions"),
    "lost_messages": Text("mensajes perdidos", "lost messages"),
    "other_messages": Text("mensajes de otras pruebas", "messages of other runs"),
    "surplus_messages": Text("mensajes de otro trabajo", "messages of other work"),
    "sources_disagree": Text("Prometheus y la base de datos no coinciden", "Prometheus and database disagree"),
    "interrupted": Text("prueba no terminada", "run not finished"),
    "failed_videos": Text("videos fallidos", "failed videos"),
    "cold_start": Text("puede incluir el arranque en frío", "may include a cold start"),
    "uneven_service": Text("videos muy desiguales", "very unequal videos"),
    "completion_times": Text("solo por tiempos de finalización", "from completion times only"),
    "early_uploads": Text("horas de subida quizá anteriores", "upload times perhaps too early"),
    "upload_times": Text("uploaded_at no es la hora de subida", "uploaded_at is not the time of the upload"),
    "table_disagrees": Text("tabla y ejecuciones no coinciden", "table and executions disagree"),
    "observed_ends": Text("finales observados", "observed ends"),
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
