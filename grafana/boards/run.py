"""Dashboard Run: progress, results and stage times of one run."""

from __future__ import annotations

from core.language import Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.capacity import VIDEOS_PER_MINUTE
from grafana.boards.choices import OF_QUEUE, QUEUE
from grafana.panel import Query, bars, heat, series, stat
from grafana.wording import BLUE, GREEN, GREY, OUTCOMES, RED, STAGES, STATES, STATUSES, YELLOW

OF_RUN = '{run_id="$run_id"}'


def _of_run(metric: str, **labels: str) -> str:
    chosen = ", ".join(['run_id="$run_id"', *(f'{name}="{value}"' for name, value in labels.items())])
    return f"max({metric}{{{chosen}}})"


STATE_NOW = tuple(
    Query(_of_run("aforo_run_videos", state=state), word.text, word.color) for state, word in STATES.items()
)

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
        Variable("stage", Text("Etapa", "Stage"), "label_values(aforo_worker_stage_seconds_count, stage)"),
        QUEUE,
    ),
    rows=(
        Row(
            Text("¿Va bien?", "Is it fine?"),
            (
                stat(
                    Text("Estado", "Status"),
                    Text("¿En qué punto está la prueba?", "What is the status of the run?"),
                    f"max by (status) (aforo_run_status{OF_RUN})",
                    "none",
                    legend="{{status}}",
                    by_name=True,
                    words=STATUSES,
                ),
                stat(
                    Text("Progreso", "Progress"),
                    Text("¿Qué parte de los videos ha acabado?", "What share of the videos is finished?"),
                    f"run_id:aforo_run_progress:ratio{OF_RUN}",
                    "percentunit",
                    maximum=1,
                    decimals=0,
                ),
                stat(
                    Text("Tiempo restante", "Time left"),
                    Text("¿Cuánto falta al ritmo medio hasta ahora?", "How long will it take at the mean rate so far?"),
                    f"run_id:aforo_run_remaining_seconds:estimate{OF_RUN}",
                    "s",
                    decimals=0,
                    empty=Text("sin prueba en curso", "not running"),
                ),
                stat(
                    same("X"),
                    Text(
                        "¿Cuántos videos por minuto? El valor de la tabla.",
                        "How many videos per minute? As in the table.",
                    ),
                    f"run_id:aforo_run_videos_per_minute:ratio{OF_RUN}",
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                ),
                stat(
                    Text("S promedio", "Mean S"),
                    Text("¿Cuánto tarda un video desde que se sube?", "How long does a video take from its upload?"),
                    f"run_id:aforo_run_response_seconds:mean{OF_RUN}",
                    "s",
                    decimals=1,
                ),
                stat(
                    Text("Fallidos", "Failed"),
                    Text("¿Qué parte de los acabados ha fallado?", "What share of the finished videos failed?"),
                    f"run_id:aforo_run_failed_videos:ratio{OF_RUN}",
                    "percentunit",
                    thresholds=((None, GREEN), (0.0001, YELLOW), (0.05, RED)),
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
                        "¿A qué ritmo acaban los videos: en el último minuto y de media?",
                        "At what rate do videos finish, in the last minute and on average?",
                    ),
                    (
                        Query(
                            f"run_id:aforo_run_videos_final:increase1m{OF_RUN}",
                            Text("último minuto", "last minute"),
                            BLUE,
                        ),
                        Query(f"run_id:aforo_run_videos_per_minute:ratio{OF_RUN}", same("X"), GREEN),
                    ),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
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
                        Query("sum(aforo_worker_slots_busy)", Text("ocupados", "busy"), GREEN),
                        Query("aforo_worker_slots:sum", Text("slots", "slots"), GREY, is_limit=True),
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
                    "s",
                    decimals=2,
                ),
                series(
                    Text("Etapas", "Stages"),
                    Text(
                        "¿Qué etapa cuesta más por video? Media por video hasta ese momento. La suma es el servicio.",
                        "Which stage costs most per video? Mean per video up to that moment. Their sum is the service "
                        "time.",
                    ),
                    (Query(f"max by (stage) (run_id_stage:aforo_run_stage_seconds:mean{OF_RUN})", "{{stage}}"),),
                    "s",
                    stacked=True,
                    decimals=3,
                    words=STAGES,
                ),
                heat(
                    Text("Duración de la etapa", "Duration of the stage"),
                    Text(
                        "¿Son parecidas las duraciones de la etapa elegida, o algunas mucho más largas? De todos los "
                        "workers.",
                        "Are the durations of the chosen stage similar, or are some much longer? Of all workers.",
                    ),
                    'sum by (le) (increase(aforo_worker_stage_seconds_bucket{stage="$stage"}[$__interval]))',
                    "s",
                    width=24,
                ),
            ),
        ),
        Row(
            Text("¿Cuadra todo?", "Does it add up?"),
            (
                bars(
                    Text("Conservación", "Conservation"),
                    Text(
                        "¿Pedidos = en espera + en proceso + terminados + fallidos? «Sin cuenta» debe acabar en 0.",
                        "Expected = waiting + in process + done + failed? 'Unaccounted' must end at 0.",
                    ),
                    (
                        Query(_of_run("aforo_run_expected_videos"), Text("pedidos", "expected"), GREY),
                        *STATE_NOW,
                        Query(
                            f"run_id:aforo_run_unaccounted_videos:difference{OF_RUN}",
                            Text("sin cuenta", "unaccounted"),
                            RED,
                        ),
                    ),
                    "none",
                ),
                bars(
                    Text("Ejecuciones", "Executions"),
                    Text("¿Cómo acabó cada entrega que se ejecutó?", "How did each delivery that ran end?"),
                    (Query(f"max by (outcome) (aforo_run_executions{OF_RUN})", "{{outcome}}"),),
                    "none",
                    words=OUTCOMES,
                    width=6,
                ),
                bars(
                    Text("Fallos por motivo", "Failures by reason"),
                    Text("¿Por qué fallaron?", "Why did they fail?"),
                    (Query(f"max by (reason) (aforo_run_failed_videos{OF_RUN})", "{{reason}}", RED),),
                    "none",
                    width=6,
                    empty=Text("ningún fallo", "no failure"),
                ),
                stat(
                    Text("Mayor retraso", "Largest lateness"),
                    Text(
                        "¿Mantuvo el inyector su ritmo? Con más de un intervalo, la prueba mide al inyector.",
                        "Did the injector keep its rate? Above one interval, the run measures the injector.",
                    ),
                    f"max(aforo_run_max_lateness_seconds{OF_RUN})",
                    "s",
                    decimals=3,
                    empty=Text("ráfaga: sin horario", "burst: no schedule"),
                ),
            ),
        ),
    ),
)
