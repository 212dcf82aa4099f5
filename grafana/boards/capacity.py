"""Dashboard Capacity: X (throughput) and X_sat of each run, by size, concurrency and mode."""

from __future__ import annotations

from core.language import Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.choices import FIRING, OF_QUEUE, QUEUE
from grafana.panel import Column, Query, bars, chart, series, stat, table
from grafana.wording import BLUE, BOTTLENECKS, GREEN, MODES, RED, STATES, STATUSES, VERDICTS, YELLOW, Word

VIDEOS_PER_MINUTE = "suffix: videos/min"
CHOSEN = '{size=~"$size", mode=~"$mode"}'


def _last(metric: str, *labels: str) -> str:
    """Return the query for the last value of `metric` per run, in the 5 minutes before the range ends.

    The exporter exposes the newest runs all the time, so 5 minutes contain every run. A query over the whole range
    would take seconds, because a day has 86,400 samples of each series.
    """
    by = ", ".join(("run_id", *labels))
    return f"max by ({by}) (last_over_time({metric}[5m]))"


def _verdict(kind: str) -> str:
    """Return the query for the current verdicts, with the verdict in a label named `kind`.

    Each query has its own label, because joined frames must not share labels. The query has no range selector. After a
    second report, a range would contain both verdicts.
    """
    verdict = f'run_id_kind_verdict:aforo_run_verdict:max{{kind="{kind}"}}'
    return f'max by (run_id, {kind}) (label_replace({verdict}, "{kind}", "$1", "verdict", "(.+)"))'


def _by_cell(metric: str) -> str:
    """Return the query for the mean of `metric` over the complete bursts of each cell."""
    bursts = FACTS.replace('mode=~"$mode"', 'mode="burst"')
    complete = _last("run_id:aforo_run_complete:bool")
    return (
        f"avg by (size, concurrency) ({_last(metric)} * on (run_id) group_right () {bursts} and on (run_id) {complete})"
    )


def _capacity(bound: str) -> str:
    return f'run_id_bound:aforo_run_capacity_videos_per_minute:max{{bound="{bound}"}}'


FACTS = _last(f"aforo_run_info{CHOSEN}", "size", "concurrency", "mode")
CELL = (
    Column(Text("Tamaño", "Size"), label="size", width=90),
    Column(Text("Concurrencia", "Concurrency"), label="concurrency", width=110),
    Column(Text("Modo", "Mode"), label="mode", width=100, words=MODES),
)
RUN_LINK = Column(
    Text("Prueba", "Run"),
    label="run_id",
    link="/d/aforo-run?var-run_id=${__value.raw}&${datasource:queryparam}&${queue:queryparam}&${__url_time_range}",
    width=310,
)
RESULTS = table(
    Text("Resultados", "Results"),
    Text(
        "¿Cuántos videos por minuto procesa cada celda? X y S salen de las mismas reglas que la tabla y el informe. "
        "Un clic en la prueba la abre.",
        "How many videos per minute does each cell process? X and S come from the same rules as the table and the "
        "report. Click a run to open it.",
    ),
    FACTS,
    key="run_id",
    columns=(
        *CELL,
        Column(same("X (videos/min)"), expr=_last("run_id:aforo_run_videos_per_minute:ratio"), decimals=2),
        Column(Text("S promedio (s)", "Mean S (s)"), expr=_last("run_id:aforo_run_response_seconds:mean"), decimals=1),
        Column(Text("Espera (s)", "Wait (s)"), expr=_last("run_id:aforo_run_queue_wait_seconds:mean"), decimals=1),
        Column(Text("Servicio (s)", "Service (s)"), expr=_last("run_id:aforo_run_service_seconds:mean"), decimals=1),
        Column(Text("Terminados", "Done"), expr=_last('aforo_run_videos{state="done"}'), decimals=0),
        Column(Text("Fallidos", "Failed"), expr=_last('aforo_run_videos{state="failed"}'), decimals=0),
        RUN_LINK,
    ),
)
VERDICTS_OF_RUNS = table(
    Text("Capacidad nominal y veredictos", "Nominal capacity and verdicts"),
    Text(
        "¿Cuánto daría la celda sin arranque ni vaciado, se sostuvo la tasa y qué impidió ir más rápido? "
        "`capacity report` guarda X_sat con su intervalo del 95 %, la estabilidad y el cuello de botella.",
        "What would the cell process without ramp-up and drain, was the rate sustained, and what limited it? "
        "`capacity report` stores X_sat with its 95 % interval, the stability and the bottleneck.",
    ),
    FACTS,
    key="run_id",
    columns=(
        *CELL,
        Column(Text("X_sat (videos/min)", "X_sat (videos/min)"), expr=_last(_capacity("estimate")), decimals=2),
        Column(Text("X_sat desde", "X_sat from"), expr=_last(_capacity("lower")), decimals=2),
        Column(Text("X_sat hasta", "X_sat to"), expr=_last(_capacity("upper")), decimals=2),
        Column(Text("Estabilidad", "Stability"), label="stability", expr=_verdict("stability"), words=VERDICTS),
        Column(
            Text("Cuello de botella", "Bottleneck"), label="bottleneck", expr=_verdict("bottleneck"), words=BOTTLENECKS
        ),
        RUN_LINK,
    ),
    empty=Text("sin informe", "not reported"),
)

NO_WORKER = Text("ningún worker", "no worker")
AVERAGED = Text(
    "Media de las ráfagas completas de la celda. `make table` descarta además las inválidas y las más cortas.",
    "Mean over the complete bursts of a cell. `make table` also leaves out invalid and shorter runs.",
)
#: One bar per concurrency and one colour per size. Sorted as a number, because as text 16 comes before 2.
BY_CONCURRENCY = (
    {
        "id": "convertFieldType",
        "options": {"conversions": [{"targetField": "concurrency", "destinationType": "number"}], "fields": {}},
    },
    {"id": "sortBy", "options": {"sort": [{"field": "concurrency"}]}},
    {
        "id": "convertFieldType",
        "options": {"conversions": [{"targetField": "concurrency", "destinationType": "string"}], "fields": {}},
    },
    {
        "id": "groupingToMatrix",
        "options": {"rowField": "concurrency", "columnField": "size", "valueField": "Value", "emptyValue": "null"},
    },
)

CAPACITY = Board(
    uid="aforo-capacity",
    title=Text("Aforo · Capacidad", "Aforo · Capacity"),
    description=Text(
        "La tabla de resultados: una fila por prueba, y cómo crece X con la concurrencia.",
        "The result table: one row per run, and how X grows with concurrency.",
    ),
    time_from="now-24h",
    refresh="15s",
    variables=(
        Variable("size", Text("Tamaño", "Size"), "label_values(aforo_run_info, size)", multiple=True),
        Variable("mode", Text("Modo", "Mode"), "label_values(aforo_run_info, mode)", multiple=True),
        QUEUE,
    ),
    rows=(
        Row(
            Text("¿Está todo en orden?", "Is it fine?"),
            (
                stat(
                    Text("Alertas activas", "Firing alerts"),
                    Text(
                        "¿Hay algo que atender antes de usar los números? Solo cuentan las alertas de Aforo.",
                        "Is there a problem to fix before using the numbers? Only Aforo's own alerts count.",
                    ),
                    f"count({FIRING}) or vector(0)",
                    "none",
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Slots", "Slots"),
                    Text("¿Con cuántos procesos se mide ahora?", "How many processes run tasks now?"),
                    "aforo_worker_slots:sum",
                    "none",
                    empty=NO_WORKER,
                ),
                stat(
                    Text("Slots ocupados", "Busy slots"),
                    Text("¿Trabajan todos?", "Are all of them busy?"),
                    "aforo_worker_slots_busy:ratio",
                    "percentunit",
                    maximum=1,
                    decimals=0,
                    empty=NO_WORKER,
                ),
                bars(
                    Text("Cola ahora", "Queue now"),
                    Text(
                        "¿Cuántos mensajes esperan y cuántos están en vuelo en la cola elegida, según SQS? ¿Y en su "
                        "cola de mensajes muertos?",
                        "How many messages wait and are in flight in the chosen queue, as SQS counts? And in its "
                        "dead-letter queue?",
                    ),
                    (
                        Query(f"sum(aforo_sqs_messages_visible{OF_QUEUE})", STATES["uploaded"].text, BLUE),
                        Query(f"sum(aforo_sqs_messages_in_flight{OF_QUEUE})", STATES["processing"].text, YELLOW),
                        Query(f"sum(aforo_sqs_dead_letter_messages{OF_QUEUE})", Text("muertos", "dead-lettered"), RED),
                    ),
                    "none",
                    width=6,
                ),
                bars(
                    Text("Pruebas", "Runs"),
                    Text("¿Cuántas pruebas hay y cómo acabaron?", "How many runs are there and how did they end?"),
                    (Query("max by (status) (aforo_runs)", "{{status}}"),),
                    "none",
                    width=6,
                    words=STATUSES,
                ),
            ),
            height=5,
        ),
        Row(Text("¿Qué capacidad tiene?", "What is its capacity?"), (RESULTS,), height=9),
        Row(Text("¿Qué la limita?", "What limits it?"), (VERDICTS_OF_RUNS,), height=9),
        Row(
            Text("¿Cómo escala?", "How does it scale?"),
            (
                chart(
                    Text("X según la concurrencia", "X by concurrency"),
                    Text(
                        f"¿Crece X con la concurrencia en cada tamaño? {AVERAGED.es}",
                        f"Does X grow with concurrency at each size? {AVERAGED.en}",
                    ),
                    (Query(_by_cell("run_id:aforo_run_videos_per_minute:ratio")),),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                    transformations=BY_CONCURRENCY,
                ),
                chart(
                    Text("X_sat según la concurrencia", "X_sat by concurrency"),
                    Text(
                        "¿Cuánto daría la celda sin arranque ni vaciado? Capacidad nominal de las filas guardadas. "
                        f"{AVERAGED.es}",
                        "What would the cell process without ramp-up and drain? Nominal capacity of the stored rows. "
                        f"{AVERAGED.en}",
                    ),
                    (Query(_by_cell(_capacity("estimate"))),),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                    transformations=BY_CONCURRENCY,
                    empty=Text("Aún no hay filas guardadas", "No rows are stored yet"),
                ),
                series(
                    Text("X de cada prueba", "X of each run"),
                    Text("¿Se estabilizó X durante la prueba?", "Did X become steady during the run?"),
                    (Query("run_id:aforo_run_videos_per_minute:ratio", "{{run_id}}"),),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                ),
            ),
            height=9,
        ),
        Row(
            Text("¿Dónde se va el tiempo?", "Where does the time go?"),
            (
                chart(
                    Text("De qué se compone S", "What S is made of"),
                    Text(
                        "¿Espera o servicio? En una ráfaga la espera crece con el número de videos, aunque el sistema "
                        "no cambie.",
                        "Queue wait or service? In a burst, the wait grows with the number of videos even if the "
                        "system stays the same.",
                    ),
                    (
                        Query(_last("run_id:aforo_run_queue_wait_seconds:mean")),
                        Query(_last("run_id:aforo_run_service_seconds:mean")),
                    ),
                    "s",
                    width=24,
                    stacked=True,
                    label_width=200,
                    transformations=(
                        {"id": "joinByField", "options": {"byField": "run_id", "mode": "outer"}},
                        {
                            "id": "filterFieldsByName",
                            "options": {"include": {"names": ["run_id", "Value #A", "Value #B"]}},
                        },
                        {"id": "sortBy", "options": {"sort": [{"field": "run_id"}]}},
                    ),
                    words={
                        "Value #A": Word(Text("espera", "wait"), BLUE),
                        "Value #B": Word(Text("servicio", "service"), GREEN),
                    },
                ),
            ),
        ),
    ),
)
