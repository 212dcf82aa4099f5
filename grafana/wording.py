"""Names and colours of label values, such as run states, on the dashboards, in both languages.

A label value has the same colour on all dashboards: `failed` is always red, for example.
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
    VALIDITY_NAMES,
    VALIDITY_REASON_NAMES,
    Text,
    same,
)
from core.run import Mode, RunStatus
from core.video import Outcome, Stage, VideoState


@dataclass(frozen=True, slots=True)
class Word:
    """Name and colour of a label value on the dashboards. If the colour is empty, the panel chooses one."""

    text: Text
    color: str = ""


Words = Mapping[str, Word]


def named(names: Mapping[str, Text], colors: Mapping[str, str]) -> Words:
    """Return a Word (name and colour) for each label value in `colors`.

    `names` maps a label value to its name in both languages. `colors` maps a label value to its colour. The result has
    the label values in lower case.
    """
    return {value.lower(): Word(names[value], color) for value, color in colors.items()}


#: As digits, each has a contrast of 3 : 1 or more to the panels of the dark and of the light theme.
GREEN, RED, ORANGE, YELLOW = "#3E9B35", "#E8384F", "#E8680A", "#B58B00"
BLUE, PURPLE, GREY = "#4180E0", "#A352CC", "#7F8894"
DARK_RED, DARK_PURPLE, TEAL, PINK = "#D0453C", "#8A63D2", "#0A9396", "#D65DB1"

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
#: What a run has come to, by the number that the dashboards compute. A finished run with failed videos is not fine.
RUN_STATES: Words = {
    "1": STATUSES["preparing"],
    "2": STATUSES["running"],
    "3": STATUSES["finished"],
    "4": Word(Text("terminada con fallos", "finished with failures"), ORANGE),
    "5": STATUSES["interrupted"],
    "6": STATUSES["failed"],
}
#: The numbers of those that are a status. 4 is computed.
STATUS_NUMBERS = {"preparing": 1, "running": 2, "finished": 3, "interrupted": 5, "failed": 6}
VALIDITIES = named(VALIDITY_NAMES, {"valid": GREEN, "indicative": ORANGE, "invalid": RED})
#: The reasons as the metric has them: separated by commas. A cell names the first and says that there are more.
VALIDITY_WORDS: Words = {
    **{code: Word(text) for code, text in VALIDITY_REASON_NAMES.items()},
    **{
        f"/^{code},.*/": Word(Text(f"{text.es} y más", f"{text.en} and more"))
        for code, text in VALIDITY_REASON_NAMES.items()
    },
}
#: Validity of a cell's mean as a number: that of its runs.
VALIDITY_NUMBERS: Words = {
    "2": VALIDITIES["valid"],
    "1": VALIDITIES["indicative"],
    "0": Word(Text("solo pruebas no válidas", "only invalid runs"), RED),
}
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
#: The same by position, for a tile.
BOTTLENECK_NUMBERS: Words = {str(number): word for number, word in enumerate(BOTTLENECKS.values())}
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
COLLECTORS: Words = {
    "db": Word(Text("base de datos", "database"), BLUE),
    "sqs": Word(Text("colas de SQS", "SQS queues"), ORANGE),
    "waiting": Word(Text("espera en la base de datos", "waiting in the database"), TEAL),
}
#: Why a read of an exporter failed.
FAULTS: Words = {
    "starting": Word(Text("aún sin respuesta", "no answer yet"), GREY),
    "timeout": Word(Text("tiempo agotado", "out of time"), ORANGE),
    "unreachable": Word(Text("sin conexión", "unreachable"), RED),
    "denied": Word(Text("acceso denegado", "access denied"), PURPLE),
    "throttled": Word(Text("frenada por AWS", "throttled by AWS"), YELLOW),
    "not_found": Word(Text("no existe", "not found"), PINK),
    "refused": Word(Text("petición rechazada", "request refused"), DARK_RED),
    "internal": Word(Text("error interno", "internal error"), BLUE),
}
#: The same for each collector, by the values of both labels with a space between them.
COLLECTOR_FAULTS: Words = {
    f"{collector} {reason}": Word(
        Text(f"{source.text.es}: {why.text.es}", f"{source.text.en}: {why.text.en}"), why.color
    )
    for collector, source in COLLECTORS.items()
    for reason, why in FAULTS.items()
}
PLACES: Words = {
    "work": Word(Text("archivos temporales", "temporary files"), BLUE),
    "storage": Word(Text("almacén de videos", "video storage"), ORANGE),
}
LIMITS: Words = {
    "disk_read": Word(Text("límite de lectura", "read limit"), BLUE),
    "disk_write": Word(Text("límite de escritura", "write limit"), ORANGE),
    "network_in": Word(Text("límite de entrada", "limit in"), BLUE),
    "network_out": Word(Text("límite de salida", "limit out"), ORANGE),
}
SEVERITIES: Words = {
    "critical": Word(Text("crítica", "critical"), RED),
    "warning": Word(Text("aviso", "warning"), ORANGE),
}
#: Why a video failed, or a message was refused.
REASONS: Words = {
    reason: Word(text, RED)
    for reason, text in {
        "not_media": Text("no es un video", "not a video"),
        "empty": Text("archivo vacío", "empty file"),
        "truncated": Text("archivo cortado", "truncated file"),
        "corrupt": Text("archivo dañado", "corrupt file"),
        "too_large": Text("demasiado grande", "too large"),
        "unsupported": Text("formato no admitido", "unsupported format"),
        "timeout": Text("tiempo agotado", "out of time"),
        "stalled": Text("ffmpeg sin avance", "ffmpeg stalled"),
        "oom": Text("sin memoria", "out of memory"),
        "disk_full": Text("disco lleno", "disk full"),
        "storage_missing": Text("falta en el almacén", "missing in storage"),
        "storage_denied": Text("almacén sin permiso", "storage denied"),
        "storage_unavailable": Text("almacén sin respuesta", "storage unavailable"),
        "ffmpeg_signal": Text("ffmpeg, por una señal", "ffmpeg, by a signal"),
        "ffmpeg_error": Text("error de ffmpeg", "ffmpeg error"),
        "encoder_sessions": Text("sin sesiones de codificación", "out of encoder sessions"),
        "worker_lost": Text("worker perdido", "worker lost"),
        "dead_lettered": Text("mensaje muerto", "dead-lettered"),
        "internal": Text("error interno", "internal error"),
        "bad_json": Text("JSON inválido", "invalid JSON"),
        "bad_envelope": Text("sobre inválido", "invalid envelope"),
        "bad_headers": Text("cabeceras inválidas", "invalid headers"),
        "bad_properties": Text("propiedades inválidas", "invalid properties"),
        "bad_content_type": Text("tipo de contenido inválido", "invalid content type"),
        "bad_arguments": Text("argumentos inválidos", "invalid arguments"),
        "compressed": Text("mensaje comprimido", "compressed message"),
        "unknown_task": Text("tarea desconocida", "unknown task"),
        "unknown_version": Text("versión desconocida", "unknown version"),
        "unexpected_option": Text("opción inesperada", "unexpected option"),
        "undeliverable": Text("imposible de entregar", "undeliverable"),
    }.items()
}
#: Operations that failed without stopping the worker.
OPERATIONS: Words = {
    operation: Word(text, ORANGE)
    for operation, text in {
        "delete": Text("borrar el mensaje", "delete the message"),
        "dead_letter": Text("apartar el mensaje", "dead-letter the message"),
        "reject": Text("devolver el mensaje", "return the message"),
        "make_visible": Text("hacer visible el mensaje", "make the message visible"),
        "extend_visibility": Text("prorrogar la visibilidad", "extend the visibility"),
        "watch_dead_letters": Text("vigilar los mensajes muertos", "watch the dead letters"),
        "delete_outputs": Text("borrar las salidas", "delete the outputs"),
        "clean_up": Text("limpiar los temporales", "clean up temporary files"),
        "write_execution": Text("anotar la ejecución", "record the execution"),
        "measure_limits": Text("medir un límite de ancho de banda", "measure a bandwidth limit"),
        "write_heartbeat": Text("escribir el latido", "write the heartbeat"),
        "telemetry_event": Text("enviar una medida", "send a measurement"),
    }.items()
}
EXTENSIONS: Words = {
    "ok": Word(Text("logradas", "extended"), GREEN),
    "failed": Word(Text("fallidas", "failed"), RED),
    "gone": Word(Text("mensaje ya borrado", "message gone"), GREY),
}
#: A size as the table writes it: with a space between number and unit.
SIZES: Words = {"/^([0-9.]+)(KB|MB|GB)$/": Word(same("$1 $2"))}
#: Each alert: its meaning, and what to do.
ALERTS: dict[str, tuple[Text, Text]] = {
    "QueueNotConsumed": (
        Text("Nadie recibe los mensajes", "Messages are not received"),
        Text("arranque un worker para esta cola", "start a worker for this queue"),
    ),
    "DeadLettersPresent": (
        Text("Mensajes muertos", "Dead letters"),
        Text("lea uno antes de purgarlos", "read one before purging"),
    ),
    "OldestMessageTooOld": (
        Text("Espera demasiado larga", "Oldest message too old"),
        Text("añada slots o purgue mensajes viejos", "add slots, or purge old messages"),
    ),
    "SlotsIdleWithBacklog": (
        Text("Slots parados con cola", "Slots idle with backlog"),
        Text("mire las recepciones en Worker", "see the polls on Worker"),
    ),
    "QueueBacklogGrowing": (
        Text("La cola crece", "Backlog grows"),
        Text("baje RATE o suba CONCURRENCY", "lower RATE or raise CONCURRENCY"),
    ),
    "VideosFailing": (
        Text("Fallan videos", "Videos fail"),
        Text("mire los motivos en Prueba", "see the reasons on Run"),
    ),
    "DeliveriesDuplicated": (
        Text("Entregas duplicadas", "Duplicate deliveries"),
        Text("compare la visibilidad con la duración", "compare visibility with duration"),
    ),
    "RunStuck": (
        Text("La prueba no avanza", "Run is stuck"),
        Text("compruebe workers y mensajes", "check workers and messages"),
    ),
    "InjectionLate": (
        Text("El inyector va tarde", "Injector is late"),
        Text("baje RATE o use otra máquina", "lower RATE or use another machine"),
    ),
    "RunDoesNotAddUp": (
        Text("La prueba no cuadra", "Run does not add up"),
        Text("no use su resultado; repítala", "do not use its result; repeat it"),
    ),
    "TargetDown": (
        Text("Un exportador no responde", "An exporter is down"),
        Text("lea su registro y arránquelo", "read its log and start it"),
    ),
    "ExporterSourceUnreachable": (
        Text("Fuente sin respuesta", "Source unreachable"),
        Text("compruebe dirección y credenciales", "check address and credentials"),
    ),
    "WorkerAbsent": (
        Text("Ningún worker responde", "No worker answers"),
        Text("arranque un worker", "start a worker"),
    ),
    "TaskProcessesDying": (
        Text("Mueren procesos de tareas", "Task processes die"),
        Text("mire la memoria en Cuello de botella", "see the memory on Bottleneck"),
    ),
    "DiskNearlyFull": (
        Text("Disco casi lleno", "Disk nearly full"),
        Text("borre resultados antiguos", "delete old results"),
    ),
    "SlotStopped": (
        Text("Slot detenido por una señal", "Slot stopped by a signal"),
        Text("busque qué envía SIGSTOP", "find what sends SIGSTOP"),
    ),
    "CpuStolen": (
        Text("CPU robada", "CPU stolen"),
        Text("repita la prueba más tarde", "repeat the run later"),
    ),
}
