"""Dashboard Bottleneck: the use of each resource relative to its measured limit, and throughput.

All panels have one time axis.
"""

from __future__ import annotations

from core.language import Text, same
from core.promql import summed_over_machines
from grafana.board import Board, Row, Variable
from grafana.boards.capacity import VIDEOS_PER_MINUTE
from grafana.boards.choices import HERE
from grafana.panel import Query, series, stat
from grafana.wording import BLUE, CPU_MODES, DIRECTIONS, GREEN, GREY, ORANGE, RED, RESOURCES, YELLOW

CORES = Text("suffix: núcleos", "suffix: cores")


def _bandwidth_limit(resource: str) -> Query:
    limit = f'aforo_node_bandwidth_limit_bytes_per_second{{{HERE}, resource=~"{resource}.*"}}'
    name = Text("límite {{resource}}", "limit {{resource}}")
    return Query(summed_over_machines(limit, "resource"), name, GREY, is_limit=True)


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
    variables=(Variable("instance", same("Worker"), "label_values(aforo_node_cores, instance)", multiple=True),),
    rows=(
        Row(
            Text("¿Qué está al límite?", "What is at its limit?"),
            (
                stat(
                    Text("CPU en uso", "CPU in use"),
                    Text("¿Están los núcleos ocupados?", "Are the cores busy?"),
                    f"max(instance:aforo_node_cpu_busy:ratio1m{{{HERE}}})",
                    "percentunit",
                    maximum=1,
                    decimals=0,
                    thresholds=((None, GREEN), (0.8, YELLOW), (0.95, RED)),
                ),
                stat(
                    Text("CPU robada", "CPU stolen"),
                    Text(
                        "¿Da el anfitrión tiempo de CPU a otras máquinas?",
                        "Does the host give CPU time to other guests?",
                    ),
                    f"max(instance:aforo_node_cpu_steal:ratio1m{{{HERE}}})",
                    "percentunit",
                    decimals=1,
                    thresholds=((None, GREEN), (0.02, YELLOW), (0.05, RED)),
                ),
                stat(
                    Text("Periodos frenados", "Throttled periods"),
                    Text("¿Frena al contenedor su cuota de CPU?", "Does its CPU quota slow the container?"),
                    f"max(instance:aforo_node_cgroup_throttled_periods:ratio1m{{{HERE}}})",
                    "percentunit",
                    decimals=0,
                    thresholds=((None, GREEN), (0.05, YELLOW), (0.25, RED)),
                    empty=Text("sin cuota", "no quota"),
                ),
                stat(
                    Text("Memoria disponible", "Memory available"),
                    Text("¿Cuánta memoria queda?", "How much memory is left?"),
                    f'min(aforo_node_memory_bytes{{kind="available", {HERE}}})',
                    "bytes",
                ),
                stat(
                    Text("Muertes por memoria", "OOM kills"),
                    Text(
                        "¿Mató el núcleo algún proceso por falta de memoria?",
                        "Did the kernel kill a process because memory ran out?",
                    ),
                    summed_over_machines(f"increase(aforo_node_oom_kills_total{{{HERE}}}[$__range])"),
                    "none",
                    decimals=0,
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Espacio libre", "Free space"),
                    Text("¿Hay espacio para los archivos de la prueba?", "Is there space for the files of the run?"),
                    f"min(aforo_node_filesystem_free_bytes{{{HERE}}})",
                    "bytes",
                    thresholds=((None, RED), (2 * 1024**3, YELLOW), (10 * 1024**3, GREEN)),
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
                        "¿Cuántos videos acabaron en el último minuto? Compárese con los recursos de abajo.",
                        "How many videos finished in the last minute? Compare with the resources below.",
                    ),
                    (Query("sum(run_id:aforo_run_videos_final:increase1m)", same("videos/min"), GREEN),),
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
                    Text("¿En qué se gasta la CPU, y cuánta hay?", "What uses the CPU, and how much is there?"),
                    (
                        Query(
                            summed_over_machines(
                                f'rate(aforo_node_cpu_seconds_total{{{HERE}, mode!="idle"}}[$__rate_interval])', "mode"
                            ),
                            "{{mode}}",
                        ),
                        MACHINE_CORES,
                    ),
                    CORES,
                    stacked=True,
                    words=CPU_MODES,
                    decimals=2,
                ),
                series(
                    Text("Presión (PSI)", "Pressure (PSI)"),
                    Text(
                        "¿Qué parte del tiempo esperó alguna tarea por un recurso?",
                        "What share of the time did some task wait for a resource?",
                    ),
                    (
                        Query(
                            f"max by (resource) (instance_resource:aforo_node_pressure:ratio1m{{{HERE}}})",
                            "{{resource}}",
                        ),
                    ),
                    "percentunit",
                    words=RESOURCES,
                    decimals=1,
                ),
                series(
                    Text("Memoria y muertes por memoria", "Memory and OOM kills"),
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
                    Text("¿Se acerca el disco a su límite medido?", "Does the disk approach its measured limit?"),
                    (
                        Query(
                            summed_over_machines(
                                f"instance_direction:aforo_node_disk_bytes:rate1m{{{HERE}}}", "direction"
                            ),
                            "{{direction}}",
                        ),
                        _bandwidth_limit("disk"),
                    ),
                    "Bps",
                    words=DIRECTIONS,
                ),
                series(
                    Text("Red", "Network"),
                    Text("¿Se acerca la red a su límite medido?", "Does the network approach its measured limit?"),
                    (
                        Query(
                            f"sum by (direction) (instance_direction:aforo_node_network_bytes:rate1m{{{HERE}}})",
                            "{{direction}}",
                        ),
                        _bandwidth_limit("network"),
                    ),
                    "Bps",
                    words=DIRECTIONS,
                ),
                series(
                    Text("Espacio libre por lugar", "Free space by place"),
                    Text("¿Se llena un disco durante la prueba?", "Does a disk fill up during the run?"),
                    (Query(f"min by (place) (aforo_node_filesystem_free_bytes{{{HERE}}})", "{{place}}"),),
                    "bytes",
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
                    CORES,
                    width=12,
                    decimals=2,
                ),
            ),
        ),
    ),
)
