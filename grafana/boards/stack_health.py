"""Dashboard *Stack health*: state of scrape targets, exporters and rules, and the cost of measuring."""

from __future__ import annotations

from core.language import Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.choices import (
    CALLS_PER_SECOND,
    CORES,
    FIRING_HERE,
    NONE_KNOWN,
    OF_QUEUE,
    QUEUE,
    SECONDS,
    of_all_queues,
    of_queue_readers,
)
from grafana.panel import Column, Query, bars, series, stat, states, table
from grafana.wording import (
    ALERTS,
    BLUE,
    COLLECTOR_FAULTS,
    COLLECTORS,
    FAULTS,
    GREEN,
    ORANGE,
    PLACES,
    RED,
    SEVERITIES,
    UP,
    YELLOW,
    Word,
)

SELF = '{job=~"$job"}'
NOT_SCRAPED = Text("Prometheus no se recoge a sí mismo", "Prometheus does not scrape itself")
TELEMETRY = "aforo_worker_telemetry_cpu_seconds_total"
#: The jobs of prometheus/*.yml. The job of Prometheus itself is a variable.
OURS = '{job=~"worker|sqs-exporter|db-exporter|collector|celery-exporter|$job"}'
RULE_SECONDS = f"prometheus_rule_group_last_duration_seconds{SELF}"
RULE_INTERVAL = f"prometheus_rule_group_interval_seconds{SELF}"
#: The collectors `sqs` and `waiting` answer from memory, so the duration of their scrape is not that of a read.
READ_PER_SCRAPE = '{collector="db"}'
#: Each alert's name twice: as its meaning, and as what to do.
WITH_REMEDY = (
    f"max by (alertname, severity, job, run_id, queue, instance, collector, place, remedy)"
    f' (label_replace({FIRING_HERE}, "remedy", "$1", "alertname", "(.+)"))'
)
#: The scrape interval of prometheus/*.yml.
SCRAPE_SECONDS = 1
#: A queue's limit of SQS age is 30 s; a database that is older than this is not read any more.
STALE_SECONDS = 30
DATABASE_AGE = f"max(time() - aforo_exporter_last_success_timestamp_seconds{READ_PER_SCRAPE})"
QUEUE_AGE = f"max(time() - aforo_sqs_last_success_timestamp_seconds{OF_QUEUE})"
#: Unknown if one of the two is unknown.
AGE = f"({DATABASE_AGE} > {QUEUE_AGE}) or ({QUEUE_AGE} + 0 * {DATABASE_AGE})"
#: Every collector has a bar, in grey if its exporter is gone.
COLLECTORS_NOW = "min by (collector) (aforo_exporter_collector_success) or " + " or ".join(
    f'label_replace(vector(NaN), "collector", "{name}", "", "")' for name in COLLECTORS
)
#: Grafana's list of the alerts of its data sources, with description and link to the runbook of those of this name.
ALERT_RULES = "/alerting/list?search="
#: How many collectors cannot read. Unknown if a kind of them is missing, however many there are of another kind.
CANNOT_READ = (
    "count(aforo_exporter_collector_success == 0)"
    f" or 0 * (count(count by (collector) (aforo_exporter_collector_success)) >= {len(COLLECTORS)})"
)
ALERTS_NOW = table(
    Text("Alertas activas", "Firing alerts"),
    Text(
        "¿Qué hay que atender? Un clic abre la regla con su enlace a docs/runbook.md. Solo las de Aforo, sin las de "
        "otras colas.",
        "What needs attention? A click opens the rule with its link to docs/runbook.md. Only those of Aforo, without "
        "those of other queues.",
    ),
    WITH_REMEDY,
    key="alertname",
    columns=(
        Column(
            Text("Alerta", "Alert"),
            label="alertname",
            words={name: Word(meaning) for name, (meaning, _) in ALERTS.items()},
            link=ALERT_RULES + "${__value.raw}",
            width=200,
        ),
        Column(Text("Gravedad", "Severity"), label="severity", words=SEVERITIES, width=90),
        Column(
            Text("Qué hacer", "What to do"),
            label="remedy",
            words={name: Word(remedy) for name, (_, remedy) in ALERTS.items()},
            width=270,
        ),
        Column(Text("Prueba", "Run"), label="run_id"),
        Column(Text("Cola", "Queue"), label="queue"),
        Column(Text("Trabajo", "Job"), label="job"),
        Column(Text("Instancia", "Instance"), label="instance"),
        Column(Text("Fuente", "Source"), label="collector", words=COLLECTORS),
        Column(Text("Lugar", "Place"), label="place", words=PLACES),
    ),
    width=16,
    empty=Text("ninguna conocida", "none known"),
)
#: Videos without a message that stayed for two minutes, since messages and rows are counted at different moments.
LASTING_DIFFERENCE = (
    f"(min_over_time(queue:aforo_videos_without_message:difference{OF_QUEUE}[2m]) > 0)"
    f" or (max_over_time(queue:aforo_videos_without_message:difference{OF_QUEUE}[2m]) < 0)"
    f" or 0 * queue:aforo_videos_without_message:difference{OF_QUEUE}"
)
IS_FINE = (
    stat(
        Text("Objetivos sin respuesta", "Targets down"),
        of_all_queues(
            Text("¿Responde a Prometheus todo lo que mide?", "Does everything that measures answer Prometheus?")
        ),
        f"count(up{OURS} == 0) or 0 * count(up{OURS})",
        "none",
        width=4,
        thresholds=((None, GREEN), (1, RED)),
        empty=Text("Prometheus no responde", "Prometheus does not answer"),
    ),
    stat(
        Text("Alertas", "Alerts"),
        Text("¿Cuántas alertas hay activas? Abajo, cuáles.", "How many alerts are firing? Below, which."),
        f"count({FIRING_HERE}) or vector(0)",
        "none",
        width=4,
        thresholds=((None, GREEN), (1, RED)),
    ),
    stat(
        Text("Exportadores que no leen", "Exporters that cannot read"),
        of_all_queues(Text("¿Lee cada exportador su fuente?", "Does each exporter read its source?")),
        CANNOT_READ,
        "none",
        width=4,
        thresholds=((None, GREEN), (1, RED)),
        empty=Text("falta un exportador", "an exporter is missing"),
    ),
    stat(
        Text("Mayor edad de los datos", "Greatest age of the data"),
        Text(
            "¿Qué edad tiene el valor más viejo de una fuente? Las colas en reposo se leen cada 15 s. La lectura de la "
            "base de datos es la de todas las colas.",
            "How old is the oldest value of a source? Queues at rest are read every 15 s. The read of the database is "
            "that of all queues.",
        ),
        AGE,
        SECONDS,
        width=4,
        decimals=0,
        thresholds=((None, GREEN), (STALE_SECONDS, YELLOW), (4 * STALE_SECONDS, RED)),
        sparkline=True,
    ),
    stat(
        Text("Reglas perdidas", "Missed rules"),
        Text("¿Se saltó alguna evaluación de reglas?", "Was an evaluation of rules skipped?"),
        f"sum(increase(prometheus_rule_group_iterations_missed_total{SELF}[$__range]))",
        "none",
        decimals=0,
        thresholds=((None, GREEN), (1, RED)),
        width=4,
    ),
    stat(
        Text("Videos sin mensaje", "Videos without a message"),
        Text(
            "¿Coinciden la base de datos y la cola elegida? Lo que dura más de dos minutos debe ser 0.",
            "Do database and chosen queue agree? What lasts more than two minutes must be 0.",
        ),
        LASTING_DIFFERENCE,
        "none",
        width=4,
        minimum=None,
        thresholds=((None, YELLOW), (0, GREEN), (1, YELLOW)),
    ),
)

STACK_HEALTH = Board(
    uid="aforo-stack-health",
    title=Text("Aforo · Salud de la medición", "Aforo · Stack health"),
    description=Text(
        "Si las mediciones son fiables: objetivos, exportadores, reglas, Prometheus y el coste de medir.",
        "Whether the measurements are reliable: targets, exporters, rules, Prometheus and the cost of measuring.",
    ),
    time_from="now-30m",
    variables=(QUEUE, Variable("job", same("Prometheus"), "label_values(prometheus_tsdb_head_series, job)")),
    rows=(
        Row(Text("¿Se puede confiar en lo que se ve?", "Can what is shown be trusted?"), IS_FINE, height=4),
        Row(
            Text("¿Se mide todo?", "Is everything measured?"),
            (
                states(
                    Text("Objetivos", "Targets"),
                    of_all_queues(
                        Text(
                            "¿Qué objetivos responden a Prometheus, y desde cuándo no? Los trabajos de "
                            "`prometheus.yml`.",
                            "Which targets answer Prometheus, and since when not? The jobs of `prometheus.yml`.",
                        )
                    ),
                    (
                        Query(f"min by (job, instance) (up{OURS})", "{{job}} {{instance}}"),
                        Query(
                            f"min{of_queue_readers('aforo_worker_events_connected')}",
                            Text("eventos de Celery", "Celery events"),
                        ),
                    ),
                    UP,
                ),
                ALERTS_NOW,
            ),
        ),
        Row(
            Text("Exportadores", "Exporters"),
            (
                bars(
                    Text("Lecturas correctas", "Successful collections"),
                    of_all_queues(Text("¿Puede cada exportador leer su fuente?", "Can each exporter read its source?")),
                    (Query(COLLECTORS_NOW, "{{collector}}"),),
                    "none",
                    maximum=1,
                    words=COLLECTORS,
                    value_words=UP,
                    thresholds=((None, RED), (1, GREEN)),
                    width=6,
                ),
                series(
                    Text("Edad de los datos", "Age of the data"),
                    Text(
                        "¿Qué edad tienen los valores? Cada recogida lee la base de datos, la de todas las colas. De "
                        "la cola elegida se muestra la edad de la última respuesta de SQS.",
                        "How old are the values? Each scrape reads the database, that of all queues. For the chosen "
                        "queue, it is the age of the last answer of SQS.",
                    ),
                    (
                        Query(
                            "time() - max by (collector)"
                            f" (aforo_exporter_last_success_timestamp_seconds{READ_PER_SCRAPE})",
                            "{{collector}}",
                        ),
                        Query(
                            f"time() - max by (queue) (aforo_sqs_last_success_timestamp_seconds{OF_QUEUE})",
                            "SQS {{queue}}",
                        ),
                    ),
                    SECONDS,
                    width=6,
                    words=COLLECTORS,
                    thresholds=((None, "transparent"), (STALE_SECONDS, YELLOW)),
                ),
                series(
                    Text("Duración de una lectura", "Duration of a collection"),
                    of_all_queues(
                        Text(
                            "¿Cuánto tarda en leerse la base de datos? Las colas se leen en segundo plano y no "
                            "aparecen "
                            "aquí.",
                            "How long does it take to read the database? Queues are read in the background and are not "
                            "shown here.",
                        )
                    ),
                    (
                        Query(
                            f"max by (collector) (aforo_exporter_collector_duration_seconds{READ_PER_SCRAPE})",
                            "{{collector}}",
                        ),
                    ),
                    SECONDS,
                    width=6,
                    words=COLLECTORS,
                ),
                series(
                    Text("Errores por motivo", "Errors by reason"),
                    Text(
                        "¿Por qué falla una lectura? Las de un exportador, con su fuente delante, son de todas las "
                        "colas; sin ella, son los atributos de la cola elegida.",
                        "Why does a collection fail? Those of an exporter, with its source in front, are of all "
                        "queues; without one, they are the attributes of the chosen queue.",
                    ),
                    (
                        Query(
                            "sum by (collector, reason) (increase(aforo_exporter_errors_total[$__range])) > 0",
                            "{{collector}} {{reason}}",
                        ),
                        Query(
                            f"sum by (reason) (increase(aforo_sqs_poll_errors_total{OF_QUEUE}[$__range])) > 0",
                            "{{reason}}",
                        ),
                    ),
                    "none",
                    width=6,
                    as_bars=True,
                    words={**COLLECTOR_FAULTS, **FAULTS},
                    empty=NONE_KNOWN,
                ),
            ),
        ),
        Row(
            Text("Recogida y reglas", "Scrapes and rules"),
            (
                series(
                    Text("Duración de la recogida", "Scrape duration"),
                    of_all_queues(
                        Text(
                            "¿Cabe cada recogida en su intervalo de 1 s? Falta la de celery-exporter, que tarda "
                            "siempre "
                            "2 s, porque pregunta a los workers, y se hace cada 10 s.",
                            "Does each scrape fit its interval of 1 s? That of celery-exporter is left out: it always "
                            "takes 2 s, because it asks the workers, every 10 s.",
                        )
                    ),
                    (
                        Query(
                            f"max by (job) (scrape_duration_seconds{OURS}"
                            ' unless scrape_duration_seconds{job="celery-exporter"})',
                            "{{job}}",
                        ),
                    ),
                    SECONDS,
                    thresholds=((None, "transparent"), (SCRAPE_SECONDS, RED)),
                ),
                series(
                    Text("Muestras por recogida", "Samples per scrape"),
                    of_all_queues(Text("¿Crece el número de muestras?", "Does the number of samples grow?")),
                    (Query(f"sum by (job) (scrape_samples_scraped{OURS})", "{{job}}"),),
                    "none",
                ),
                series(
                    Text("Evaluación de reglas", "Rule evaluation"),
                    Text(
                        "¿Qué parte de su intervalo tarda el grupo de reglas más lento? Al 100 % se retrasa la tabla.",
                        "What share of its interval does the slowest rule group take? At 100 % the table is delayed.",
                    ),
                    (Query(f"max({RULE_SECONDS} / {RULE_INTERVAL})", Text("el más lento", "slowest"), BLUE),),
                    "percentunit",
                    thresholds=((None, "transparent"), (1, RED)),
                    empty=NOT_SCRAPED,
                ),
            ),
        ),
        Row(
            same("Prometheus"),
            (
                series(
                    Text("Series en memoria", "Series in memory"),
                    Text("¿Cuántas series tiene?", "How many series does it have?"),
                    (Query(f"max(prometheus_tsdb_head_series{SELF})", same("series"), BLUE),),
                    "none",
                    empty=NOT_SCRAPED,
                ),
                series(
                    Text("Memoria de Prometheus", "Prometheus memory"),
                    Text("¿Cuánta memoria usa?", "How much memory does it use?"),
                    (Query(f"max(process_resident_memory_bytes{SELF})", same("RSS"), ORANGE),),
                    "bytes",
                    empty=NOT_SCRAPED,
                ),
                series(
                    Text("CPU de Prometheus", "Prometheus CPU"),
                    Text(
                        "¿Cuánta CPU usa, que falta a los workers?", "How much CPU does it use, which the workers lack?"
                    ),
                    (
                        # Prometheus scrapes itself every 5 s, so Grafana's rate interval is too short.
                        Query(f"max(rate(process_cpu_seconds_total{SELF}[1m]))", Text("núcleos", "cores"), RED),
                    ),
                    CORES,
                    empty=NOT_SCRAPED,
                ),
            ),
        ),
        Row(
            Text("¿Cuánto cuesta medir?", "What does measuring cost?"),
            (
                series(
                    Text("Coste de muestrear", "Sampling cost"),
                    Text("¿Cuánta CPU gasta el worker en medirse?", "How much CPU does the worker spend on measuring?"),
                    (
                        Query(
                            f"sum by (instance) {of_queue_readers(f'rate({TELEMETRY}[$__rate_interval])')}",
                            "{{instance}}",
                        ),
                    ),
                    CORES,
                    empty=Text("el worker no lo publica", "the worker does not publish it"),
                ),
                series(
                    Text("Llamadas a SQS", "SQS calls"),
                    of_all_queues(
                        Text("¿Cuántas llamadas hace el exportador?", "How many calls does the exporter make?")
                    ),
                    (Query("sum by (operation) (rate(aforo_sqs_api_calls_total[$__rate_interval]))", "{{operation}}"),),
                    CALLS_PER_SECOND,
                ),
                stat(
                    Text("Coste mensual en SQS", "Monthly SQS cost"),
                    of_all_queues(
                        Text(
                            "¿Cuánto costarían al mes las llamadas del exportador en AWS?",
                            "What would the exporter's calls cost per month on AWS?",
                        )
                    ),
                    "max(aforo_sqs_api_cost_usd_per_month)",
                    "currencyUSD",
                    decimals=2,
                    empty=Text("el exportador no lo publica", "the exporter does not publish it"),
                ),
            ),
        ),
    ),
)
