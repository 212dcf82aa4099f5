"""Dashboard Stack health: state of targets, exporters and rules, and the cost of measuring."""

from __future__ import annotations

from core.language import Text, same
from grafana.board import Board, Row, Variable
from grafana.boards.choices import FIRING
from grafana.panel import Column, Query, bars, series, stat, states, table
from grafana.wording import BLUE, GREEN, ORANGE, RED, UP, YELLOW

SELF = '{job=~"$job"}'
NOT_SCRAPED = Text("Prometheus no se recoge a sí mismo", "Prometheus does not scrape itself")
#: The jobs of prometheus/*.yml. The job of Prometheus itself is a variable.
OURS = '{job=~"worker|sqs-exporter|db-exporter|collector|celery-exporter|$job"}'
RULE_SECONDS = f"prometheus_rule_group_last_duration_seconds{SELF}"
RULE_INTERVAL = f"prometheus_rule_group_interval_seconds{SELF}"
#: The collectors `sqs` and `waiting` answer from memory, so the duration of their scrape is not that of a read.
READ_PER_SCRAPE = '{collector="db"}'
ALERTS_NOW = table(
    Text("Alertas activas", "Firing alerts"),
    Text(
        "¿Qué hay que atender? El runbook explica cada alerta. Solo las de Aforo.",
        "What needs attention? The runbook explains each alert. Only those of Aforo.",
    ),
    f"max by (alertname, severity, job, run_id, queue, instance, collector, place) ({FIRING})",
    key="alertname",
    columns=(
        Column(Text("Alerta", "Alert"), label="alertname"),
        Column(Text("Gravedad", "Severity"), label="severity"),
        Column(Text("Prueba", "Run"), label="run_id"),
        Column(Text("Cola", "Queue"), label="queue"),
        Column(Text("Trabajo", "Job"), label="job"),
        Column(Text("Instancia", "Instance"), label="instance"),
        Column(Text("Fuente", "Source"), label="collector"),
        Column(Text("Lugar", "Place"), label="place"),
    ),
    width=16,
    empty=Text("ninguna", "none"),
)

STACK_HEALTH = Board(
    uid="aforo-stack-health",
    title=Text("Aforo · Salud de la medición", "Aforo · Stack health"),
    description=Text(
        "Si las mediciones son fiables: objetivos, exportadores, reglas, Prometheus y el coste de medir.",
        "Whether the measurements are reliable: targets, exporters, rules, Prometheus and the cost of measuring.",
    ),
    time_from="now-30m",
    variables=(Variable("job", same("Prometheus"), "label_values(prometheus_tsdb_head_series, job)"),),
    rows=(
        Row(
            Text("¿Se mide todo?", "Is everything measured?"),
            (
                states(
                    Text("Objetivos", "Targets"),
                    Text(
                        "¿Qué objetivos responden a Prometheus, y desde cuándo no? Los trabajos de `prometheus.yml`.",
                        "Which targets answer Prometheus, and since when not? The jobs of `prometheus.yml`.",
                    ),
                    (
                        Query(f"min by (job, instance) (up{OURS})", "{{job}} {{instance}}"),
                        Query("min(aforo_worker_events_connected)", Text("eventos de Celery", "Celery events")),
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
                    Text("¿Puede cada exportador leer su fuente?", "Can each exporter read its source?"),
                    (Query("min by (collector) (aforo_exporter_collector_success)", "{{collector}}"),),
                    "none",
                    maximum=1,
                    value_words=UP,
                    thresholds=((None, RED), (1, GREEN)),
                    width=6,
                ),
                series(
                    Text("Edad de los datos", "Age of the data"),
                    Text(
                        "¿Qué edad tienen los valores? La base de datos se lee en cada recogida. De las colas se "
                        "muestra la edad de la última respuesta de SQS.",
                        "How old are the values? Each scrape reads the database. For the queues, it is the age of the "
                        "last answer of SQS.",
                    ),
                    (
                        Query(
                            "time() - max by (collector)"
                            f" (aforo_exporter_last_success_timestamp_seconds{READ_PER_SCRAPE})",
                            "{{collector}}",
                        ),
                        Query("time() - max by (queue) (aforo_sqs_last_success_timestamp_seconds)", "SQS {{queue}}"),
                    ),
                    "s",
                    width=6,
                ),
                series(
                    Text("Duración de una lectura", "Duration of a collection"),
                    Text(
                        "¿Cuánto tarda en leerse la base de datos? Las colas se leen en segundo plano y no aparecen "
                        "aquí.",
                        "How long does it take to read the database? Queues are read in the background and are not "
                        "shown here.",
                    ),
                    (
                        Query(
                            f"max by (collector) (aforo_exporter_collector_duration_seconds{READ_PER_SCRAPE})",
                            "{{collector}}",
                        ),
                    ),
                    "s",
                    width=6,
                    decimals=4,
                ),
                series(
                    Text("Errores por motivo", "Errors by reason"),
                    Text("¿Por qué falla una lectura?", "Why does a collection fail?"),
                    (
                        Query(
                            "sum by (collector, reason) (increase(aforo_exporter_errors_total[$__range])) > 0",
                            "{{collector}} {{reason}}",
                        ),
                        Query(
                            "sum by (queue, reason) (increase(aforo_sqs_poll_errors_total[$__range])) > 0",
                            "{{queue}} {{reason}}",
                        ),
                    ),
                    "none",
                    width=6,
                    decimals=0,
                    empty=Text("ninguno", "none"),
                ),
            ),
        ),
        Row(
            Text("Recogida y reglas", "Scrapes and rules"),
            (
                series(
                    Text("Duración de la recogida", "Scrape duration"),
                    Text("¿Cabe cada recogida en su intervalo?", "Does each scrape fit its interval?"),
                    (Query(f"max by (job) (scrape_duration_seconds{OURS})", "{{job}}"),),
                    "s",
                    decimals=4,
                ),
                series(
                    Text("Muestras por recogida", "Samples per scrape"),
                    Text("¿Crece el número de muestras?", "Does the number of samples grow?"),
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
                    decimals=2,
                    width=5,
                    empty=NOT_SCRAPED,
                ),
                stat(
                    Text("Evaluaciones perdidas", "Missed evaluations"),
                    Text("¿Se saltó alguna evaluación de reglas?", "Was an evaluation of rules skipped?"),
                    f"sum(increase(prometheus_rule_group_iterations_missed_total{SELF}[$__range]))",
                    "none",
                    decimals=0,
                    thresholds=((None, GREEN), (1, RED)),
                    width=3,
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
                    Text("suffix: núcleos", "suffix: cores"),
                    decimals=3,
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
                            "sum by (instance) (rate(aforo_worker_telemetry_cpu_seconds_total[$__rate_interval]))",
                            "{{instance}}",
                        ),
                    ),
                    Text("suffix: núcleos", "suffix: cores"),
                    decimals=4,
                    empty=Text("el worker no lo publica", "the worker does not publish it"),
                ),
                series(
                    Text("Llamadas a SQS", "SQS calls"),
                    Text("¿Cuántas llamadas hace el exportador?", "How many calls does the exporter make?"),
                    (Query("sum by (operation) (rate(aforo_sqs_api_calls_total[$__rate_interval]))", "{{operation}}"),),
                    Text("suffix: llamadas/s", "suffix: calls/s"),
                    decimals=2,
                ),
                stat(
                    Text("Coste mensual en SQS", "Monthly SQS cost"),
                    Text(
                        "¿Cuánto costarían al mes las llamadas del exportador en AWS?",
                        "What would the exporter's calls cost per month on AWS?",
                    ),
                    "max(aforo_sqs_api_cost_usd_per_month)",
                    "currencyUSD",
                    decimals=2,
                    empty=Text("el exportador no lo publica", "the exporter does not publish it"),
                ),
                stat(
                    Text("Videos sin mensaje", "Videos without a message"),
                    Text(
                        "¿Coinciden la base de datos y la cola? Fuera de una prueba debe ser 0.",
                        "Do database and queue agree? Outside a run it must be 0.",
                    ),
                    "aforo_videos_without_message:difference",
                    "none",
                    minimum=None,
                    thresholds=((None, YELLOW), (0, GREEN), (1, YELLOW)),
                ),
            ),
        ),
    ),
)
