"""Turn the codes and numbers that the formulas return into sentences in the user's language.

The code of a `Reason` selects a template, such as `{working} of {slots} slots worked`. The values of the `Reason` fill
the placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from string import Formatter
from typing import Any

from capacity.audit.impossible import Impossibility
from capacity.audit.suspicious import Oddity
from capacity.diagnosis.bottleneck import BottleneckVerdict, Cause, Confidence
from capacity.diagnosis.criteria import Measurement, Quantity, Relation
from capacity.diagnosis.data_quality import Problem
from capacity.diagnosis.next_steps import Disproof, NextStep
from capacity.estimators.comparison import NotComparable
from capacity.estimators.reason import Reason
from capacity.estimators.throughput import NoCapacity
from capacity.estimators.usl import FitCaution, FitRefusal, PeakRefusal
from capacity.sizing.scale_limits import SharedPart
from core.language import CAUSE_NAMES, VALIDITY_REASON_NAMES, Language, Text

CONFIDENCE_NAMES: Mapping[Confidence, Text] = {
    Confidence.HIGH: Text("alta", "high"),
    Confidence.MEDIUM: Text("media", "medium"),
    Confidence.LOW: Text("baja", "low"),
}
NOTHING_MEASURED = Text("nada medido", "nothing measured")
NOT_MEASURED = Text("sin medir", "not measured")

NO_CAPACITY: Mapping[NoCapacity, Text] = {
    NoCapacity.NO_SECOND_GENERATION: Text(
        "{executions} {executions:ejecución|ejecuciones} en {slots} {slots:slot|slots}: no hay segunda generación, "
        "hacen falta más videos que slots",
        "{executions} {executions:execution|executions} on {slots} {slots:slot|slots}: no second generation, "
        "more videos than slots are needed",
    ),
    NoCapacity.NO_COMPLETED_VIDEO: Text("ninguna ejecución terminó un video", "no execution completed a video"),
    NoCapacity.CLOCK_SKEW: Text(
        "ciclos no positivos: relojes desajustados", "slot cycles are not positive: clock skew"
    ),
    NoCapacity.OVERLAPPING_EXECUTIONS: Text(
        "{executions} {executions:ejecución empieza|ejecuciones empiezan} antes de que su slot quede libre: hubo más "
        "ejecuciones a la vez que los {slots} slots declarados, o el número de slot no es fiable",
        "{executions} {executions:execution starts|executions start} before its slot is free: more ran at a time than "
        "the {slots} declared slots, or the recorded slot is wrong",
    ),
    NoCapacity.FASTER_THAN_SERVICE: Text(
        "X_sat = {x_sat_per_minute:.2f} supera {most_per_minute:.2f}/min, el máximo que permite el tiempo de servicio",
        "X_sat = {x_sat_per_minute:.2f} exceeds {most_per_minute:.2f}/min, the most that the service time allows",
    ),
    NoCapacity.AUTOSCALE: Text(
        "el worker cambia su número de slots (--autoscale {autoscale})",
        "the worker changes its number of slots (--autoscale {autoscale})",
    ),
    NoCapacity.IDLE_SLOTS: Text(
        "solo {working:trabajó|trabajaron} {working} de {slots} slots aunque había mensajes en espera{shown}",
        "only {working} of {slots} slots worked although messages waited{shown}",
    ),
}
NOT_COMPARABLE: Mapping[NotComparable, Text] = {
    NotComparable.TOO_FEW_RUNS: Text(
        "hacen falta al menos {runs_per_side_needed} pruebas por lado",
        "at least {runs_per_side_needed} runs per side are needed",
    ),
    NotComparable.NO_HISTORY: Text(
        "una prueba por lado no basta sin un historial de {history_runs_needed} pruebas",
        "one run per side is not enough without a history of {history_runs_needed} runs",
    ),
    NotComparable.NO_VARIANCE: Text(
        "{run_id} no tiene coeficiente de variación: hacen falta dos ejecuciones",
        "{run_id} has no coefficient of variation: it needs two executions",
    ),
    NotComparable.INVALID_RUN: Text("{run_id} no es válida: {shown}", "{run_id} is invalid: {shown}"),
    NotComparable.NO_X_SAT: Text("{run_id} no tiene X_sat", "{run_id} has no X_sat"),
    NotComparable.INCOMPLETE_RUN: Text("{run_id} no está completa", "{run_id} is not complete"),
    NotComparable.DIFFERENT_CONDITIONS: Text(
        "las pruebas no son comparables, difieren en {shown}", "the runs differ in {shown}"
    ),
}
FIT_REFUSALS: Mapping[FitRefusal, Text] = {
    FitRefusal.TOO_FEW_LEVELS: Text(
        "niveles de concurrencia: {levels}; hacen falta {levels_needed}",
        "levels of concurrency: {levels}; {levels_needed} are needed",
    ),
    FitRefusal.SUPERLINEAR: Text(
        "eficiencia {efficiency_ratio:.3f} > {limit_ratio}: escala más que linealmente, lo que indica calentamiento o "
        "error",
        "efficiency {efficiency_ratio:.3f} > {limit_ratio}: superlinear, which means warm-up or a measurement error",
    ),
    FitRefusal.POOR_FIT: Text(
        "residuo de {residual_ratio:percent1} en n = {n:g}: la USL no describe estos datos; use la cota",
        "residual of {residual_ratio:percent1} at n = {n:g}: the USL does not describe these data; use the bound",
    ),
    FitRefusal.BEYOND_ERRORS: Text(
        "los puntos se apartan de la USL hasta {residual_ratio:percent1}, más de lo que permiten sus errores (χ² = "
        "{chi_square:.1f}, {dof} {dof:grado|grados} de libertad, p = {p_value:.2g} < 0.01); use la cota",
        "the points are up to {residual_ratio:percent1} off the USL, more than their errors allow (χ² = "
        "{chi_square:.1f}, {dof} {dof:degree|degrees} of freedom, p = {p_value:.2g} < 0.01); use the bound",
    ),
}
FIT_CAUTIONS: Mapping[FitCaution, Text] = {
    FitCaution.LOOSE_FIT: Text(
        "residuo de {residual_ratio:percent1} en n = {n:g}: la USL solo describe estos datos a grandes rasgos",
        "residual of {residual_ratio:percent1} at n = {n:g}: the USL describes these data only roughly",
    ),
}
PEAK_REFUSALS: Mapping[PeakRefusal, Text] = {
    PeakRefusal.NO_PEAK: Text("kappa = 0: el ajuste no tiene máximo", "kappa = 0: the fit has no peak"),
    PeakRefusal.EXTRAPOLATED: Text(
        "el máximo {n_peak:.1f} queda más allá del doble del mayor nivel medido ({n_largest:g})",
        "the peak {n_peak:.1f} lies beyond twice the largest measured level ({n_largest:g})",
    ),
    PeakRefusal.NO_LEVEL_ABOVE_CORES: Text(
        "ningún nivel supera los {cores} núcleos de la máquina", "no level exceeds the machine's {cores} cores"
    ),
    PeakRefusal.KAPPA_MAY_BE_ZERO: Text("kappa no se distingue de 0", "kappa cannot be distinguished from 0"),
}
PROBLEMS: Mapping[Problem, Text] = {
    Problem.STEAL: Text("CPU robada por el hipervisor: {shown}", "CPU stolen by the hypervisor: {shown}"),
    Problem.CALIBRATION_CHANGED: Text(
        "la misma tarea de CPU tardó {reference_seconds:.3f} s antes de la prueba y {measured_seconds:.3f} s después",
        "the same CPU work took {reference_seconds:.3f} s before the run and {measured_seconds:.3f} s after it",
    ),
    Problem.CALIBRATION_UNUSUAL: Text(
        "la misma tarea de CPU tardó {measured_seconds:.3f} s antes de la prueba; lo usual: {reference_seconds:.3f} s",
        "the same CPU work took {measured_seconds:.3f} s before the run; {reference_seconds:.3f} s is usual",
    ),
    Problem.CLOCK_OFFSET: Text("reloj desviado {offset_seconds:.3f} s", "clock off by {offset_seconds:.3f} s"),
    Problem.CLOCK_DIFFERENCE: Text(
        "los relojes de la aplicación difieren hasta {difference_seconds:.3f} s: S es exacto solo hasta ahí",
        "the clocks of the app differ by up to {difference_seconds:.3f} s: S is exact to that only",
    ),
    Problem.CLOCK_SKEW: Text(
        "{executions} {executions:ejecución|ejecuciones} con tiempo negativo",
        "{executions} {executions:execution|executions} with negative time",
    ),
    Problem.MIXED_FLEET: Text("los workers no son iguales: {shown}", "the workers are not alike: {shown}"),
    Problem.CHANGED_FLEET: Text(
        "los workers cambiaron durante la prueba: {shown}", "the workers changed during the run: {shown}"
    ),
    Problem.AUTOSCALE: Text(
        "el worker cambia sus slots (--autoscale {autoscale}): X y S incluyen esos cambios, X_sat se desconoce",
        "the worker changes its slots (--autoscale {autoscale}): X and S include those changes, X_sat is unknown",
    ),
    Problem.OTHER_PROCESSES: Text(
        "otros procesos usan {cpu_ratio:percent1} de CPU", "other processes use {cpu_ratio:percent1} CPU"
    ),
    Problem.MACHINE_SPEED: Text(
        "la CPU por video varía: el mismo video costó {least_cpu_seconds:.2f} … {most_cpu_seconds:.2f} s de CPU, quizá "
        "por otras máquinas virtuales del mismo host; repita la celda",
        "the CPU per video varies: the same video cost {least_cpu_seconds:.2f} … {most_cpu_seconds:.2f} s of CPU, "
        "perhaps because of other virtual machines on the host; repeat the cell",
    ),
    Problem.SPEED_CHANGED: Text(
        "la segunda mitad de la prueba costó {ratio:.2f} veces la CPU por video de la primera (99 %: {low_ratio:.2f} a "
        "{high_ratio:.2f}): la máquina cambió de velocidad",
        "the second half of the run cost {ratio:.2f} times the CPU per video of the first (99 %: {low_ratio:.2f} to "
        "{high_ratio:.2f}): the machine changed its speed",
    ),
    Problem.DUPLICATES: Text(
        "{deliveries} {deliveries:entrega repetida|entregas repetidas}",
        "{deliveries} {deliveries:duplicate delivery|duplicate deliveries}",
    ),
    Problem.UNFINISHED: Text(
        "{videos} {videos:video|videos} sin terminar: S es ≥", "{videos} unfinished {videos:video|videos}: S is ≥"
    ),
    Problem.GENERATOR_LIMITED: Text("el inyector no sostuvo la tasa", "the injector did not keep to the rate"),
    Problem.LITTLES_LAW: Text("la cola y el registro no coinciden", "queue and records disagree"),
    Problem.FEW_VIDEOS: Text(
        "{videos} {videos:video|videos} en {slots} {slots:slot|slots}: menos de {generations_needed} generaciones",
        "{videos} {videos:video|videos} on {slots} {slots:slot|slots}: under {generations_needed} generations",
    ),
    Problem.AUTOCORRELATION: Text(
        "ciclos vecinos correlacionados ({correlation:.2f}): el intervalo es más ancho; repita tres veces",
        "neighbouring cycles correlate ({correlation:.2f}): the interval is wider; repeat three times",
    ),
    Problem.DRIFT: Text(
        "el ciclo cambia {change_ratio:change} durante la prueba (temperatura, créditos, disco, otras máquinas)",
        "the cycle changes {change_ratio:change} along the run (heat, credits, disk, other machines)",
    ),
    Problem.OVERLAPPING_EXECUTIONS: NO_CAPACITY[NoCapacity.OVERLAPPING_EXECUTIONS],
    Problem.FASTER_THAN_SERVICE: NO_CAPACITY[NoCapacity.FASTER_THAN_SERVICE],
    Problem.IDLE_SLOTS: NO_CAPACITY[NoCapacity.IDLE_SLOTS],
    Problem.WORK_DONE_TWICE: Text(
        "{executions} {executions:ejecución repitió|ejecuciones repitieron} el trabajo de otra",
        "{executions} {executions:execution|executions} repeated the work of another",
    ),
    Problem.LOST_EXECUTIONS: Text(
        "{executions} {executions:ejecución perdida|ejecuciones perdidas}: su proceso murió",
        "{executions} {executions:execution|executions} lost: the process died",
    ),
    Problem.MISSED_EXECUTIONS: Text(
        "{executions} {executions:ejecución no leída|ejecuciones no leídas}: el registro del worker estaba lleno y "
        "{executions:la|las} descartó",
        "{executions} {executions:execution was|executions were} not read: the worker's spool was full and dropped "
        "{executions:it|them}",
    ),
    Problem.RETRIED_EXECUTIONS: Text(
        "{executions} {executions:ejecución reintentada|ejecuciones reintentadas}",
        "{executions} {executions:execution was|executions were} retried",
    ),
    Problem.LOST_MESSAGES: Text(
        "{videos} {videos:video|videos} sin mensaje en la cola ni en la cola muerta",
        "{videos} {videos:video has|videos have} no message in the queue or the dead-letter queue",
    ),
    Problem.OTHER_MESSAGES: Text(
        "los workers atendieron otras pruebas a la vez{shown}",
        "the workers processed other runs at the same time{shown}",
    ),
    Problem.SURPLUS_MESSAGES: Text(
        "hasta {messages} {messages:mensaje|mensajes} en la cola más que videos presentes: trabajo de otros, u otras "
        "tareas de la aplicación",
        "up to {messages} {messages:message|messages} in the queue beyond the videos present: work of others, or "
        "further tasks of the app",
    ),
    Problem.SOURCES_DISAGREE: Text(
        "Prometheus y la base de datos no dan los mismos X y S", "Prometheus and the database differ in X or S"
    ),
    Problem.INTERRUPTED: Text("la prueba no llegó al final", "the run did not reach its end"),
    Problem.FAILED_VIDEOS: Text(
        "{videos} {videos:video fallido|videos fallidos}", "{videos} failed {videos:video|videos}"
    ),
    Problem.COLD_START: Text(
        "{videos} videos en {slots} {slots:slot|slots}: X_sat incluye el primer video de cada slot y quizá su arranque "
        "en frío; con {videos_needed} quedaría fuera",
        "{videos} videos on {slots} {slots:slot|slots}: X_sat includes the first video of each slot, perhaps with a "
        "cold start; with {videos_needed} it would be left out",
    ),
    Problem.UNEVEN_SERVICE: Text(
        "el coeficiente de variación del tiempo de servicio es {cv}: el intervalo de X_sat solo se ha comprobado hasta "
        "{limit}",
        "the coefficient of variation of the service time is {cv}: the interval of X_sat was verified up to {limit} "
        "only",
    ),
    Problem.COMPLETION_TIMES: Text(
        "X_sat solo por tiempos de finalización: slots, etapas y CPU desconocidos; con `pip install` de aforo en el "
        "worker e instrument = true se miden",
        "X_sat from completion times only: slots, stages and CPU are unknown; `pip install` aforo into the worker and "
        "set instrument = true to measure them",
    ),
    Problem.UPLOAD_TIMES: Text(
        "uploaded_at de la aplicación difiere {offset_seconds:.1f} s del momento de subida (¿now() de una transacción "
        "larga?): S no vale",
        "the app's uploaded_at is {offset_seconds:.1f} s off the moment of the upload (now() of a long transaction?): "
        "S is not valid",
    ),
    Problem.EARLY_UPLOADS: Text(
        "uploaded_at parece {early_seconds:.1f} s anterior a la subida (¿now() de una transacción larga?): eso "
        "explicaría la diferencia con la cola, y S sobraría tanto",
        "uploaded_at seems {early_seconds:.1f} s before the upload (now() of a long transaction?): that would explain "
        "the difference from the queue, and S would be that much too long",
    ),
    Problem.TABLE_DISAGREES: Text(
        "{videos} {videos:video termina|videos terminan} en la tabla de otro modo que su última ejecución: vale la "
        "tabla",
        "{videos} {videos:video ends|videos end} in the table otherwise than by the last execution: the table counts",
    ),
    Problem.OBSERVED_ENDS: Text(
        "{videos} {videos:video|videos} sin updated_at al terminar: su final se observó, con 1 s de error",
        "{videos} {videos:video|videos} without updated_at at the end: the end was observed, to 1 s",
    ),
}
IMPOSSIBILITIES: Mapping[Impossibility, Text] = {
    Impossibility.NOT_POSITIVE: Text("{column} = {value:g} no es positivo", "{column} = {value:g} is not positive"),
    Impossibility.S_UNDER_INTERVAL: Text(
        "S = {s_seconds:g} s < 60/X = {least_seconds:.2f} s: en una ráfaga de X = {x_per_minute:g}/min siempre hay al "
        "menos un video en el sistema",
        "S = {s_seconds:g} s < 60/X = {least_seconds:.2f} s: a burst with X = {x_per_minute:g}/min always has at least "
        "one video in the system",
    ),
    Impossibility.S_BEYOND_TEST: Text(
        "el tiempo de respuesta medio {s_seconds:g} s supera la prueba entera, 60·{count}/{x_per_minute:g} = "
        "{makespan_seconds:.1f} s (X·S/60 = {videos_present:.1f} > {count} videos en el sistema)",
        "the mean response time {s_seconds:g} s exceeds the whole test, 60·{count}/{x_per_minute:g} = "
        "{makespan_seconds:.1f} s (X·S/60 = {videos_present:.1f} > {count} videos in the system)",
    ),
    Impossibility.MORE_PRESENT_THAN_SENT: Text(
        "X·S/60 = {videos_present:.1f} > {most_videos_present:.1f}: enviados a {rate_per_minute:g}/min no pueden estar "
        "tantos videos a la vez en el sistema",
        "X·S/60 = {videos_present:.1f} > {most_videos_present:.1f}: sent at {rate_per_minute:g}/min, that many videos "
        "cannot be in the system at a time",
    ),
    Impossibility.X_ABOVE_RATE: Text(
        "X = {x_per_minute:g} > {most_per_minute:.2f}/min: salen más videos de los que entran a "
        "{rate_per_minute:g}/min",
        "X = {x_per_minute:g} > {most_per_minute:.2f}/min: more videos leave than enter at {rate_per_minute:g}/min",
    ),
    Impossibility.MEDIAN_BEYOND_MEAN: Text(
        "p50 = {p50_seconds:g} s > 2·S = {twice_s_seconds:g} s: la mitad de los videos ya daría una media mayor",
        "p50 = {p50_seconds:g} s > 2·S = {twice_s_seconds:g} s: half of the videos alone would make the mean larger",
    ),
    Impossibility.MEDIAN_BEYOND_TEST: Text(
        "p50 = {p50_seconds:g} s > 60·{count}/{x_per_minute:g} = {makespan_seconds:.1f} s: la mediana supera la prueba "
        "entera",
        "p50 = {p50_seconds:g} s > 60·{count}/{x_per_minute:g} = {makespan_seconds:.1f} s: the median exceeds the "
        "whole test",
    ),
    Impossibility.S_BEYOND_MEDIAN_AND_TEST: Text(
        "S = {s_seconds:g} s > (p50 + 60·N/X)/2 = {most_seconds:.1f} s: la mitad no pasa de p50 y el resto no pasa del "
        "fin de la prueba",
        "S = {s_seconds:g} s > (p50 + 60·N/X)/2 = {most_seconds:.1f} s: half stay within p50 and the rest within the "
        "test",
    ),
}
ODDITIES: Mapping[Oddity, Text] = {
    Oddity.UNKNOWN_NUMBERS: Text(
        "{shown} {count:desconocido|desconocidos}: nada que comprobar", "{shown} unknown: nothing to check"
    ),
    Oddity.ROUNDED_TO_ZERO: Text(
        "{shown} = 0: no es una medida; publíquese con más cifras",
        "{shown} = 0: not a measurement; print more digits",
    ),
    Oddity.S_WITHOUT_WAIT: Text(
        "S = {s_seconds:g} s, cuando una ráfaga así da ~{usual_seconds:.0f} s: ¿es S sin la espera en cola?",
        "S = {s_seconds:g} s where such a burst gives ~{usual_seconds:.0f} s: is S without the wait in the queue?",
    ),
    Oddity.ALL_END_LATE: Text(
        "S = {s_seconds:g} s, cuando una ráfaga así da ~{usual_seconds:.0f} s: casi todos terminan al final",
        "S = {s_seconds:g} s where such a burst gives ~{usual_seconds:.0f} s: nearly all end at the end",
    ),
    Oddity.GROWING_QUEUE: Text(
        "X·S/60 = {videos_present:.1f} videos en el sistema con c={concurrency}: la cola crecía, no es estable",
        "X·S/60 = {videos_present:.1f} videos in the system with c={concurrency}: the queue was growing, not steady",
    ),
    Oddity.S_BEYOND_WINDOW: Text(
        "S = {s_seconds:g} s > 60·N/X = {makespan_seconds:.1f} s: solo es posible si X no cuenta los videos que "
        "acabaron tras la ventana, y estos tardaron mucho más",
        "S = {s_seconds:g} s > 60·N/X = {makespan_seconds:.1f} s: only possible if X leaves out the videos that ended "
        "after the window, and those took much longer",
    ),
    Oddity.MISSING_WAIT: Text(
        "X = {x_per_minute:g} < {rate_per_minute:g}/min, S = {s_seconds:g} s: faltan ~{missing_wait_seconds:.0f} s de "
        "espera; ¿se perdieron videos o se envió más despacio?",
        "X = {x_per_minute:g} < {rate_per_minute:g}/min, S = {s_seconds:g} s: ~{missing_wait_seconds:.0f} s of waiting "
        "are missing; were videos lost, or sent more slowly?",
    ),
    Oddity.X_IGNORES_CONCURRENCY: Text(
        "X = {x_least_per_minute:g}–{x_most_per_minute:g}/min, S = {s_first_seconds:g} → {s_last_seconds:g} s al pasar "
        "de {slots_first} a {slots_last} slots: si X no cambia, S no puede bajar",
        "X = {x_least_per_minute:g}–{x_most_per_minute:g}/min, S = {s_first_seconds:g} → {s_last_seconds:g} s from "
        "{slots_first} to {slots_last} slots: while X stays, S should not fall",
    ),
    Oddity.SUPERLINEAR: Text(
        "{slots_factor:g}x slots dan {x_factor:.2f}x X: más que lineal, ¿calentamiento o caché?",
        "{slots_factor:g}x slots give {x_factor:.2f}x X: superlinear, warm-up or a cache?",
    ),
    Oddity.S_IS_THE_INTERVAL: Text(
        "S = 60/X en todas las filas: es el intervalo entre dos finales, no el tiempo de ningún video",
        "S = 60/X in every row: that is the interval between two ends, not the time of any video",
    ),
    Oddity.RATE_NOT_KEPT: Text(
        "X = {x_per_minute:g}/min con una tasa de {rate_per_minute:g}/min, cuando la ráfaga con los mismos slots da "
        "{burst_per_minute:g}/min",
        "X = {x_per_minute:g}/min at a rate of {rate_per_minute:g}/min, where the burst on the same slots gives "
        "{burst_per_minute:g}/min",
    ),
    Oddity.FASTER_THAN_BURST: Text(
        "S = {s_seconds:g} s < 60/X = {least_seconds:.1f} s de la ráfaga ({burst_per_minute:g}/min): un video solo no "
        "puede tardar menos",
        "S = {s_seconds:g} s < 60/X = {least_seconds:.1f} s of the burst ({burst_per_minute:g}/min): a video alone "
        "cannot take less",
    ),
    Oddity.LARGER_IS_FASTER: Text(
        "{size}: X = {x_per_minute:g}/min, S = {s_seconds:g} s; {smaller_size}: X = {x_smaller_per_minute:g}/min, "
        "S = {s_smaller_seconds:g} s: el archivo mayor no puede ser el más rápido",
        "{size}: X = {x_per_minute:g}/min, S = {s_seconds:g} s; {smaller_size}: X = {x_smaller_per_minute:g}/min, "
        "S = {s_smaller_seconds:g} s: the larger file should not be the faster one",
    ),
    Oddity.RATE_ABOVE_BURST: Text(
        "sostiene {x_per_minute:g}/min cuando la ráfaga con los mismos slots da {burst_per_minute:g}/min",
        "sustains {x_per_minute:g}/min where the burst on the same slots gives {burst_per_minute:g}/min",
    ),
}
SHARED_PARTS: Mapping[SharedPart, Text] = {
    SharedPart.SQS_IN_FLIGHT: Text("mensajes SQS en vuelo", "SQS messages in flight"),
    SharedPart.S3_READS: Text("lecturas S3/s por prefijo", "S3 reads/s per prefix"),
    SharedPart.S3_WRITES: Text("escrituras S3/s por prefijo", "S3 writes/s per prefix"),
    SharedPart.PROMETHEUS_SERIES: Text("series de Prometheus", "Prometheus series"),
    SharedPart.DATABASE_WRITES: Text("escrituras/s en la base de datos", "database writes/s"),
}
NEXT_STEPS: Mapping[NextStep, Text] = {
    NextStep.DOUBLE_SLOTS: Text("repetir la prueba con el doble de slots", "repeat the run with twice the slots"),
    NextStep.DOUBLE_CORES: Text(
        "repetir la prueba en una máquina con el doble de núcleos y nada más en ella",
        "repeat the run on a machine with twice the cores and nothing else on it",
    ),
    NextStep.RAISE_QUOTA: Text(
        "duplicar el límite de CPU del contenedor y repetir la prueba",
        "double the CPU limit of the container and repeat the run",
    ),
    NextStep.SLOT_PER_CORE: Text(
        "repetir la prueba con un slot por núcleo físico y un hilo por ffmpeg (AFORO_WORKER_THREADS=1)",
        "repeat the run with one slot per physical core and one thread per ffmpeg (AFORO_WORKER_THREADS=1)",
    ),
    NextStep.FASTER_WORK_FOLDER: Text(
        "poner la carpeta temporal (AFORO_WORKER_WORK_PATH) en un disco más rápido y repetir la prueba",
        "put the work folder (AFORO_WORKER_WORK_PATH) on a faster disk and repeat the run",
    ),
    NextStep.LOCAL_STORAGE: Text(
        "repetir la prueba con los videos en un disco local (STORAGE_BACKEND=filesystem)",
        "repeat the run with the videos on a local disk (STORAGE_BACKEND=filesystem)",
    ),
    NextStep.HALVE_SLOTS: Text(
        "repetir la prueba con la mitad de slots, o con el doble de memoria",
        "repeat the run with half the slots, or with twice the memory",
    ),
    NextStep.FASTER_DATABASE: Text(
        "buscar esperas por bloqueos en la base de datos y repetir la prueba con una más rápida",
        "look for lock waits in the database, and repeat the run with a faster one",
    ),
    NextStep.LONGER_VIDEOS: Text(
        "repetir la prueba con videos el doble de largos", "repeat the run with videos twice as long"
    ),
    NextStep.DUMP_STACKS: Text(
        "mirar en qué esperan los procesos (py-spy dump): un bloqueo, una GPU, una licencia",
        "look at what the processes wait for (py-spy dump): a lock, a GPU, a licence",
    ),
    NextStep.COMPARE_SLOTS: Text(
        "medir el mismo tamaño con 1, 2 y 4 slots: las pruebas comparables dan más criterios",
        "measure the same size on 1, 2 and 4 slots: comparable runs add criteria",
    ),
    NextStep.REPEAT_RUN: Text("quitar la causa y repetir la prueba", "remove the cause and repeat the run"),
    NextStep.MORE_VIDEOS: Text(
        "repetir la prueba con COUNT={videos_needed} o más", "repeat the run with COUNT={videos_needed} or more"
    ),
    NextStep.MORE_ARRIVALS: Text(
        "repetir la prueba con COUNT={arrivals_needed} o más llegadas",
        "repeat the run with COUNT={arrivals_needed} or more arrivals",
    ),
    NextStep.LOWER_RATE: Text(
        "añadir workers, o repetir la prueba con un RATE menor", "add workers, or repeat the run with a lower RATE"
    ),
    NextStep.NOTHING: Text("ninguno: los workers siguen esta tasa", "none: the workers keep up with this rate"),
}
DISPROOFS: Mapping[Disproof, Text] = {
    Disproof.LITTLE_GAIN: Text(
        "X_sat sube menos del {gain_ratio:percent0}", "X_sat rises by less than {gain_ratio:percent0}"
    ),
    Disproof.SAME_CPU_WORK: Text("el CPU por video sigue igual de alto", "the CPU seconds per video stay as high"),
    Disproof.STILL_OUT_OF_MEMORY: Text(
        "la presión de memoria o los procesos muertos siguen igual",
        "memory pressure or killed processes stay the same",
    ),
    Disproof.STILL_IDLE: Text(
        "los slots siguen ociosos la misma parte del ciclo", "the slots are idle for the same share of the cycle"
    ),
    Disproof.WAITS_ALONE: Text(
        "un video solo, con un slot, tarda lo mismo", "a video alone, on one slot, takes as long"
    ),
}
#: by class, because two enums may have a member of the same value, and such members are equal
SENTENCES: Mapping[type[StrEnum], Mapping[Any, Text]] = {
    NoCapacity: NO_CAPACITY,
    NotComparable: NOT_COMPARABLE,
    FitRefusal: FIT_REFUSALS,
    FitCaution: FIT_CAUTIONS,
    PeakRefusal: PEAK_REFUSALS,
    Problem: PROBLEMS,
    Impossibility: IMPOSSIBILITIES,
    Oddity: ODDITIES,
    SharedPart: SHARED_PARTS,
    NextStep: NEXT_STEPS,
    Disproof: DISPROOFS,
}
QUANTITIES: Mapping[Quantity, Text] = {
    Quantity.CPU_UTILISATION: Text("CPU ocupada {value}{of_cores}", "CPU busy {value}{of_cores}"),
    Quantity.DISK_UTILISATION: Text("disco al {value} de su ancho de banda", "disk at {value} of its bandwidth limit"),
    Quantity.NETWORK_UTILISATION: Text(
        "transferencias al {value} de su ancho de banda", "transfers at {value} of their bandwidth limit"
    ),
    Quantity.HIGHEST_UTILISATION: Text("recurso más ocupado {value}", "busiest resource {value}"),
    Quantity.UTILISATION_LEAD: Text(
        "ventaja sobre el siguiente recurso {value}", "lead over the next resource {value}"
    ),
    Quantity.CPU_PRESSURE: Text("presión de CPU (PSI some) {value}", "CPU pressure (PSI some) {value}"),
    Quantity.IO_PRESSURE_SOME: Text("presión de E/S (PSI some) {value}", "I/O pressure (PSI some) {value}"),
    Quantity.IO_PRESSURE_FULL: Text("presión de E/S (PSI full) {value}", "I/O pressure (PSI full) {value}"),
    Quantity.MEMORY_PRESSURE: Text("presión de memoria (PSI full) {value}", "memory pressure (PSI full) {value}"),
    Quantity.HIGHEST_PRESSURE: Text("mayor presión (PSI some) {value}", "highest pressure (PSI some) {value}"),
    Quantity.THROTTLED_PERIODS: Text(
        "frenado por la cuota en {value} de los periodos", "throttled by the quota in {value} of periods"
    ),
    Quantity.HOST_IDLE: Text("máquina ociosa {value}", "machine idle {value}"),
    Quantity.SWAPPED_IN: Text(
        "{value} {value:byte leído|bytes leídos} de swap", "{value} {value:byte|bytes} read from swap"
    ),
    Quantity.OWN_OOM_KILLS: Text(
        "{value} {value:ffmpeg muerto|ffmpeg muertos} por falta de memoria",
        "{value} ffmpeg {value:process|processes} killed for lack of memory",
    ),
    Quantity.FFMPEG_SLOWDOWN: Text("ffmpeg tarda {value} de lo que con c=1", "ffmpeg takes {value} of its time at c=1"),
    Quantity.DOWNLOAD_SLOWDOWN: Text(
        "la descarga tarda {value} de lo que con c=1", "the download takes {value} of its time at c=1"
    ),
    Quantity.TRANSFER_SLOWDOWN: Text(
        "las transferencias tardan {value} de lo que con c=1", "transfers take {value} of their time at c=1"
    ),
    Quantity.DATABASE_SLOWDOWN: Text(
        "la base de datos tarda {value} de lo que con c=1", "the database takes {value} of its time at c=1"
    ),
    Quantity.CPU_WORK_SLOWDOWN: Text("CPU por video {value} de la de c=1", "CPU per video {value} of that at c=1"),
    Quantity.FFMPEG_SHARE: Text("ffmpeg ocupa {value} del servicio", "ffmpeg takes {value} of the service"),
    Quantity.TRANSFER_SHARE: Text(
        "las transferencias ocupan {value} del servicio", "transfers take {value} of the service"
    ),
    Quantity.DATABASE_SHARE: Text(
        "la base de datos ocupa {value} del servicio", "the database takes {value} of the service"
    ),
    Quantity.TRANSFER_LOSS: Text(
        "las transferencias explican el {value} de lo perdido frente a c=1",
        "transfers explain {value} of the loss against c=1",
    ),
    Quantity.DATABASE_LOSS: Text(
        "explica el {value} de lo perdido frente a c=1", "it explains {value} of the loss against c=1"
    ),
    Quantity.IDLE_GAP: Text(
        "cada slot ocioso {value} del ciclo con mensajes en espera",
        "each slot idle for {value} of its cycle while messages waited",
    ),
    Quantity.WAIT_SHARE: Text(
        "{value} del servicio sin computar ni usar la base de datos",
        "{value} of the service with neither computing nor the database",
    ),
    Quantity.FFMPEG_CORES: Text(
        "cada ffmpeg usa {value} {value:núcleo|núcleos}", "each ffmpeg uses {value} {value:core|cores}"
    ),
    Quantity.FFMPEG_CORES_KEPT: Text(
        "ffmpeg usa {value} de los núcleos que con c=1", "ffmpeg uses {value} of the cores it has at c=1"
    ),
    Quantity.CPU_BOUND: Text("X es {value} de la cota de CPU", "X is {value} of the CPU bound"),
    Quantity.EFFICIENCY: Text("eficiencia {value} frente a c=1", "efficiency {value} against c=1"),
    Quantity.GAIN_UP_TO_HERE: Text(
        "doblar slots hasta aquí dio {value} más", "doubling the slots up to here gave {value} more"
    ),
    Quantity.GAIN_FROM_HERE: Text(
        "doblar slots desde aquí da {value} más", "doubling the slots from here gives {value} more"
    ),
    Quantity.GAIN: Text("doblar slots da {value} más", "doubling the slots gives {value} more"),
}
OF_CORES = Text(" de {cores:g} {cores:núcleo|núcleos}", " of {cores:g} {cores:core|cores}")
SIGNS = {Relation.AT_LEAST: "≥", Relation.AT_MOST: "≤", Relation.ABOVE: ">", Relation.BELOW: "<"}


class _Template(Formatter):
    """Formatter of the templates, with four format specifications besides those of Python.

    `one|many` selects the noun for a count. `percent0` gives `12 %`, `percent1` gives `12.3 %`.
    `change` gives `+12 %`.
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return the text for one placeholder of a template. `format_spec` is the part after its colon.

        - `video|videos`: the first word if the value is 1, else the second
        - `percent0`, `percent1`: a percentage with no decimal or with one
        - `change`: a percentage with its sign
        - any other: as Python formats the value
        """
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value in {1, "1"} else many
        if format_spec in {"percent0", "percent1"}:
            return f"{100 * value:.{format_spec[-1]}f} %"
        return f"{100 * value:+.0f} %" if format_spec == "change" else str(super().format_field(value, format_spec))


TEMPLATE = _Template()


def sentence(reason: Reason, lang: Language) -> str:
    """Return the sentence for a reason's code and values, without a full stop."""
    template = SENTENCES[type(reason.code)][reason.code].to(lang)
    return TEMPLATE.vformat(template, (), {**reason.values, **_derived(reason, lang)})


def measurement(measured: Measurement, lang: Language) -> str:
    """Return a measured value with its limit as text, such as `CPU busy 97 % of 2 cores (≥ 90 %)`.

    If the value is unknown, the text says so.
    """
    value = "…" if measured.value is None else in_its_unit(measured.quantity, measured.value)
    cores = TEMPLATE.format(OF_CORES.to(lang), cores=measured.cores) if measured.cores else ""
    shown = TEMPLATE.format(QUANTITIES[measured.quantity].to(lang), value=value, of_cores=cores)
    limit = _limit(measured)
    text = shown if measured.value is not None else f"{NOT_MEASURED.to(lang)}: {shown}"
    return f"{text} ({limit})" if limit else text


def in_its_unit(quantity: Quantity, value: float) -> str:
    """Format the value of a measured quantity in its unit: a percentage, a factor or a number."""
    if quantity.endswith("_ratio"):
        return f"{100 * value:.3g} %"
    return f"×{value:.2f}" if quantity.endswith("_factor") else f"{value:.3g}"


def bottleneck_line(verdict: BottleneckVerdict, lang: Language) -> str:
    """Return a bottleneck with its confidence and evidence as one line of text.

    An example is `CPU (high): CPU busy 97 % of 2 cores (≥ 90 %); …`.
    """
    evidence = measurements(verdict.evidence, lang) or NOTHING_MEASURED.to(lang)
    confidence = "" if verdict.cause is Cause.UNCLEAR else f" ({CONFIDENCE_NAMES[verdict.confidence].to(lang)})"
    return f"{CAUSE_NAMES[verdict.cause].to(lang)}{confidence}: {evidence}"


def measurements(measured: tuple[Measurement, ...], lang: Language) -> str:
    """Return several measured values as one line of text, such as `CPU busy 97 % of 2 cores (≥ 90 %); …`.

    Each value is followed by the limit of its criterion (the test for a cause).
    """
    return "; ".join(measurement(one, lang) for one in measured)


def _limit(measured: Measurement) -> str:
    if measured.relation is None or measured.limit is None:
        return ""
    limit = in_its_unit(measured.quantity, measured.limit)
    if measured.upper_limit is not None:
        return f"{limit} … {in_its_unit(measured.quantity, measured.upper_limit)}"
    return f"{SIGNS[measured.relation]} {limit}"


def _derived(reason: Reason, lang: Language) -> Mapping[str, object]:
    """Return the values of a reason that a template shows in another form.

    Lists are joined in one line, and unknown ratios are left out.
    """
    values: Mapping[str, Any] = reason.values
    if reason.code is Problem.STEAL:
        return {"shown": ", ".join(f"{100 * value:.1f} %" for value in values.values() if value is not None)}
    if reason.code in {NoCapacity.IDLE_SLOTS, Problem.IDLE_SLOTS}:
        return {"shown": _rate_of_working_slots(values["working_per_minute"])}
    if reason.code is NotComparable.INVALID_RUN:
        return {"shown": ", ".join(VALIDITY_REASON_NAMES[name].to(lang) for name in values["reasons"])}
    if reason.code is Problem.OTHER_MESSAGES:
        return {"shown": _other_messages(values["messages"], values["executions"])}
    if reason.code is NotComparable.DIFFERENT_CONDITIONS:
        return {"shown": ", ".join(f"{name}: {a} ≠ {b}" for name, (a, b) in values["conditions"].items())}
    if reason.code is Problem.MIXED_FLEET:
        pairs = ((name, nodes.items()) for name, nodes in values["conditions"].items())
        return {"shown": "; ".join(f"{name}: {', '.join(f'{n} {v}' for n, v in each)}" for name, each in pairs)}
    if reason.code is Problem.CHANGED_FLEET:
        return {"shown": ", ".join(values["names"])}
    if reason.code in {Oddity.UNKNOWN_NUMBERS, Oddity.ROUNDED_TO_ZERO}:
        return {"shown": ", ".join(values["columns"]), "count": len(values["columns"])}
    return {}


def _rate_of_working_slots(per_minute: float | None) -> str:
    return "" if per_minute is None else f" ({per_minute:.1f}/min)"


def _other_messages(messages: int | None, executions: int) -> str:
    counts = {"SQS": messages, "videos": executions}
    shown = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
    return f" ({shown})"
