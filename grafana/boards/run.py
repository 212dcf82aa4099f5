"""Dashboard *Run*: progress, results and stage times of one run."""

from __future__ import annotations

from core.language import VALIDITY_HEADING, Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.choices import (
    NO_RUN,
    NONE_KNOWN,
    OF_QUEUE,
    SECONDS,
    SHOWN_LABEL,
    VIDEOS_PER_MINUTE,
    in_words,
    of_queue_readers,
)
from grafana.panel import DASH, Query, bars, heat, series, stat
from grafana.wording import (
    BLUE,
    GREEN,
    GREY,
    OUTCOMES,
    REASONS,
    RED,
    RUN_STATES,
    STAGES,
    STATES,
    STATUS_NUMBERS,
    VALIDITIES,
    YELLOW,
)

OF_RUN = '{run_id="$run_id"}'


def _of_run(metric: str, **labels: str) -> str:
    chosen = ", ".join(['run_id="$run_id"', *(f'{name}="{value}"' for name, value in labels.items())])
    return f"max({metric}{{{chosen}}})"


STATE_NOW = tuple(
    Query(_of_run("aforo_run_videos", state=state), word.text, word.color) for state, word in STATES.items()
)
#: Expected videos that are not in the database: to be uploaded while the run is active, unaccounted once it is over.
MISSING = f"({_of_run('aforo_run_expected_videos')} - sum(max by (state) (aforo_run_videos{OF_RUN})))"
ACTIVE, OVER = "preparing|running", "finished|interrupted|failed"
STAGE_BUCKETS = 'aforo_worker_stage_seconds_bucket{stage="$stage"}'


def _while(status: str) -> str:
    return f'and on () (max(aforo_run_status{{run_id="$run_id", status=~"{status}"}}) == 1)'


def _state() -> str:
    """Return the query for the number of the run's state, as in wording.RUN_STATES."""
    numbered = " or ".join(
        f"{code} * {_of_run('aforo_run_status', status=name)}" for name, code in STATUS_NUMBERS.items()
    )
    failed = _of_run("aforo_run_videos", state="failed")
    return f"4 * (({_of_run('aforo_run_status', status='finished')} == 1) and on () ({failed} > 0)) or {numbered}"


def _validity() -> str:
    """Return the query for the number of the run's validity, as in VALIDITY_STATES."""
    return " or ".join(
        f"{number} * {_of_run('aforo_run_validity_info', validity=name)}" for number, name in enumerate(VALIDITIES)
    )


VALIDITY_STATES = {str(number): word for number, word in enumerate(VALIDITIES.values())}


#: Stages in the shown range
STAGES_SHOWN = "count by (stage) (last_over_time(aforo_worker_stage_seconds_count[$__range]))"

RUN = Board(
    uid="aforo-run",
    title=Text("Aforo · Prueba", "Aforo · Run"),
    description=Text(
        "Una prueba: su progreso, cuánto le falta, dónde se va el tiempo y si todo cuadra.",
        "One run: its progress, the time left, where the time goes and whether the counts add up.",
    ),
    time_from="now-15m",
    variables=(
        Variable("run_id", Text("Prueba", "Run"), "label_values(aforo_run_info, run_id)", newest_first=True),
        Variable(
            "stage",
            Text("Etapa", "Stage"),
            in_words(STAGES_SHOWN, "stage", STAGES),
            default=(STAGES["transcode"].text, "transcode"),
            shown_label=SHOWN_LABEL,
        ),
        Variable("queue", Text("Cola", "Queue"), 'label_values(aforo_run_info{run_id="$run_id"}, queue)'),
    ),
    rows=(
        Row(
            Text("¿Va bien $run_id?", "Is $run_id fine?"),
            (
                stat(
                    Text("Estado", "Status"),
                    Text(
                        "¿En qué punto está la prueba, y acabó sin fallos?",
                        "What is the status of the run, and did it end without failures?",
                    ),
                    _state(),
                    "none",
                    width=5,
                    minimum=None,
                    value_words=RUN_STATES,
                    empty=NO_RUN,
                ),
                stat(
                    Text("Progreso", "Progress"),
                    Text("¿Qué parte de los videos ha acabado?", "What share of the videos is finished?"),
                    f"run_id:aforo_run_progress:ratio{OF_RUN}",
                    "percentunit",
                    width=3,
                    maximum=1,
                    decimals=0,
                ),
                stat(
                    Text("Tiempo restante", "Time left"),
                    Text("¿Cuánto falta al ritmo medio hasta ahora?", "How long will it take at the mean rate so far?"),
                    f"run_id:aforo_run_remaining_seconds:estimate{OF_RUN}",
                    "dthms",
                    width=3,
                    empty=DASH,
                ),
                stat(
                    same("X"),
                    Text(
                        "¿Cuántos videos por minuto? El valor de la tabla.",
                        "How many videos per minute? As in the table.",
                    ),
                    f"max(run_id:aforo_run_videos_per_minute:ratio{OF_RUN})",
                    VIDEOS_PER_MINUTE,
                    width=4,
                    decimals=2,
                    sparkline=True,
                ),
                stat(
                    Text("S promedio", "Mean S"),
                    Text("¿Cuánto tarda un video desde que se sube?", "How long does a video take from its upload?"),
                    f"max(run_id:aforo_run_response_seconds:mean{OF_RUN})",
                    SECONDS,
                    width=3,
                    decimals=1,
                    sparkline=True,
                ),
                stat(
                    Text("Fallidos", "Failed"),
                    Text("¿Qué parte de los acabados ha fallado?", "What share of the finished videos failed?"),
                    f"run_id:aforo_run_failed_videos:ratio{OF_RUN}",
                    "percentunit",
                    width=3,
                    thresholds=((None, GREEN), (0.0001, YELLOW), (0.05, RED)),
                ),
                stat(
                    VALIDITY_HEADING,
                    Text(
                        "¿Vale el resultado? El informe guarda el veredicto y sus motivos.",
                        "Is the result good? The report stores the verdict and its reasons.",
                    ),
                    _validity(),
                    "none",
                    legend="",
                    width=3,
                    minimum=None,
                    value_words=VALIDITY_STATES,
                    empty=Text("sin informe", "not reported"),
                ),
            ),
            height=4,
        ),
        Row(
            Text("¿Cómo avanza?", "How does it progress?"),
            (
                series(
                    Text("Videos por estado", "Videos by state"),
                    Text(
                        "¿Bajan los que esperan y suben los terminados?", "Do waiting videos fall and done videos rise?"
                    ),
                    (Query(f"max by (state) (aforo_run_videos{OF_RUN})", "{{state}}"),),
                    "none",
                    stacked=True,
                    words=STATES,
                    empty=NO_RUN,
                ),
                series(
                    Text("Cola", "Queue"),
                    Text(
                        "¿Cuántos mensajes esperan y están en vuelo en la cola elegida, según SQS? En modo sostenido "
                        "no deben crecer.",
                        "How many messages wait and are in flight in the chosen queue, as SQS counts? In sustained "
                        "mode they must not grow.",
                    ),
                    (
                        Query(f"sum(aforo_sqs_messages_visible{OF_QUEUE})", Text("visibles", "visible"), BLUE),
                        Query(f"sum(aforo_sqs_messages_in_flight{OF_QUEUE})", Text("en vuelo", "in flight"), YELLOW),
                    ),
                    "none",
                ),
                series(
                    Text("Ritmo", "Throughput"),
                    Text(
                        "¿A qué ritmo terminan los videos, sin los fallidos: en el último minuto y de media?",
                        "At what rate are videos done, without failed ones, in the last minute and on average?",
                    ),
                    (
                        Query(
                            f"run_id:aforo_run_videos_per_minute:recent{OF_RUN}",
                            Text("último minuto", "last minute"),
                            BLUE,
                        ),
                        Query(f"run_id:aforo_run_videos_per_minute:ratio{OF_RUN}", same("X"), GREEN),
                    ),
                    VIDEOS_PER_MINUTE,
                    empty=NO_RUN,
                ),
            ),
        ),
        Row(
            Text("¿Dónde se va el tiempo?", "Where does the time go?"),
            (
                series(
                    Text("Slots ocupados", "Busy slots"),
                    Text("¿Trabaja cada slot mientras hay cola?", "Is every slot busy while messages wait?"),
                    (
                        Query(f"sum{of_queue_readers('aforo_worker_slots_busy')}", Text("ocupados", "busy"), GREEN),
                        Query(
                            f"sum(queue:aforo_worker_slots:sum{OF_QUEUE})", Text("slots", "slots"), GREY, is_limit=True
                        ),
                    ),
                    "none",
                ),
                bars(
                    Text("Espera y servicio", "Wait and service"),
                    Text("¿De qué se compone S?", "What is S made of?"),
                    (
                        Query(f"run_id:aforo_run_queue_wait_seconds:mean{OF_RUN}", Text("espera", "wait"), BLUE),
                        Query(f"run_id:aforo_run_service_seconds:mean{OF_RUN}", Text("servicio", "service"), GREEN),
                        Query(
                            f"run_id:aforo_run_ffmpeg_cpu_seconds:mean{OF_RUN}",
                            Text("CPU de ffmpeg", "ffmpeg CPU"),
                            GREY,
                        ),
                    ),
                    SECONDS,
                    decimals=2,
                    empty=NO_RUN,
                ),
                series(
                    Text("Etapas", "Stages"),
                    Text(
                        "¿Qué etapa cuesta más por video? Media por video hasta ese momento. La suma es el servicio.",
                        "Which stage costs most per video? Mean per video up to that moment. Their sum is the service "
                        "time.",
                    ),
                    (Query(f"max by (stage) (run_id_stage:aforo_run_stage_seconds:mean{OF_RUN})", "{{stage}}"),),
                    SECONDS,
                    stacked=True,
                    words=STAGES,
                    empty=NO_RUN,
                ),
            ),
        ),
        Row(
            Text("¿Hay videos que tardan mucho más?", "Do some videos take much longer?"),
            (
                heat(
                    Text("Duración de la etapa", "Duration of the stage"),
                    Text(
                        "¿Son parecidas las duraciones de la etapa elegida, o algunas mucho más largas? De todos los "
                        "workers de la cola.",
                        "Are the durations of the chosen stage similar, or are some much longer? Of all workers of the "
                        "queue.",
                    ),
                    f"sum by (le) (increase({STAGE_BUCKETS}[$__interval])"
                    f" and on (job, instance) aforo_worker_queue_info{OF_QUEUE})",
                    SECONDS,
                    width=24,
                ),
            ),
            height=12,
        ),
        Row(
            Text("¿Cuadra todo?", "Does it add up?"),
            (
                bars(
                    Text("Conservación", "Conservation"),
                    Text(
                        "¿Pedidos = por subir + en espera + en proceso + terminados + fallidos? Cuando la prueba "
                        "acaba, «sin cuenta» debe ser 0.",
                        "Expected = to upload + waiting + in process + done + failed? When the run is over, "
                        "'unaccounted' must be 0.",
                    ),
                    (
                        Query(_of_run("aforo_run_expected_videos"), Text("pedidos", "expected"), GREY),
                        Query(f"{MISSING} {_while(ACTIVE)}", Text("por subir", "to upload"), GREY),
                        *STATE_NOW,
                        Query(f"{MISSING} {_while(OVER)}", Text("sin cuenta", "unaccounted"), RED),
                    ),
                    "none",
                    empty=NO_RUN,
                ),
                bars(
                    Text("Ejecuciones", "Executions"),
                    Text("¿Cómo acabó cada entrega que se ejecutó?", "How did each delivery that ran end?"),
                    (Query(f"max by (outcome) (aforo_run_executions{OF_RUN})", "{{outcome}}"),),
                    "none",
                    words=OUTCOMES,
                    width=6,
                    empty=NO_RUN,
                ),
                bars(
                    Text("Fallos por motivo", "Failures by reason"),
                    Text("¿Por qué fallaron?", "Why did they fail?"),
                    (Query(f"max by (reason) (aforo_run_failed_videos{OF_RUN})", "{{reason}}", RED),),
                    "none",
                    words=REASONS,
                    width=6,
                    empty=NONE_KNOWN,
                ),
                stat(
                    Text("Mayor retraso", "Largest lateness"),
                    Text(
                        "¿Mantuvo el inyector su ritmo? Con más de un intervalo, la prueba mide al inyector.",
                        "Did the injector keep its rate? Above one interval, the run measures the injector.",
                    ),
                    f"max(aforo_run_max_lateness_seconds{OF_RUN})",
                    SECONDS,
                    decimals=3,
                    empty=Text("sin horario", "no schedule"),
                ),
            ),
        ),
    ),
)
