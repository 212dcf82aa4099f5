"""Bottleneck: every resource against its ceiling, on one time axis with throughput."""

from __future__ import annotations

from grafana.board import Board, Row, Variable
from grafana.boards.capacity import VIDEOS_PER_MINUTE
from grafana.panel import Query, series, stat
from grafana.wording import BLUE, CPU_MODES, DIRECTIONS, GREEN, GREY, ORANGE, PURPLE, RED, RESOURCES, YELLOW
from pipeline.language import Text, same

HERE = 'instance=~"$instance"'
CORES = Text("suffix: núcleos", "suffix: cores")


def _ceiling(resource: str) -> Query:
    expr = f'sum by (resource) (aforo_node_ceiling_bytes_per_second{{{HERE}, resource=~"{resource}.*"}})'
    return Query(expr, Text("techo {{resource}}", "ceiling {{resource}}"), GREY, is_limit=True)


BOTTLENECK = Board(
    uid="aforo-bottleneck",
    title=Text("Aforo · Cuello de botella", "Aforo · Bottleneck"),
    description=Text(
        "Qué recurso está en su límite mientras X deja de crecer.",
        "Which resource is at its limit while X stops growing.",
    ),
    time_from="now-15m",
    variables=(
        Variable("instance", Text("Máquina", "Machine"), "label_values(aforo_node_cores, instance)", multiple=True),
    ),
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
                    Text("¿Quita CPU el anfitrión?", "Does the host take CPU away?"),
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
                    Text("¿Queda memoria?", "Is memory left?"),
                    f'min(aforo_node_memory_bytes{{kind="available", {HERE}}})',
                    "bytes",
                ),
                stat(
                    Text("Muertes por memoria", "OOM kills"),
                    Text("¿Mató el núcleo algún proceso?", "Did the kernel kill a process?"),
                    f"sum(increase(aforo_node_oom_kills_total{{{HERE}}}[$__range]))",
                    "none",
                    decimals=0,
                    thresholds=((None, GREEN), (1, RED)),
                ),
                stat(
                    Text("Espacio libre", "Free space"),
                    Text("¿Cabe lo que se va a escribir?", "Does what will be written fit?"),
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
                        "How many videos ended in the last minute? Compare with the resources below.",
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
                    Text("¿En qué se va la CPU, y cuánto hay?", "Where does CPU go, and how much is there?"),
                    (
                        Query(
                            f'sum by (mode) (rate(aforo_node_cpu_seconds_total{{{HERE}, mode!="idle"}}'
                            "[$__rate_interval]))",
                            "{{mode}}",
                        ),
                        Query(f"sum(aforo_node_cores{{{HERE}}})", Text("núcleos", "cores"), GREY, is_limit=True),
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
                    Text("¿Se acerca la memoria a su fin, o se usa swap?", "Does memory run out, or is swap used?"),
                    (
                        Query(
                            f'sum(aforo_node_memory_bytes{{kind="available", {HERE}}})', Text("libre", "free"), GREEN
                        ),
                        Query(
                            f'sum(aforo_node_memory_bytes{{kind="total", {HERE}}})', same("total"), GREY, is_limit=True
                        ),
                        Query(
                            f"sum(increase(aforo_node_swap_in_bytes_total{{{HERE}}}[$__rate_interval]))",
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
                    Text("¿Se acerca el disco a su techo medido?", "Does the disk near its measured ceiling?"),
                    (
                        Query(
                            f"sum by (direction) (instance_direction:aforo_node_disk_bytes:rate1m{{{HERE}}})",
                            "{{direction}}",
                        ),
                        _ceiling("disk"),
                    ),
                    "Bps",
                    words=DIRECTIONS,
                ),
                series(
                    Text("Red", "Network"),
                    Text("¿Se acerca la red a su techo medido?", "Does the network near its measured ceiling?"),
                    (
                        Query(
                            f"sum by (direction) (instance_direction:aforo_node_network_bytes:rate1m{{{HERE}}})",
                            "{{direction}}",
                        ),
                        _ceiling("network"),
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
            Text("Cuota del contenedor y ffmpeg", "Container quota and ffmpeg"),
            (
                series(
                    Text("Cuota de CPU", "CPU quota"),
                    Text("¿Cuánto tiempo pasa frenado el contenedor?", "How long is the container throttled?"),
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
                    Text("Núcleos que usa ffmpeg", "Cores ffmpeg uses"),
                    Text(
                        "¿Cuántos núcleos ocupan juntos los ffmpeg, y cuántos slots trabajan?",
                        "How many cores do all ffmpeg use together, and how many slots work?",
                    ),
                    (
                        Query(
                            f"sum(rate(aforo_worker_ffmpeg_cpu_seconds_sum{{{HERE}}}[2m]))",
                            Text("CPU de ffmpeg", "ffmpeg CPU"),
                            ORANGE,
                        ),
                        Query(f"sum(aforo_worker_slots_busy{{{HERE}}})", Text("slots ocupados", "busy slots"), BLUE),
                        Query(f"sum(aforo_node_cores{{{HERE}}})", Text("núcleos", "cores"), PURPLE, is_limit=True),
                    ),
                    CORES,
                    width=12,
                    decimals=2,
                ),
            ),
        ),
    ),
)
