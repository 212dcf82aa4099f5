"""Dashboard *Bottleneck*: throughput, and the use of each resource relative to its measured limit.

All curves have the same time axis, so that they can be compared at each moment.
"""

from __future__ import annotations

from core.language import Text, same
from core.promql import summed_over_machines
from grafana.board import Board, Row
from grafana.boards.choices import (
    APP_OF_WORKERS,
    CORES,
    HERE,
    INSTANCE,
    OF_QUEUE_AND_APP,
    QUEUE,
    VIDEOS_PER_MINUTE,
    numbered,
)
from grafana.panel import Query, series, stat
from grafana.wording import (
    BLUE,
    BOTTLENECK_NUMBERS,
    BOTTLENECKS,
    CPU_MODES,
    DIRECTIONS,
    GREEN,
    GREY,
    LIMITS,
    ORANGE,
    PLACES,
    RED,
    RESOURCES,
    YELLOW,
    Word,
)

#: From these shares on, a figure counts as evidence of the verdict. Those of capacity/diagnosis/bottleneck.py.
CPU_LIMIT = 0.9
PRESSURE_LIMIT = 0.2
BANDWIDTH_LIMIT = 0.8
#: Bytes of the alert DiskNearlyFull.
FREE_SPACE_LIMIT = 2 * 1024**3


def _bandwidth_limits(resource: str) -> tuple[Query, ...]:
    """Return the limits of both directions, each in the colour of its direction, and what counts for the verdict."""
    return tuple(query for name, word in LIMITS.items() if name.startswith(resource) for query in _limit(name, word))


def _limit(name: str, word: Word) -> tuple[Query, Query]:
    measured = summed_over_machines(f'aforo_node_bandwidth_limit_bytes_per_second{{{HERE}, resource="{name}"}}')
    share = Text(f"{BANDWIDTH_LIMIT:.0%} del {word.text.es}", f"{BANDWIDTH_LIMIT:.0%} of the {word.text.en}")
    return (
        Query(measured, word.text, word.color, is_limit=True),
        Query(f"{BANDWIDTH_LIMIT} * {measured}", share, YELLOW, is_limit=True),
    )


#: The stored verdicts of the newest run of the chosen queue that has one.
VERDICT = (
    'run_id_kind_verdict:aforo_run_verdict:max{kind="bottleneck"} and on (run_id) topk(1, '
    "max by (run_id) (aforo_run_window_start_timestamp_seconds) and on (run_id)"
    f" aforo_run_info{OF_QUEUE_AND_APP} and on (run_id)"
    ' run_id_kind_verdict:aforo_run_verdict:max{kind="bottleneck"})'
)
#: Counts, because a run shorter than a minute has the rate of its own time: the rates of runs one after the other would
#: add up to more than the machine can process.
DONE_IN_THE_LAST_MINUTE = (
    f"sum(run_id:aforo_run_videos_done:increase1m and on (run_id) aforo_run_info{OF_QUEUE_AND_APP})"
)

MACHINE_CORES = Query(
    summed_over_machines(f"aforo_node_cores{{{HERE}}}"), Text("núcleos", "cores"), GREY, is_limit=True
)
BOTTLENECK = Board(
    uid="aforo-bottleneck",
    title=Text("Aforo · Cuello de botella", "Aforo · Bottleneck"),
    description=Text(
        "Qué recurso está en su límite mientras X deja de crecer. Una máquina cuenta una vez, tenga cuantos workers "
        "tenga.",
        "Which resource is at its limit while X stops growing. A machine counts once, however many workers it has.",
    ),
    time_from="now-15m",
    variables=(QUEUE, APP_OF_WORKERS, INSTANCE),
    rows=(
        Row(
            Text("¿Qué está al límite?", "What is at its limit?"),
            (
                stat(
                    Text("Veredicto de la última prueba", "Verdict of the last run"),
                    Text(
                        "¿Qué limitó la última prueba con informe de la cola elegida? Las demás cifras son de ahora.",
                        "What limited the last reported run of the chosen queue? The other figures are of now.",
                    ),
                    numbered(VERDICT, "verdict", BOTTLENECKS),
                    "none",
                    legend="",
                    width=6,
                    minimum=None,
                    value_words=BOTTLENECK_NUMBERS,
                    empty=Text("aún sin informe", "no report yet"),
                ),
                stat(
                    Text("CPU en uso", "CPU in use"),
                    Text(
                        "¿Están los núcleos ocupados? En el último minuto; el veredicto cuenta toda la prueba.",
                        "Are the cores busy? In the last minute; the verdict counts the whole run.",
                    ),
                    f"max(instance:aforo_node_cpu_busy:ratio1m{{{HERE}}})",
                    "percentunit",
                    width=3,
                    sparkline=True,
                    maximum=1,
                    decimals=0,
                    thresholds=((None, GREEN), (0.8, YELLOW), (CPU_LIMIT, RED)),
                ),
                stat(
                    Text("CPU robada", "CPU stolen"),
                    Text(
                        "¿Da el anfitrión tiempo de CPU a otras máquinas?",
                        "Does the host give CPU time to other guests?",
                    ),
                    f"max(instance:aforo_node_cpu_steal:ratio1m{{{HERE}}})",
                    "percentunit",
                    width=3,
                    decimals=1,
                    sparkline=True,
                    thresholds=((None, GREEN), (0.02, YELLOW), (0.05, RED)),
                ),
                stat(
                    Text("Periodos frenados", "Throttled periods"),
                    Text("¿Frena al contenedor su cuota de CPU?", "Does its CPU quota slow the container?"),
                    # a worker without a quota has the value -1, and without a worker there is no value
                    f"max(instance:aforo_node_cgroup_throttled_periods:ratio1m{{{HERE}}})"
                    f" or - max(aforo_node_cores{{{HERE}}} > bool 0)",
                    "percentunit",
                    width=3,
                    minimum=None,
                    decimals=0,
                    value_words={"-1": Word(Text("sin cuota", "no quota"), GREY)},
                    thresholds=((None, GREEN), (0.05, YELLOW), (0.25, RED)),
                ),
                stat(
                    Text("Memoria disponible", "Memory available"),
                    Text("¿Cuánta memoria queda?", "How much memory is left?"),
                    f'min(aforo_node_memory_bytes{{kind="available", {HERE}}})',
                    "bytes",
                    width=3,
                    decimals=1,
                ),
                stat(
                    Text("Muertes por memoria", "OOM kills"),
                    Text(
                        "¿Mató el núcleo algún proceso por falta de memoria?",
                        "Did the kernel kill a process because memory ran out?",
                    ),
                    summed_over_machines(f"increase(aforo_node_oom_kills_total{{{HERE}}}[$__range])"),
                    "none",
                    width=3,
                    decimals=0,
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Espacio libre", "Free space"),
                    Text("¿Hay espacio para los archivos de la prueba?", "Is there space for the files of the run?"),
                    f"min(aforo_node_filesystem_free_bytes{{{HERE}}})",
                    "bytes",
                    width=3,
                    decimals=1,
                    thresholds=((None, RED), (FREE_SPACE_LIMIT, YELLOW), (10 * 1024**3, GREEN)),
                ),
            ),
            height=4,
        ),
        Row(
            Text("¿Qué se logra?", "What is achieved?"),
            (
                series(
                    Text("Ritmo", "Throughput"),
                    Text(
                        "¿Cuántos videos terminaron en el último minuto, sin los fallidos? Compárese con los recursos "
                        "de abajo.",
                        "How many videos were done in the last minute, without failed ones? Compare with the resources "
                        "below.",
                    ),
                    (Query(DONE_IN_THE_LAST_MINUTE, same("videos/min"), GREEN),),
                    VIDEOS_PER_MINUTE,
                    width=24,
                ),
            ),
            height=6,
        ),
        Row(
            Text("Procesador y memoria", "Processor and memory"),
            (
                series(
                    same("CPU"),
                    Text(
                        "¿En qué se gasta la CPU, y cuánta hay? Desde la línea amarilla cuenta para el veredicto (con "
                        "SMT, desde el 85 %).",
                        "What uses the CPU, and how much is there? From the yellow line on, it counts for the verdict "
                        "(with SMT, from 85 %).",
                    ),
                    (
                        Query(
                            summed_over_machines(
                                f'rate(aforo_node_cpu_seconds_total{{{HERE}, mode!="idle"}}[$__rate_interval])', "mode"
                            ),
                            "{{mode}}",
                        ),
                        MACHINE_CORES,
                        Query(
                            f"{CPU_LIMIT} * {MACHINE_CORES.expr}",
                            Text(f"{CPU_LIMIT:.0%} de los núcleos", f"{CPU_LIMIT:.0%} of the cores"),
                            YELLOW,
                            is_limit=True,
                        ),
                    ),
                    CORES,
                    stacked=True,
                    words=CPU_MODES,
                ),
                series(
                    Text("Presión (PSI)", "Pressure (PSI)"),
                    Text(
                        "¿Qué parte del tiempo esperó alguna tarea por un recurso? Desde la línea, la de CPU o "
                        "disco cuenta para el veredicto.",
                        "What share of the time did some task wait for a resource? From the line on, that of CPU or "
                        "I/O counts for the verdict.",
                    ),
                    (
                        Query(
                            f"max by (resource) (instance_resource:aforo_node_pressure:ratio1m{{{HERE}}})",
                            "{{resource}}",
                        ),
                    ),
                    "percentunit",
                    words=RESOURCES,
                    thresholds=((None, "transparent"), (PRESSURE_LIMIT, ORANGE)),
                ),
                series(
                    Text("Memoria y swap", "Memory and swap"),
                    Text("¿Se agota la memoria, o se usa swap?", "Does memory run out, or is swap used?"),
                    (
                        Query(
                            summed_over_machines(f'aforo_node_memory_bytes{{kind="available", {HERE}}}'),
                            Text("libre", "free"),
                            GREEN,
                        ),
                        Query(
                            summed_over_machines(f'aforo_node_memory_bytes{{kind="total", {HERE}}}'),
                            same("total"),
                            GREY,
                            is_limit=True,
                        ),
                        Query(
                            summed_over_machines(
                                f"increase(aforo_node_swap_in_bytes_total{{{HERE}}}[$__rate_interval])"
                            ),
                            Text("leído de swap", "read from swap"),
                            RED,
                        ),
                    ),
                    "bytes",
                ),
            ),
        ),
        Row(
            Text("Disco y red", "Disk and network"),
            (
                series(
                    Text("Disco", "Disk"),
                    Text(
                        "¿Se acerca el disco a su límite medido? Desde la línea amarilla cuenta para el veredicto.",
                        "Does the disk approach its measured limit? It counts for the verdict from the yellow line on.",
                    ),
                    (
                        Query(
                            summed_over_machines(
                                f"instance_direction:aforo_node_disk_bytes:rate1m{{{HERE}}}", "direction"
                            ),
                            "{{direction}}",
                        ),
                        *_bandwidth_limits("disk"),
                    ),
                    "Bps",
                    words=DIRECTIONS,
                ),
                series(
                    Text("Red", "Network"),
                    Text(
                        "¿Se acerca la red a su límite medido? Desde la línea amarilla cuenta para el veredicto.",
                        "Does the network approach its measured limit? "
                        "It counts for the verdict from the yellow line on.",
                    ),
                    (
                        Query(
                            f"sum by (direction) (instance_direction:aforo_node_network_bytes:rate1m{{{HERE}}})",
                            "{{direction}}",
                        ),
                        *_bandwidth_limits("network"),
                    ),
                    "Bps",
                    words=DIRECTIONS,
                ),
                series(
                    Text("Espacio libre por lugar", "Free space by place"),
                    Text(
                        "¿Se llena un disco durante la prueba? Por debajo de la línea hay una alerta.",
                        "Does a disk fill up during the run? Below the line, there is an alert.",
                    ),
                    (Query(f"min by (place) (aforo_node_filesystem_free_bytes{{{HERE}}})", "{{place}}"),),
                    "bytes",
                    words=PLACES,
                    thresholds=((None, "transparent"), (FREE_SPACE_LIMIT, RED)),
                ),
            ),
        ),
        Row(
            Text("Cuota del contenedor y slots", "Container quota and slots"),
            (
                series(
                    Text("Cuota de CPU", "CPU quota"),
                    Text("¿Cuánto tiempo está frenado el contenedor?", "For how long is the container throttled?"),
                    (
                        Query(
                            f"sum(rate(aforo_node_cgroup_throttled_seconds_total{{{HERE}}}[$__rate_interval]))",
                            Text("frenado", "throttled"),
                            RED,
                        ),
                        Query(
                            f"sum(aforo_node_cgroup_cpu_limit_cores{{{HERE}}})",
                            Text("cuota", "quota"),
                            GREY,
                            is_limit=True,
                        ),
                    ),
                    CORES,
                    width=12,
                    empty=Text("sin cuota de CPU", "no CPU quota"),
                ),
                series(
                    Text("Slots y núcleos", "Slots and cores"),
                    Text(
                        "¿Ocupan los slots todos los núcleos? CPU de todos los programas de la máquina. La de cada "
                        "ffmpeg se conoce cuando acaba: véase «CPU por video» en Worker.",
                        "Do the busy slots use all cores? CPU of all programs of the machine. That of one ffmpeg is "
                        "available when it ends: see 'CPU per video' on Worker.",
                    ),
                    (
                        Query(
                            summed_over_machines(
                                f'rate(aforo_node_cpu_seconds_total{{{HERE}, mode=~"user|nice"}}[$__rate_interval])'
                            ),
                            Text("CPU de programas", "CPU of programs"),
                            ORANGE,
                        ),
                        Query(f"sum(aforo_worker_slots_busy{{{HERE}}})", Text("slots ocupados", "busy slots"), BLUE),
                        MACHINE_CORES,
                    ),
                    Text("núcleos o slots", "cores or slots"),
                    width=12,
                ),
            ),
        ),
    ),
)
