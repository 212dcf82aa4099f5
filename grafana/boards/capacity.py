"""Dashboard *Capacity*: how many videos per minute the worker can process.

For each video size, app and profile, the dashboard shows the cell with the greatest nominal capacity X_sat. For each
run, the dashboard shows X and X_sat.
"""

from __future__ import annotations

from core.language import VALIDITY_HEADING, Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.choices import (
    APP,
    FIRING_HERE,
    NO_RUN,
    NO_WORKER,
    OF_QUEUE,
    QUEUE,
    SECONDS,
    SHOWN_LABEL,
    VIDEOS_PER_MINUTE,
    in_words,
    numbered,
)
from grafana.boards.run_figures import (
    ANSWER_LABELS,
    CELL,
    CHOSEN,
    FACTS,
    FAILED,
    ONE_NODE,
    ORDER,
    VALIDITY,
    X,
    as_cell,
    as_series,
    best_cell,
    bottleneck_of_cell,
    capacity,
    invalid_runs,
    last,
    named,
    of_best_cell,
    state,
    validity_of_cell,
    verdict,
    with_bytes,
    with_order,
    x_of_cell,
    x_sat_bound_of_cell,
    x_sat_of_cell,
)
from grafana.panel import Column, Kind, Panel, Query, bars, chart, stat, table
from grafana.wording import (
    BLUE,
    BOTTLENECK_NUMBERS,
    BOTTLENECKS,
    GREEN,
    GREY,
    MODES,
    RED,
    RUN_STATES,
    SIZES,
    STATES,
    VALIDITIES,
    VALIDITY_NUMBERS,
    VALIDITY_WORDS,
    VERDICTS,
    YELLOW,
    Word,
    Words,
)

CELL_COLUMNS = (
    Column(Text("Tamaño", "Size"), label="size", width=80, words=SIZES),
    Column(Text("Concurrencia", "Concurrency"), label="concurrency", width=110),
    Column(Text("Modo", "Mode"), label="mode", width=98, words=MODES),
)
NOT_REPORTED = Text("sin informe", "not reported")
VALIDITY_COLUMNS = (
    Column(
        VALIDITY_HEADING,
        label="validity",
        expr=VALIDITY,
        words=VALIDITIES,
        width=97,
        empty=NOT_REPORTED,
    ),
    Column(Text("Motivo", "Reason"), label="reasons", words=VALIDITY_WORDS, width=92, is_long=True),
)
#: Half a minute around the run, for its link.
START = f"{last('aforo_run_window_start_timestamp_seconds')} * 1000 - 15000"
END = (
    f"({last('aforo_run_window_end_timestamp_seconds')} or {last('aforo_run_window_start_timestamp_seconds')} * 0"
    " + time()) * 1000 + 15000"
)
RANGE = (
    Column(same("start_ms"), expr=START, is_hidden=True),
    Column(same("end_ms"), expr=END, is_hidden=True),
)
RUN_LINK = Column(
    Text("Prueba", "Run"),
    label="run_id",
    link="/d/aforo-run?var-run_id=${__value.raw}&${datasource:queryparam}"
    "&from=${__data.fields.start_ms.numeric}&to=${__data.fields.end_ms.numeric}",
    width=300,
)


def _seconds(title: Text, rule: str) -> Column:
    return Column(title, expr=last(rule), decimals=1, width=94)


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
        RUN_LINK,
        *CELL_COLUMNS,
        Column(Text("Estado", "Status"), expr=state(), words=RUN_STATES, width=150),
        *VALIDITY_COLUMNS,
        Column(same("X (videos/min)"), expr=X, decimals=2, width=115),
        _seconds(Text("S media (s)", "Mean S (s)"), "run_id:aforo_run_response_seconds:mean"),
        _seconds(Text("Espera (s)", "Wait (s)"), "run_id:aforo_run_queue_wait_seconds:mean"),
        _seconds(Text("Servicio (s)", "Service (s)"), "run_id:aforo_run_service_seconds:mean"),
        Column(Text("Terminados", "Done"), expr=last('aforo_run_videos{state="done"}'), decimals=0, width=97),
        Column(
            Text("Fallidos", "Failed"), expr=last(FAILED), decimals=0, width=75, thresholds=((None, "text"), (1, RED))
        ),
        *RANGE,
    ),
    empty=NO_RUN,
)
VERDICTS_OF_RUNS = table(
    Text("X_sat y veredictos", "X_sat and verdicts"),
    Text(
        "¿Cuánto daría la celda sin arranque ni vaciado, se sostuvo la tasa y qué impidió ir más rápido? "
        "`capacity report` guarda X_sat con su intervalo del 95 %, la estabilidad y el cuello de botella. Una raya es "
        "lo que no se aplica o no se pudo estimar: la estabilidad de una ráfaga, X_sat de una prueba sostenida.",
        "What would the cell process without ramp-up and drain, was the rate sustained, and what limited it? "
        "`capacity report` stores X_sat with its 95 % interval, the stability and the bottleneck. A dash is what does "
        "not apply or could not be estimated: the stability of a burst, X_sat of a sustained run.",
    ),
    FACTS,
    key="run_id",
    columns=(
        RUN_LINK,
        *CELL_COLUMNS,
        *VALIDITY_COLUMNS,
        Column(Text("X_sat (videos/min)", "X_sat (videos/min)"), expr=capacity("estimate"), decimals=2, width=145),
        Column(Text("X_sat desde", "X_sat from"), expr=capacity("lower"), decimals=2, width=110),
        Column(Text("X_sat hasta", "X_sat to"), expr=capacity("upper"), decimals=2, width=110),
        Column(
            Text("Estabilidad", "Stability"), label="stability", expr=verdict("stability"), words=VERDICTS, width=120
        ),
        Column(
            Text("Cuello de botella", "Bottleneck"), label="bottleneck", expr=verdict("bottleneck"), words=BOTTLENECKS
        ),
        *RANGE,
    ),
    empty=NO_RUN,
)
AVERAGED = Text(
    "Media (de X_sat, geométrica) de las ráfagas completas y válidas de la celda; si no las hay, de las indicativas; "
    "nunca de una no válida. X es la de las que tienen más videos. `make table` exige además las mismas condiciones.",
    "Mean (of X_sat, geometric) over the complete valid bursts of a cell; without any, over the indicative ones; never "
    "over an invalid one. X is that of those with the most videos. `make table` also asks for equal conditions.",
)
INTERVAL = Text(
    "Con tres pruebas o más, el intervalo mide cómo varían unas de otras; con una, es el suyo; con dos no hay.",
    "With three runs or more, the interval measures how they vary; with one, it is that of the run; with two, there is "
    "none.",
)
NO_ANSWER = Text("aún sin respuesta", "no answer yet")
ANSWER = (
    stat(
        Text("Capacidad: X_sat", "Capacity: X_sat"),
        Text(
            "¿Cuántos videos por minuto puede hacer, y con qué concurrencia? La mejor celda de cada tamaño, aplicación "
            f"y perfil. {AVERAGED.es}",
            "How many videos per minute can it do, and at which concurrency? The best cell of each size, app and "
            f"profile. {AVERAGED.en}",
        ),
        named(best_cell()),
        VIDEOS_PER_MINUTE,
        legend=Text(
            "{{size}}{{of_profile}} con concurrencia {{concurrency}}",
            "{{size}}{{of_profile}} at concurrency {{concurrency}}",
        ),
        width=7,
        decimals=1,
        empty=NO_ANSWER,
        is_named=True,
    ),
    Panel(
        Kind.STAT,
        Text("Intervalo del 95 %", "95 % interval"),
        Text(
            f"¿Entre qué valores está X_sat de esa celda? {INTERVAL.es}",
            f"Between which values is X_sat of that cell? {INTERVAL.en}",
        ),
        (
            Query(
                named(of_best_cell(x_sat_bound_of_cell("lower"))),
                Text("{{size}}{{of_profile}} desde", "{{size}}{{of_profile}} from"),
            ),
            Query(
                named(of_best_cell(x_sat_bound_of_cell("upper"))),
                Text("{{size}}{{of_profile}} hasta", "{{size}}{{of_profile}} to"),
            ),
            Query(
                named(f"-({best_cell()} unless on ({CELL}) ({x_sat_bound_of_cell('lower')})) ^ 0"),
                same("{{size}}{{of_profile}}"),
            ),
        ),
        VIDEOS_PER_MINUTE,
        width=5,
        minimum=None,
        decimals=1,
        value_words={"-1": Word(Text("sin intervalo", "no interval"), GREY)},
        empty=Text("sin intervalo", "no interval"),
        is_named=True,
    ),
    stat(
        Text("La limita", "Limited by"),
        Text(
            "¿Qué impide ir más rápido en esa celda? El veredicto más frecuente de sus pruebas.",
            "What keeps that cell from going faster? The most frequent verdict of its runs.",
        ),
        named(numbered(of_best_cell(bottleneck_of_cell()), "bottleneck", BOTTLENECKS)),
        "none",
        legend="{{size}}{{of_profile}}",
        width=6,
        minimum=None,
        empty=NO_ANSWER,
        value_words=BOTTLENECK_NUMBERS,
    ),
    stat(
        VALIDITY_HEADING,
        Text(
            "¿Cuánto vale esa respuesta? Indicativa: ninguna prueba de la celda es válida. Las columnas Validez y "
            "Motivo de abajo dicen por qué.",
            "How good is that answer? Indicative: no run of the cell is valid. The columns Validity and Reason below "
            "say why.",
        ),
        named(
            f"{of_best_cell(validity_of_cell())} or on ({ANSWER_LABELS}) max by ({ANSWER_LABELS}) ({invalid_runs()})"
        ),
        "none",
        legend="{{size}}{{of_profile}}",
        width=6,
        minimum=None,
        empty=NO_ANSWER,
        value_words=VALIDITY_NUMBERS,
        thresholds=((None, GREY),),
    ),
)
IN_ORDER = (
    stat(
        Text("Alertas activas", "Firing alerts"),
        Text(
            "¿Hay algo que atender antes de usar los números? Las alertas de Aforo, sin las de otras colas.",
            "Is there a problem to fix before using the numbers? Aforo's alerts, without those of other queues.",
        ),
        f"count({FIRING_HERE}) or vector(0)",
        "none",
        thresholds=((None, GREEN), (1, RED)),
    ),
    stat(
        same("Slots"),
        Text("¿Con cuántos procesos se mide ahora la cola elegida?", "How many processes run tasks of the queue now?"),
        f"sum(queue:aforo_worker_slots:sum{OF_QUEUE})",
        "none",
        empty=NO_WORKER,
    ),
    stat(
        Text("Slots ocupados", "Busy slots"),
        Text("¿Trabajan todos?", "Are all of them busy?"),
        f"max(queue:aforo_worker_slots_busy:ratio{OF_QUEUE})",
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
        (Query(f'count_values("state", ({state()}) and on (run_id) {FACTS})', "{{state}}"),),
        "none",
        width=6,
        words=RUN_STATES,
        empty=NO_RUN,
    ),
)
#: One bar per concurrency and one colour per size and profile. Sorted as a number, because as text 16 comes before 2.
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
        "options": {"rowField": "concurrency", "columnField": "series", "valueField": "Value", "emptyValue": "null"},
    },
)
#: A bar to the lower bound, and on it the width of the interval. In the order of sizes, and of slots in each size: the
#: second sort keeps the order of the first where the sizes are equal.
INTERVALS = (
    {"id": "joinByField", "options": {"byField": "cell", "mode": "outer"}},
    {
        "id": "convertFieldType",
        "options": {
            "conversions": [{"targetField": name, "destinationType": "number"} for name in ("slots", "bytes")],
            "fields": {},
        },
    },
    {"id": "sortBy", "options": {"sort": [{"field": "slots"}]}},
    {"id": "sortBy", "options": {"sort": [{"field": "bytes"}]}},
    {"id": "filterFieldsByName", "options": {"include": {"names": ["cell", "Value #A", "Value #B", "Value #C"]}}},
)


def _one_per_cell(expression: str) -> str:
    """Return the query `expression` with the label `cell` alone, as the join needs it."""
    return f"max by (cell) ({as_cell(expression)})"


SCALES = (
    chart(
        Text("X_sat e intervalo", "X_sat and interval"),
        Text(
            "¿Cuánto daría cada celda sin arranque ni vaciado? La parte verde llega hasta el límite inferior del "
            f"intervalo del 95 %, la gris hasta el superior. {INTERVAL.es} {AVERAGED.es} La curva USL, de la que se "
            "lee cuánto rinden más slots, está en la página del informe desde cuatro niveles de concurrencia.",
            "What would each cell process without ramp-up and drain? The green part ends at the lower bound of the "
            f"95 % interval, the grey one at the upper bound. {INTERVAL.en} {AVERAGED.en} The USL curve, which says "
            "what more slots yield, is on the report page from four levels of concurrency on.",
        ),
        (
            Query(_one_per_cell(x_sat_bound_of_cell("lower"))),
            Query(_one_per_cell(f"({x_sat_bound_of_cell('upper')}) - ({x_sat_bound_of_cell('lower')})")),
            Query(_one_per_cell(f"({x_sat_of_cell()}) unless on ({CELL}) ({x_sat_bound_of_cell('lower')})")),
            Query(as_cell(with_bytes(x_sat_of_cell()))),
        ),
        VIDEOS_PER_MINUTE,
        width=12,
        decimals=1,
        stacked=True,
        transformations=INTERVALS,
        words={
            "Value #A": Word(Text("al menos", "at least"), GREEN),
            "Value #B": Word(Text("hasta", "up to"), GREY),
            "Value #C": Word(Text("X_sat sin intervalo", "X_sat without interval"), BLUE),
        },
        empty=Text("Aún no hay filas guardadas", "No rows are stored yet"),
    ),
    chart(
        Text("X según la concurrencia", "X by concurrency"),
        Text(
            f"¿Crece X con la concurrencia de un nodo en cada tamaño? {AVERAGED.es}",
            f"Does X grow with the concurrency of one node at each size? {AVERAGED.en}",
        ),
        (Query(as_series(x_of_cell(f"{CHOSEN}, {ONE_NODE}"))),),
        VIDEOS_PER_MINUTE,
        width=12,
        decimals=2,
        transformations=BY_CONCURRENCY,
        empty=NO_RUN,
    ),
)
CELLS = table(
    Text("Celdas", "Cells"),
    Text(
        f"¿Qué limita cada celda, y desde qué concurrencia no merece la pena subirla? {AVERAGED.es}",
        f"What limits each cell, and from which concurrency on does more not pay? {AVERAGED.en}",
    ),
    as_cell(with_order(f"count by ({CELL}) ({FACTS})")),
    key="cell",
    order=ORDER,
    columns=(
        Column(Text("Celda", "Cell"), label="cell"),
        Column(same("X_sat (videos/min)"), expr=as_cell(x_sat_of_cell()), decimals=2),
        Column(Text("X_sat desde", "X_sat from"), expr=as_cell(x_sat_bound_of_cell("lower")), decimals=2),
        Column(Text("X_sat hasta", "X_sat to"), expr=as_cell(x_sat_bound_of_cell("upper")), decimals=2),
        Column(same("X (videos/min)"), expr=as_cell(x_of_cell()), decimals=2),
        Column(
            Text("La limita", "Limited by"),
            label="bottleneck",
            expr=as_cell(bottleneck_of_cell()),
            words=BOTTLENECKS,
        ),
        Column(
            VALIDITY_HEADING,
            expr=as_cell(validity_of_cell()),
            words=VALIDITY_NUMBERS,
            empty=NOT_REPORTED,
        ),
    ),
    empty=NO_RUN,
)
PARTS_OF_S = chart(
    Text("De qué se compone S", "What S is made of"),
    Text(
        "¿Espera o servicio, en las 20 pruebas más recientes? En una ráfaga la espera crece con el número de videos, "
        "aunque el sistema no cambie.",
        "Queue wait or service, in the 20 newest runs? In a burst, the wait grows with the number of videos even if "
        "the system stays the same.",
    ),
    (
        Query(f"{last('run_id:aforo_run_queue_wait_seconds:mean')} and on (run_id) {FACTS}"),
        Query(f"{last('run_id:aforo_run_service_seconds:mean')} and on (run_id) {FACTS}"),
    ),
    SECONDS,
    width=24,
    stacked=True,
    is_horizontal=True,
    empty=NO_RUN,
    transformations=(
        {"id": "joinByField", "options": {"byField": "run_id", "mode": "outer"}},
        {"id": "filterFieldsByName", "options": {"include": {"names": ["run_id", "Value #A", "Value #B"]}}},
        {"id": "sortBy", "options": {"sort": [{"field": "run_id", "desc": True}]}},
        {"id": "limit", "options": {"limitField": 20}},
    ),
    words={
        "Value #A": Word(Text("espera", "wait"), BLUE),
        "Value #B": Word(Text("servicio", "service"), GREEN),
    },
)


def _list_of(label: str, title: Text, words: Words) -> Variable:
    """Return the drop-down list of the values of a run's label, in words."""
    runs = f"count by ({label}) ({last('aforo_run_info', label)})"
    query = in_words(runs, label, words)
    return Variable(label, title, query, multiple=True, shown_label=SHOWN_LABEL, is_sorted=True)


CAPACITY = Board(
    uid="aforo-capacity",
    title=Text("Aforo · Capacidad", "Aforo · Capacity"),
    description=Text(
        "La respuesta, la tabla de resultados con una fila por prueba, y cómo crece X con la concurrencia.",
        "The answer, the result table with one row per run, and how X grows with concurrency.",
    ),
    time_from="now-24h",
    refresh="15s",
    variables=(
        _list_of("size", Text("Tamaño", "Size"), SIZES),
        _list_of("mode", Text("Modo", "Mode"), MODES),
        APP,
        QUEUE,
    ),
    rows=(
        Row(
            Text(
                "¿Cuántos videos por minuto, con qué concurrencia, qué lo limita y cuánto vale la respuesta?",
                "How many videos per minute, at which concurrency, limited by what, and how sure?",
            ),
            ANSWER,
            height=5,
        ),
        Row(Text("¿Está todo en orden?", "Is it fine?"), IN_ORDER, height=5),
        Row(Text("¿Qué midió cada prueba?", "What did each run measure?"), (RESULTS,), height=9),
        Row(Text("¿Cómo escala?", "How does it scale?"), SCALES, height=9),
        Row(Text("¿Qué limita cada celda?", "What limits each cell?"), (CELLS,), height=6),
        Row(Text("¿Qué limitó cada prueba?", "What limited each run?"), (VERDICTS_OF_RUNS,), height=9),
        Row(Text("¿Dónde se va el tiempo?", "Where does the time go?"), (PARTS_OF_S,), height=12),
    ),
)
