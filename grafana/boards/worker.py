"""Dashboard *Worker*: rate, errors and duration by task and by stage, ffmpeg, slots, and SQS polling."""

from __future__ import annotations

from core.language import Text, same
from grafana.board import Board, Row
from grafana.boards.choices import (
    APP_OF_WORKERS,
    CALLS_PER_SECOND,
    CORES,
    HERE,
    INSTANCE,
    NO_WORKER,
    NONE_KNOWN,
    OF_QUEUE,
    QUEUE,
    SECONDS,
    of_all_queues,
)
from grafana.panel import Query, bars, heat, series, stat
from grafana.wording import (
    BLUE,
    DIRECTIONS,
    EXTENSIONS,
    GREEN,
    GREY,
    OPERATIONS,
    ORANGE,
    POLLS,
    PURPLE,
    REASONS,
    RED,
    STAGES,
    TASK_ENDS,
    YELLOW,
)

TASKS_PER_MINUTE = Text("tareas/min", "tasks/min")
STAGE = "aforo_worker_stage_seconds"
#: A lost task is a failure too. A retried or rejected task is delivered again and has not failed yet.
FAILED = 'outcome=~"failed|lost"'
#: Outcomes that Celery counts as succeeded: the task returned, even if there was nothing to do.
RETURNED = 'outcome=~"succeeded|duplicate"'
#: 0, but unknown while no worker answers.
ZERO_OF_A_WORKER = f"0 * sum(aforo_worker_slots{{{HERE}}})"


def _rate(counter: str, by: str = "", only: str = "") -> str:
    return _sum(f"rate({_here(counter, only)}[$__rate_interval])", by)


def _increase(counter: str, by: str = "", only: str = "") -> str:
    return _sum(f"increase({_here(counter, only)}[$__range])", by)


def _here(counter: str, only: str) -> str:
    """Return the selector of the chosen workers. `only` is a further matcher, such as FAILED."""
    return f"{counter}{{{', '.join(filter(None, (HERE, only)))}}}"


def _sum(vector: str, by: str) -> str:
    return f"sum{f' by ({by})' if by else ''} ({vector})"


def _mean(histogram: str) -> str:
    return f"{_increase(f'{histogram}_sum')} / ({_increase(f'{histogram}_count')} > 0)"


def _nonzero_rate(counter: str, by: str) -> str:
    """Return the query for the rates above 0.

    Counters start at 0, and unused counters would fill the legend.
    """
    return f"{_rate(counter, by)} > 0"


def _per_minute(counter: str, by: str) -> str:
    """Return the query for the number per minute, above 0."""
    return f"60 * {_nonzero_rate(counter, by)}"


def _recent_mean(histogram: str, by: str) -> str:
    """Return the query for the mean over the last minute.

    The query has no result if nothing ended in that minute.
    """
    return f"{_rate(f'{histogram}_sum', by)} / ({_rate(f'{histogram}_count', by)} > 0)"


def _quantile(share: float, histogram: str, by: str = "") -> str:
    """Return the query for a quantile over the last minute.

    Comparing with 0 removes the NaN of a minute in which nothing ended.
    """
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share}, {_rate(f'{histogram}_bucket', labels)}) >= 0"


def _failed_share() -> str:
    """Return the query for the share of failed tasks in the last minute, by task."""
    tasks = "aforo_worker_tasks_total"
    return f"{_rate(tasks, 'task', FAILED)} / ({_rate(tasks, 'task')} > 0)"


NO_VIDEO = Text("aún sin videos", "no video yet")
NONE_ENDED = Text("ninguna conocida en el último minuto", "none known in the last minute")

WORKER = Board(
    uid="aforo-worker",
    title=same("Aforo · Worker"),
    description=Text(
        "Los workers: cuántas tareas ejecutan, cuántas fallan, cuánto tarda cada etapa y cómo reciben los mensajes.",
        "The workers: how many tasks they run, what fails, how long each stage takes and how messages arrive.",
    ),
    time_from="now-15m",
    variables=(
        QUEUE,
        APP_OF_WORKERS,
        INSTANCE,
    ),
    rows=(
        Row(
            Text("¿Va bien?", "Is it fine?"),
            (
                stat(
                    same("Workers"),
                    Text("¿Cuántos workers responden?", "How many workers answer?"),
                    f"count(aforo_worker_slots{{{HERE}}}) or vector(0)",
                    "none",
                    width=3,
                    thresholds=((None, RED), (1, GREEN)),
                ),
                stat(
                    Text("Slots en uso", "Slots in use"),
                    Text(
                        "¿Qué parte de los slots trabaja? Con cola, deben ser todos.",
                        "What share of the slots is busy? While messages wait, all should be.",
                    ),
                    f"sum(aforo_worker_slots_busy{{{HERE}}}) / (sum(aforo_worker_slots{{{HERE}}}) > 0)",
                    "percentunit",
                    width=3,
                    maximum=1,
                    decimals=0,
                    sparkline=True,
                    empty=NO_WORKER,
                ),
                stat(
                    Text("Ritmo", "Rate"),
                    Text(
                        "¿Cuántas tareas por minuto acabaron en el último minuto?",
                        "How many tasks per minute ended in the last minute?",
                    ),
                    "60 * " + _rate("aforo_worker_tasks_total"),
                    TASKS_PER_MINUTE,
                    width=3,
                    decimals=1,
                    sparkline=True,
                    empty=NO_WORKER,
                ),
                stat(
                    Text("Fallidas", "Failed"),
                    Text(
                        "¿Qué parte de las tareas del rango mostrado falló o se perdió?",
                        "What share of the tasks in the range shown failed or was lost?",
                    ),
                    f"({_increase('aforo_worker_tasks_total', only=FAILED)} or vector(0))"
                    f" / ({_increase('aforo_worker_tasks_total')} > 0)",
                    "percentunit",
                    width=3,
                    decimals=1,
                    thresholds=((None, GREEN), (0.0001, YELLOW), (0.05, RED)),
                    empty=Text("sin tareas", "no tasks"),
                ),
                stat(
                    Text("Procesos caídos", "Processes lost"),
                    Text("¿Murió algún proceso durante una tarea?", "Did a process die while it ran a task?"),
                    _increase("aforo_worker_children_lost_total"),
                    "none",
                    width=3,
                    decimals=0,
                    thresholds=((None, GREEN), (1, RED)),
                    empty=NO_WORKER,
                ),
                stat(
                    Text("Mensajes muertos", "Dead-lettered messages"),
                    Text(
                        "¿Hay mensajes en la cola de mensajes muertos?", "Are there messages in the dead-letter queue?"
                    ),
                    f"sum(aforo_sqs_dead_letter_messages{OF_QUEUE})",
                    "none",
                    width=3,
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Última recepción", "Last receive"),
                    Text(
                        "¿Cuánto hace que SQS respondió? Con todos los slots ocupados, el worker no consulta.",
                        "How long ago did SQS answer? While all slots are busy, the worker does not poll.",
                    ),
                    f"time() - max(aforo_worker_last_poll_timestamp_seconds{{{HERE}}})",
                    "dthms",
                    width=3,
                    empty=NO_WORKER,
                ),
                stat(
                    Text("Memoria de ffmpeg", "ffmpeg memory"),
                    Text("¿Cuánta memoria llegó a usar un ffmpeg?", "How much memory did one ffmpeg use at most?"),
                    f"max(aforo_worker_ffmpeg_max_rss_bytes{{{HERE}}}) > 0",
                    "bytes",
                    width=3,
                    decimals=0,
                    empty=NO_VIDEO,
                ),
            ),
            height=4,
        ),
        Row(
            Text("Tareas: ritmo, errores, duración", "Tasks: rate, errors, duration"),
            (
                series(
                    Text("Tareas por desenlace", "Tasks by outcome"),
                    Text("¿Cuántas acaban por minuto y cómo?", "How many end per minute, and how?"),
                    (Query(_per_minute("aforo_worker_tasks_total", "outcome"), "{{outcome}}"),),
                    TASKS_PER_MINUTE,
                    stacked=True,
                    words=TASK_ENDS,
                    empty=NONE_ENDED,
                ),
                series(
                    Text("Ritmo por tarea", "Rate by task"),
                    Text("¿Cuántas acaban por minuto, de cada tarea?", "How many of each task end per minute?"),
                    (Query("60 * " + _rate("aforo_worker_tasks_total", "task"), "{{task}}"),),
                    TASKS_PER_MINUTE,
                    stacked=True,
                    empty=NONE_ENDED,
                ),
                series(
                    Text("Fallos por tarea", "Failures by task"),
                    Text(
                        "¿Qué parte de las tareas del último minuto falló o se perdió con su proceso?",
                        "What share of the tasks of the last minute failed or was lost with its process?",
                    ),
                    (Query(_failed_share(), "{{task}}"),),
                    "percentunit",
                    maximum=1,
                    thresholds=((None, "transparent"), (0.05, RED)),
                    empty=NONE_ENDED,
                ),
                series(
                    Text("Duración por tarea", "Duration by task"),
                    Text(
                        "¿Cuánto tarda cada tarea, y cuánto esperó su mensaje? En el último minuto, también las "
                        "fallidas. La media es exacta; percentil 95 y mediana salen de intervalos y pueden errar "
                        "hasta en la mitad.",
                        "How long does each task take, and how long did its message wait? In the last minute, failed "
                        "tasks too. The mean is exact. 95th percentile and median come from buckets and may be up to "
                        "half off.",
                    ),
                    (
                        Query(
                            _recent_mean("aforo_worker_task_seconds", "task"), Text("{{task}} media", "{{task}} mean")
                        ),
                        Query(_quantile(0.95, "aforo_worker_task_seconds", "task"), same("{{task}} ≈ p95")),
                        Query(
                            _quantile(0.5, "aforo_worker_queue_wait_seconds", "task"),
                            Text("{{task}} espera ≈ p50", "{{task}} wait ≈ p50"),
                        ),
                    ),
                    SECONDS,
                    width=24,
                    empty=NONE_ENDED,
                ),
            ),
        ),
        Row(
            Text("¿Dónde se va el tiempo?", "Where does the time go?"),
            (
                bars(
                    Text("Tiempo por etapa", "Time by stage"),
                    Text(
                        "¿En qué gastaron los slots su tiempo? Parte de cada etapa en el tiempo de todas las que "
                        "acabaron en el rango mostrado.",
                        "What did the slots spend their time on? Share of each stage in the time of all stages that "
                        "ended in the range shown.",
                    ),
                    (
                        Query(
                            f"{_increase(STAGE + '_sum', 'stage')}"
                            f" / on () group_left () ({_increase(STAGE + '_sum')} > 0)",
                            "{{stage}}",
                        ),
                    ),
                    "percentunit",
                    maximum=1,
                    decimals=1,
                    words=STAGES,
                ),
                series(
                    Text("Media por etapa", "Mean by stage"),
                    Text(
                        "¿Cuánto tarda cada etapa? Media del último minuto.",
                        "How long does each stage take? Mean over the last minute.",
                    ),
                    (Query(_recent_mean(STAGE, "stage"), "{{stage}}"),),
                    SECONDS,
                    words=STAGES,
                    empty=NONE_ENDED,
                ),
                series(
                    Text("≈ p95 por etapa", "≈ p95 by stage"),
                    Text(
                        "¿Hay etapas que a veces tardan mucho más? En el último minuto. El percentil sale de "
                        "intervalos y puede errar hasta en la mitad.",
                        "Do stages sometimes take much longer? In the last minute. The percentile comes from buckets "
                        "and may be up to half off.",
                    ),
                    (Query(_quantile(0.95, STAGE, "stage"), "{{stage}}"),),
                    SECONDS,
                    words=STAGES,
                    empty=NONE_ENDED,
                ),
                series(
                    Text("Ritmo por etapa", "Rate by stage"),
                    Text(
                        "¿Cuántas veces por minuto acaba cada etapa? Una etapa con menos que la anterior retiene "
                        "tareas.",
                        "How often per minute does each stage end? A stage with fewer than the one before holds tasks "
                        "up.",
                    ),
                    (Query("60 * " + _rate(f"{STAGE}_count", "stage"), "{{stage}}"),),
                    Text("etapas/min", "stages/min"),
                    words=STAGES,
                ),
                series(
                    Text("Slots ocupados", "Busy slots"),
                    Text("¿Trabajan todos los slots?", "Are all slots busy?"),
                    (
                        Query(f"sum(aforo_worker_slots_busy{{{HERE}}})", Text("ocupados", "busy"), GREEN),
                        Query(f"sum(aforo_worker_slots{{{HERE}}})", same("slots"), GREY, is_limit=True),
                    ),
                    "none",
                ),
                series(
                    Text("Bytes de video", "Video bytes"),
                    Text("¿Cuánto video entra y sale?", "How much video goes in and out?"),
                    (Query(_rate("aforo_worker_video_bytes_total", "direction"), "{{direction}}"),),
                    "Bps",
                    words=DIRECTIONS,
                ),
            ),
        ),
        Row(
            same("ffmpeg"),
            (
                heat(
                    Text("Velocidad de ffmpeg", "ffmpeg speed"),
                    Text(
                        "¿Cuántos segundos de video procesa por segundo?",
                        "How many seconds of video does it process per second?",
                    ),
                    f"sum by (le) (increase(aforo_worker_ffmpeg_speed_ratio_bucket{{{HERE}}}[$__interval]))",
                    same("×"),
                ),
                stat(
                    Text("CPU por video", "CPU per video"),
                    Text("¿Cuántos segundos de CPU cuesta un video?", "How many CPU seconds does a video cost?"),
                    _mean("aforo_worker_ffmpeg_cpu_seconds"),
                    SECONDS,
                    decimals=2,
                    empty=NO_VIDEO,
                ),
                stat(
                    Text("Núcleos por ffmpeg", "Cores per ffmpeg"),
                    Text("¿Usa un ffmpeg un núcleo o todos?", "Does one ffmpeg use one core or all?"),
                    _mean("aforo_worker_ffmpeg_cores"),
                    CORES,
                    decimals=2,
                    empty=NO_VIDEO,
                ),
                series(
                    Text("Pausa de un slot", "Idle time of a slot"),
                    Text(
                        "¿Cuánto espera un slot entre dos tareas mientras hay mensajes? Es capacidad perdida.",
                        "How long is a slot idle between two tasks while messages wait? This is lost capacity.",
                    ),
                    (
                        Query(_quantile(0.5, "aforo_worker_slot_idle_seconds"), same("≈ p50"), GREEN),
                        Query(_quantile(0.95, "aforo_worker_slot_idle_seconds"), same("≈ p95"), ORANGE),
                    ),
                    SECONDS,
                    empty=Text("ninguna pausa conocida", "no gap known"),
                ),
            ),
        ),
        Row(
            Text("¿Cómo llegan los mensajes?", "How do messages arrive?"),
            (
                series(
                    Text("Recepciones", "Polls"),
                    Text("¿Cómo responde SQS a cada consulta?", "How does SQS answer each poll?"),
                    (Query(_nonzero_rate("aforo_worker_polls_total", "result"), "{{result}}"),),
                    CALLS_PER_SECOND,
                    stacked=True,
                    words=POLLS,
                    empty=Text("ninguna conocida", "none known"),
                ),
                series(
                    Text("Prórrogas de visibilidad", "Visibility extensions"),
                    Text(
                        "¿Siguen invisibles los mensajes de las tareas en curso? Tras un fallo, SQS entrega un "
                        "duplicado.",
                        "Do messages of running tasks stay invisible? After a failure, SQS delivers a duplicate.",
                    ),
                    (Query(_nonzero_rate("aforo_worker_visibility_extensions_total", "result"), "{{result}}"),),
                    CALLS_PER_SECOND,
                    words=EXTENSIONS,
                    empty=Text("ninguna tarea larga conocida", "no long task known"),
                ),
                series(
                    Text("Reentregas", "Redeliveries"),
                    Text("¿Se entregan mensajes más de una vez?", "Are messages delivered more than once?"),
                    (
                        Query(
                            f"{_increase('aforo_worker_redeliveries_total')} or {ZERO_OF_A_WORKER}",
                            Text("reentregas", "redeliveries"),
                            ORANGE,
                        ),
                        Query(
                            f"{_increase('aforo_worker_invalid_messages_total')} or {ZERO_OF_A_WORKER}",
                            Text("inválidos", "invalid"),
                            RED,
                        ),
                        Query(
                            f"sum(aforo_worker_pending_deletes{{{HERE}}})",
                            Text("borrados pendientes", "pending deletes"),
                            PURPLE,
                        ),
                    ),
                    "none",
                ),
                series(
                    Text("Problemas", "Problems"),
                    Text(
                        "¿Qué salió mal y cuándo? Videos que fallan, mensajes inválidos apartados, y errores que el "
                        "worker trató sin parar.",
                        "What went wrong, and when? Videos that fail, invalid messages that were dead-lettered, and "
                        "errors that the worker handled without stopping.",
                    ),
                    (
                        Query(_per_minute("aforo_worker_failures_total", "reason"), "{{reason}}"),
                        Query(_per_minute("aforo_worker_invalid_messages_total", "reason"), "{{reason}}"),
                        Query(_per_minute("aforo_worker_handled_errors_total", "operation"), "{{operation}}"),
                    ),
                    Text("por minuto", "per minute"),
                    words={**REASONS, **OPERATIONS},
                    as_bars=True,
                    empty=NONE_KNOWN,
                ),
                bars(
                    Text("Comparación con celery-exporter", "Comparison with celery-exporter"),
                    of_all_queues(
                        Text(
                            "¿Cuenta celery-exporter las mismas tareas en el rango mostrado? Recibe los eventos "
                            "de todos "
                            "los workers, salvo los perdidos y los primeros tras su arranque. Si no hay barras "
                            "de eventos, "
                            "no está o no le llegan: el worker los envía con `aforo[events]` instalado y "
                            "`AFORO_EVENTS_REDIS_URL`.",
                            "Does celery-exporter count the same tasks in the range shown? It receives the "
                            "events of all "
                            "workers, except lost ones and the first after its start. Without bars of events, "
                            "it does not "
                            "run or receives none: a worker sends them with `aforo[events]` installed and "
                            "`AFORO_EVENTS_REDIS_URL`.",
                        )
                    ),
                    (
                        Query(_increase("aforo_worker_tasks_started_total"), Text("empezadas", "started"), GREY),
                        Query(
                            "sum(increase(celery_task_started_total[$__range]))",
                            Text("empezadas (eventos)", "started (events)"),
                            PURPLE,
                        ),
                        Query(
                            _increase("aforo_worker_tasks_total", only=RETURNED),
                            Text("logradas", "succeeded"),
                            GREEN,
                        ),
                        Query(
                            "sum(increase(celery_task_succeeded_total[$__range]))",
                            Text("logradas (eventos)", "succeeded (events)"),
                            BLUE,
                        ),
                    ),
                    "none",
                    decimals=0,
                ),
                series(
                    Text("Eventos de Celery", "Celery events"),
                    Text(
                        "¿Llegan los eventos a su Redis? Sin `aforo[events]` instalado en el worker y "
                        "`AFORO_EVENTS_REDIS_URL`, no se envía ninguno.",
                        "Do events reach their Redis? Without `aforo[events]` installed at the worker and "
                        "`AFORO_EVENTS_REDIS_URL`, none is sent.",
                    ),
                    (
                        Query(_rate("aforo_worker_events_forwarded_total"), Text("entregados", "forwarded"), GREEN),
                        Query(_rate("aforo_worker_events_dropped_total"), Text("perdidos", "dropped"), RED),
                    ),
                    Text("eventos/s", "events/s"),
                ),
            ),
        ),
    ),
)
