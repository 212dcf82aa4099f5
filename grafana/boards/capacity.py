"""Capacity: how many videos a minute each cell processes, and what that figure rests on."""

from __future__ import annotations

from grafana.board import Board, Row, Variable
from grafana.panel import Column, Query, bars, chart, series, stat, table
from grafana.wording import (
    BLUE,
    BOTTLENECKS,
    GREEN,
    GREY,
    OUTCOMES,
    RED,
    STATES,
    STATUSES,
    VERDICTS,
    YELLOW,
    Text,
    same,
)

VIDEOS_PER_MINUTE = "suffix: videos/min"
CHOSEN = '{size=~"$size", mode=~"$mode"}'
FACTS = f"max by (run_id, size, concurrency, mode) (last_over_time(aforo_run_info{CHOSEN}[$__range]))"


def _kept(recorded: str) -> str:
    """Return the last value of `recorded` in the range, so that a run stays on the table after its series ends."""
    return f"max by (run_id) (last_over_time({recorded}[$__range]))"


def _verdict(kind: str) -> str:
    """Return the verdict under a label of its own name, since joined frames must not share labels."""
    chosen = f'last_over_time(aforo_run_verdict{{kind="{kind}"}}[$__range])'
    return f'max by (run_id, {kind}) (label_replace({chosen}, "{kind}", "$1", "verdict", "(.+)"))'


def _by_cell(recorded: str) -> str:
    """Return the mean of `recorded` over the bursts of a cell."""
    facts = FACTS.replace('mode=~"$mode"', 'mode="burst"')
    return f"avg by (size, concurrency) ({_kept(recorded)} * on (run_id) group_right () {facts})"


CAPACITY_OF_RUN = 'aforo_run_capacity_videos_per_minute{{bound="{}"}}'
RESULTS = table(
    Text("Resultados", "Results"),
    Text(
        "¿Cuántos videos por minuto procesa cada celda? X y S salen de las mismas reglas que la tabla y el informe; "
        "X_sat y los veredictos, de la fila guardada por `capacity report`. Un clic en la prueba la abre.",
        "How many videos a minute does each cell process? X and S come from the rules the table and the report use; "
        "X_sat and the verdicts from the row `capacity report` stores. Click a run to open it.",
    ),
    FACTS,
    key="run_id",
    columns=(
        Column(Text("Tamaño", "Size"), label="size", width=90),
        Column(Text("Concurrencia", "Concurrency"), label="concurrency", width=110),
        Column(Text("Modo", "Mode"), label="mode", width=100),
        Column(same("X (videos/min)"), expr=_kept("run_id:aforo_run_videos_per_minute:ratio"), decimals=3),
        Column(
            Text("S promedio (s)", "Mean S (s)"),
            expr=_kept("run_id:aforo_run_cycle_seconds:mean"),
            unit="none",
            decimals=2,
        ),
        Column(Text("Espera", "Wait"), expr=_kept("run_id:aforo_run_wait_seconds:mean"), unit="s", decimals=2),
        Column(Text("Servicio", "Service"), expr=_kept("run_id:aforo_run_service_seconds:mean"), unit="s", decimals=2),
        Column(same("X_sat"), expr=_kept(CAPACITY_OF_RUN.format("estimate")), decimals=3),
        Column(Text("X_sat desde", "X_sat from"), expr=_kept(CAPACITY_OF_RUN.format("lower")), decimals=3),
        Column(Text("X_sat hasta", "X_sat to"), expr=_kept(CAPACITY_OF_RUN.format("upper")), decimals=3),
        Column(Text("Terminados", "Done"), expr=_kept('aforo_run_videos{state="done"}'), decimals=0),
        Column(Text("Fallidos", "Failed"), expr=_kept('aforo_run_videos{state="failed"}'), decimals=0),
        Column(
            Text("Prueba", "Run"),
            label="run_id",
            link="/d/aforo-run?var-run_id=${__value.raw}&${__url_time_range}",
            width=270,
        ),
    ),
)
VERDICT_TABLE = table(
    Text("Veredictos", "Verdicts"),
    Text(
        "¿Se sostuvo la tasa y qué impidió ir más rápido? Lo dice `capacity report`; aparece al guardarse la fila.",
        "Was the rate sustained, and what kept it from going faster? `capacity report` says so once it stores the row.",
    ),
    _verdict("stability"),
    key="run_id",
    columns=(
        Column(Text("Prueba", "Run"), label="run_id", link="/d/aforo-run?var-run_id=${__value.raw}"),
        Column(Text("Estabilidad", "Stability"), label="stability", words=VERDICTS),
    ),
    width=12,
    empty=Text("Ninguna fila guardada tiene veredicto", "No stored row has a verdict"),
)
BOTTLENECK_TABLE = table(
    Text("Cuellos de botella", "Bottlenecks"),
    Text("¿Qué recurso limitó cada prueba?", "Which resource limited each run?"),
    _verdict("bottleneck"),
    key="run_id",
    columns=(
        Column(Text("Prueba", "Run"), label="run_id", link="/d/aforo-run?var-run_id=${__value.raw}"),
        Column(Text("Cuello de botella", "Bottleneck"), label="bottleneck", words=BOTTLENECKS),
    ),
    width=12,
    empty=Text("Ninguna fila guardada nombra un cuello", "No stored row names one"),
)

#: one bar per concurrency (as a number, or 16 would stand before 2), one colour per size
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
    ),
    rows=(
        Row(
            Text("¿Está todo en orden?", "Is all well?"),
            (
                stat(
                    Text("Alertas activas", "Firing alerts"),
                    Text("¿Hay algo que atender antes de creer un número?", "Is there anything to see to first?"),
                    'count(ALERTS{alertstate="firing"}) or vector(0)',
                    "none",
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Slots", "Slots"),
                    Text("¿Con cuántos procesos se mide ahora?", "With how many processes is it measured now?"),
                    "aforo_worker_slots:sum",
                    "none",
                ),
                stat(
                    Text("Slots ocupados", "Busy slots"),
                    Text("¿Trabajan todos?", "Do all of them work?"),
                    "aforo_worker_slots_busy:ratio",
                    "percentunit",
                    maximum=1,
                ),
                bars(
                    Text("Cola ahora", "Queue now"),
                    Text(
                        "¿Qué espera y qué está tomado, según SQS? ¿Y en la cola de mensajes muertos?",
                        "What waits and what is taken, as SQS says? And in the dead-letter queue?",
                    ),
                    (
                        Query("sum(aforo_sqs_messages_visible)", STATES["uploaded"].text, BLUE),
                        Query("sum(aforo_sqs_messages_in_flight)", STATES["processing"].text, YELLOW),
                        Query("sum(aforo_sqs_dead_letter_messages)", Text("muertos", "dead letters"), RED),
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
        Row(Text("¿Qué capacidad tiene?", "What is its capacity?"), (RESULTS,), height=10),
        Row(
            Text("¿Cómo escala?", "How does it scale?"),
            (
                chart(
                    Text("X según la concurrencia", "X by concurrency"),
                    Text(
                        "¿Crece X con la concurrencia en cada tamaño? Media de las ráfagas de la celda.",
                        "Does X grow with concurrency at each size? Mean over the bursts of a cell.",
                    ),
                    (Query(_by_cell("run_id:aforo_run_videos_per_minute:ratio")),),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                    transformations=BY_CONCURRENCY,
                ),
                chart(
                    Text("X_sat según la concurrencia", "X_sat by concurrency"),
                    Text(
                        "¿Cuánto daría la celda sin arranque ni vaciado? Capacidad nominal de las filas guardadas.",
                        "What would the cell give without ramp and drain? Nominal capacity of the stored rows.",
                    ),
                    (Query(_by_cell(CAPACITY_OF_RUN.format("estimate"))),),
                    VIDEOS_PER_MINUTE,
                    decimals=2,
                    transformations=BY_CONCURRENCY,
                    empty=Text("Aún no hay filas guardadas", "No rows are stored yet"),
                ),
                series(
                    Text("X de cada prueba", "X of each run"),
                    Text("¿Se asentó X, o cambió mientras duró?", "Did X settle, or change while it lasted?"),
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
                        "¿Espera o servicio? En una ráfaga la espera crece con el número de videos; no es del sistema.",
                        "Waiting or service? In a burst the wait grows with the number of videos, not with the system.",
                    ),
                    (
                        Query(_kept("run_id:aforo_run_wait_seconds:mean"), color=GREY),
                        Query(_kept("run_id:aforo_run_service_seconds:mean"), color=OUTCOMES["done"].color),
                    ),
                    "s",
                    width=24,
                    stacked=True,
                    transformations=(
                        {"id": "joinByField", "options": {"byField": "run_id", "mode": "outer"}},
                        {
                            "id": "filterFieldsByName",
                            "options": {"include": {"names": ["run_id", "Value #A", "Value #B"]}},
                        },
                        {"id": "sortBy", "options": {"sort": [{"field": "run_id"}]}},
                    ),
                    words={"Value #A": STATES["uploaded"], "Value #B": STATES["processing"]},
                ),
            ),
        ),
        Row(Text("¿Qué lo limitó?", "What limited it?"), (VERDICT_TABLE, BOTTLENECK_TABLE)),
    ),
)
