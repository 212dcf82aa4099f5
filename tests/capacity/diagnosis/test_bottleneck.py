from dataclasses import replace

import pytest

from capacity.diagnosis.bottleneck import Cause, CellEvidence, Confidence, find_bottleneck
from capacity.report.messages import bottleneck_line, measurement

QUIET = {"cpu_pressure_some": 0.01, "io_pressure_some": 0.01, "io_pressure_full": 0.0}
CPU_BOUND = CellEvidence(
    efficiency=0.55,
    cpu_utilisation=0.97,
    cpu_pressure_some=0.45,
    ffmpeg_slowdown=1.8,
    cpu_work_slowdown=1.03,
    host_idle_ratio=0.03,
    ffmpeg_cores=3.1,
    ffmpeg_cores_ratio=0.55,
    disk_utilisation=0.1,
    network_utilisation=0.05,
    stage_seconds={"download": 1.0, "transcode": 27.0, "upload": 1.0},
    service_seconds=30.0,
)
QUOTA = CellEvidence(throttled_period_ratio=0.6, host_idle_ratio=0.5, cpu_utilisation=0.99, cpu_pressure_some=0.4)
SLOW_DISK = CellEvidence(
    efficiency=0.6,
    cpu_utilisation=0.3,
    cpu_pressure_some=0.02,
    io_pressure_full=0.35,
    io_pressure_some=0.5,
    disk_utilisation=0.95,
    ffmpeg_slowdown=1.6,
    ffmpeg_cores_ratio=0.6,
    cpu_work_slowdown=1.0,
)
SLOW_STORAGE = CellEvidence(
    efficiency=0.55,
    cpu_utilisation=0.2,
    network_utilisation=0.93,
    gain_up_to_here=0.02,
    stage_seconds={"download": 12.0, "transcode": 8.0, "upload": 9.0},
    service_seconds=30.0,
    **QUIET,
)
ONE_THREAD = CellEvidence(
    efficiency=0.99,
    cpu_utilisation=0.3,
    ffmpeg_slowdown=1.02,
    ffmpeg_cores=1.0,
    stage_seconds={"transcode": 28.0},
    service_seconds=30.0,
    **QUIET,
)
FEW_SLOTS = CellEvidence(
    efficiency=0.97,
    cpu_utilisation=0.45,
    ffmpeg_slowdown=1.03,
    ffmpeg_cores=2.4,
    stage_seconds={"transcode": 20.0},
    service_seconds=30.0,
    **QUIET,
)


@pytest.mark.parametrize(
    ("cell", "cause"),
    [
        (CPU_BOUND, Cause.CPU),
        (QUOTA, Cause.CPU_QUOTA),
        (SLOW_DISK, Cause.DISK),
        (SLOW_STORAGE, Cause.NETWORK),
        (ONE_THREAD, Cause.SINGLE_THREAD),
        (FEW_SLOTS, Cause.SLOTS),
        (CellEvidence(own_oom_kills=1), Cause.MEMORY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_labelled_limit_is_found_with_high_confidence(cell, cause):
    verdict = find_bottleneck(cell)
    assert (verdict.cause, verdict.confidence) == (cause, Confidence.HIGH)


def test_work_that_costs_more_cpu_is_not_a_lack_of_cpu():
    cell = CellEvidence(ffmpeg_slowdown=1.5, cpu_work_slowdown=1.4, cpu_utilisation=0.8)
    verdict = find_bottleneck(cell)
    assert (verdict.cause, verdict.confidence) == (Cause.MEMORY_BANDWIDTH, Confidence.MEDIUM)


def test_slots_that_do_not_help_on_an_idle_machine_wait_for_something_unmeasured():
    cell = CellEvidence(efficiency=0.5, cpu_utilisation=0.3, stage_slowdown={"db": 3.0}, **QUIET, ffmpeg_slowdown=1.2)
    assert find_bottleneck(cell).cause is Cause.SERIALISATION


def test_a_clearly_busiest_resource_is_named_even_without_other_criteria():
    verdict = find_bottleneck(CellEvidence(cpu_utilisation=0.88, disk_utilisation=0.2, gain_up_to_here=0.1))
    assert (verdict.cause, verdict.confidence) == (Cause.CPU, Confidence.HIGH)


def test_a_quota_that_is_used_up_is_named_on_a_full_machine_too():
    cell = CellEvidence(throttled_period_ratio=0.3, host_idle_ratio=0.02, cpu_utilisation=0.98, cpu_pressure_some=0.5)
    assert find_bottleneck(cell).cause is Cause.CPU_QUOTA


def test_a_throttled_ffmpeg_on_a_machine_full_of_other_processes_is_not_called_single_threaded():
    """Measured with a quota of 0.8 cores, while other processes used 66 % of the machine."""
    cell = replace(ONE_THREAD, cpu_utilisation=0.637, throttled_period_ratio=0.385, host_idle_ratio=0.063)
    assert find_bottleneck(replace(cell, throttled_period_ratio=None)).cause is Cause.SINGLE_THREAD
    assert find_bottleneck(replace(cell, efficiency=None, ffmpeg_slowdown=None, cpu_pressure_some=0.867)).cause is (
        Cause.UNCLEAR
    )


def test_synchronised_slots_use_each_direction_of_a_narrow_line_half_of_the_time():
    """Measured with four slots behind 0.4 MB/s.

    Neither direction was busier than 52 %, and the database time of 0.06 s doubled.
    """
    cell = CellEvidence(
        efficiency=0.45,
        cpu_utilisation=0.499,
        network_utilisation=0.47,
        stage_seconds={"download": 7.48, "transcode": 4.36, "upload": 6.39, "db": 0.06},
        stage_slowdown={"download": 2.9, "upload": 2.4, "db": 1.99},
        service_seconds=18.9,
    )
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.NETWORK, Confidence.MEDIUM)


def test_an_ffmpeg_that_waits_for_a_disk_is_not_called_single_threaded():
    """Measured with three slots on a disk of 1 MB/s.

    Each ffmpeg used 0.59 cores with one slot and 0.20 cores with three slots.
    """
    alone = CellEvidence(
        cpu_utilisation=0.344,
        cpu_pressure_some=0.144,
        io_pressure_some=0.66,
        io_pressure_full=0.586,
        disk_utilisation=0.77,
        ffmpeg_cores=0.202,
        stage_seconds={"download": 2.96, "transcode": 9.38},
        service_seconds=12.74,
    )
    three_slots = replace(alone, efficiency=0.381, ffmpeg_slowdown=2.5, ffmpeg_cores=0.593, ffmpeg_cores_ratio=0.341)
    for cell in (alone, three_slots):
        assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.DISK, Confidence.HIGH)


def test_slots_are_named_if_one_more_raises_throughput_even_without_doubling_it():
    """Measured with one slot and 1 s of latency to S3.

    The second slot gave 78 % more throughput. The emulator used the remaining CPU.
    """
    cell = CellEvidence(
        gain_from_here=0.781,
        cpu_utilisation=0.35,
        cpu_pressure_some=0.12,
        network_utilisation=0.038,
        stage_seconds={"download": 2.02, "transcode": 1.44, "upload": 1.63},
        service_seconds=5.29,
    )
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.SLOTS, Confidence.MEDIUM)
    assert find_bottleneck(replace(cell, gain_from_here=0.4)).cause is Cause.UNCLEAR


def test_nothing_measured_gives_no_verdict():
    verdict = find_bottleneck(CellEvidence())
    assert (verdict.cause, verdict.confidence, verdict.evidence) == (Cause.UNCLEAR, Confidence.LOW, ())


def texts(measurements):
    return [measurement(measured, "en") for measured in measurements]


def test_contradicting_evidence_stays_with_the_candidate():
    candidates = {candidate.cause: candidate for candidate in find_bottleneck(SLOW_DISK).candidates}
    assert "CPU busy 30 % (≥ 90 %)" in texts(candidates[Cause.CPU].against)


def test_unmeasured_and_contradicting_criteria_are_listed_separately():
    candidates = {
        candidate.cause: candidate for candidate in find_bottleneck(CellEvidence(cpu_utilisation=0.2)).candidates
    }
    assert texts(candidates[Cause.CPU].against) == ["CPU busy 20 % (≥ 90 %)"]
    assert "not measured: X is … of the CPU bound (≥ 90 %)" in texts(candidates[Cause.CPU].unknown)


def test_the_verdict_is_a_line_with_numbers_and_units():
    verdict = find_bottleneck(replace(CPU_BOUND, cores=2.0))
    assert bottleneck_line(verdict, "es") == (
        "CPU (alta): CPU ocupada 97 % de 2 núcleos (≥ 90 %); presión de CPU (PSI some) 45 % (≥ 20 %); "
        "ffmpeg tarda ×1.80 de lo que con c=1 (≥ ×1.25); CPU por video ×1.03 de la de c=1 (≤ ×1.10)"
    )
    assert bottleneck_line(verdict, "en").startswith(
        "CPU (high): CPU busy 97 % of 2 cores (≥ 90 %); CPU pressure (PSI some) 45 %"
    )


def test_no_clear_bottleneck_lists_the_utilisations():
    verdict = find_bottleneck(CellEvidence(cpu_utilisation=0.8, disk_utilisation=0.7))
    assert bottleneck_line(verdict, "en") == "no clear bottleneck: CPU busy 80 %; disk at 70 % of its bandwidth limit"
    assert bottleneck_line(find_bottleneck(CellEvidence()), "es") == "sin cuello de botella claro: nada medido"


def test_a_measurement_shared_by_two_criteria_appears_once():
    line = bottleneck_line(find_bottleneck(FEW_SLOTS), "en")
    assert line.count("busiest resource 45 %") == 1


@pytest.mark.parametrize(
    ("cell", "cause"),
    [
        (CellEvidence(cpu_utilisation=0.96, cpu_pressure_some=0.5, cores=2.0), Cause.CPU),
        (
            CellEvidence(cpu_utilisation=0.3, io_pressure_some=0.4, io_pressure_full=0.15, disk_utilisation=0.9),
            Cause.DISK,
        ),
        (
            CellEvidence(cpu_utilisation=0.2, stage_seconds={"transcode": 6.0}, service_seconds=20.0, **QUIET),
            Cause.SLOTS,
        ),
    ],
)
def test_a_run_without_comparable_runs_has_fewer_criteria_and_a_less_certain_verdict(cell, cause):
    verdict = find_bottleneck(cell)
    assert (verdict.cause, verdict.confidence) == (cause, Confidence.MEDIUM)


def test_slots_that_wait_for_a_distant_storage_are_too_few_not_a_full_network():
    cell = CellEvidence(
        gain_from_here=0.95,
        cpu_utilisation=0.2,
        network_utilisation=0.1,
        stage_seconds={"download": 8.0, "transcode": 4.0, "upload": 8.0},
        service_seconds=20.0,
        **QUIET,
    )
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.SLOTS, Confidence.HIGH)
    full = replace(cell, gain_from_here=None, gain_up_to_here=0.03, network_utilisation=None)
    assert (find_bottleneck(full).cause, find_bottleneck(full).confidence) == (Cause.NETWORK, Confidence.MEDIUM)


def test_copies_within_a_local_filesystem_are_no_network():
    cell = replace(SLOW_STORAGE, has_remote_storage=False, network_utilisation=None)
    assert find_bottleneck(cell).cause is not Cause.NETWORK


IDLE = {"cpu_utilisation": 0.3, "ffmpeg_slowdown": 1.03, "ffmpeg_cores": 1.1, **QUIET}
SLOW_DATABASE = CellEvidence(
    efficiency=0.45,
    gain_up_to_here=0.05,
    stage_seconds={"download": 0.6, "transcode": 6.0, "upload": 0.6, "db": 4.8},
    stage_slowdown={"db": 6.0},
    service_seconds=12.0,
    **IDLE,
)
NFS = CellEvidence(
    efficiency=0.40,
    disk_utilisation=0.02,
    has_remote_storage=False,
    stage_seconds={"download": 26.0, "transcode": 17.0, "upload": 6.5},
    stage_slowdown={"download": 4.6, "upload": 4.2},
    service_seconds=50.0,
    **IDLE,
)
#: each slot of more has fewer threads for ffmpeg, and all compute at once after copies that took equally long
NFS_WITH_FEWER_THREADS = replace(
    NFS,
    ffmpeg_slowdown=2.4,
    ffmpeg_cores=0.6,
    ffmpeg_cores_ratio=0.43,
    io_pressure_some=0.81,
    io_pressure_full=0.75,
    stage_seconds={"download": 4.0, "transcode": 2.3, "upload": 13.0},
    service_seconds=20.0,
)
POLL_GAP = replace(ONE_THREAD, efficiency=0.95, idle_gap_ratio=0.7)


@pytest.mark.parametrize(
    ("cell", "cause"),
    [
        (SLOW_DATABASE, Cause.DATABASE),
        (NFS, Cause.NETWORK),
        (NFS_WITH_FEWER_THREADS, Cause.NETWORK),
        (replace(NFS_WITH_FEWER_THREADS, disk_utilisation=0.9), Cause.DISK),
        (POLL_GAP, Cause.QUEUE_POLLING),
        (replace(QUOTA, throttled_period_ratio=0.92, host_idle_ratio=0.02), Cause.CPU_QUOTA),
    ],
    ids=["database", "nfs", "nfs, fewer threads", "busy local disk", "poll gap", "quota on a full host"],
)
def test_no_verdict_says_the_opposite_of_the_truth(cell, cause):
    """The cases of issue 13, each called too few slots, single-threaded ffmpeg or CPU before."""
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (cause, Confidence.HIGH)


def test_one_run_alone_does_not_call_a_slow_mounted_storage_the_local_disk():
    alone = replace(
        NFS_WITH_FEWER_THREADS, efficiency=None, stage_slowdown={}, ffmpeg_slowdown=None, ffmpeg_cores_ratio=None
    )
    assert find_bottleneck(alone).cause is Cause.UNCLEAR
    assert find_bottleneck(replace(alone, disk_utilisation=0.9)).cause is Cause.DISK


def test_a_foreign_oom_kill_is_no_lack_of_memory():
    assert find_bottleneck(replace(CPU_BOUND, own_oom_kills=0)).cause is Cause.CPU
    assert find_bottleneck(replace(CPU_BOUND, own_oom_kills=1)).cause is Cause.MEMORY


def test_swap_that_fills_the_disk_is_a_lack_of_memory():
    cell = replace(SLOW_DISK, memory_pressure_full=0.3, swapped_in_bytes=9e9)
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.MEMORY, Confidence.HIGH)
    assert find_bottleneck(replace(SLOW_DISK, memory_pressure_full=0.03, swapped_in_bytes=3e7)).cause is Cause.DISK


@pytest.mark.parametrize("scaling", [{"efficiency": 0.74}, {"gain_up_to_here": 0.24}, {"gain_from_here": 0.24}])
@pytest.mark.parametrize("cell", [FEW_SLOTS, ONE_THREAD], ids=["slots", "single thread"])
def test_slots_that_added_little_throughput_are_not_too_few(cell, scaling):
    verdict = find_bottleneck(replace(cell, **scaling))
    assert verdict.cause not in {Cause.SLOTS, Cause.SINGLE_THREAD}
    vetoed = next(candidate for candidate in verdict.candidates if candidate.cause is Cause.SLOTS)
    assert [measured.limit for measured in vetoed.against] in ([0.75], [0.25])


def test_a_gain_from_here_outweighs_a_small_gain_up_to_here():
    assert find_bottleneck(replace(FEW_SLOTS, gain_up_to_here=0.1, gain_from_here=0.9)).cause is Cause.SLOTS


def test_a_slower_database_that_explains_little_of_the_loss_is_not_the_cause_with_high_confidence():
    cell = replace(SLOW_DATABASE, efficiency=0.2, stage_slowdown={"db": 1.5})
    assert find_bottleneck(cell).confidence is not Confidence.HIGH


def test_a_wait_for_the_database_is_no_evidence_for_more_slots():
    """The case of tests/limits in which each insert holds a lock for 3 s, without the comparable run."""
    cell = replace(SLOW_DATABASE, efficiency=None, gain_up_to_here=None, stage_slowdown={}, ffmpeg_slowdown=None)
    assert find_bottleneck(cell).cause is Cause.UNCLEAR
    elsewhere = replace(cell, stage_seconds={"transcode": 6.0, "download": 5.4})
    assert find_bottleneck(elsewhere).cause is Cause.SLOTS


def test_two_causes_at_once_are_no_certainty():
    """Slots in step: the line is full while they download, the cores while they compute."""
    cell = CellEvidence(
        efficiency=0.52,
        gain_up_to_here=0.04,
        cpu_utilisation=0.52,
        cpu_pressure_some=0.24,
        ffmpeg_slowdown=1.9,
        cpu_work_slowdown=1.04,
        network_utilisation=0.45,
        stage_seconds={"download": 12.0, "transcode": 20.0, "upload": 6.0},
        stage_slowdown={"download": 1.9, "upload": 1.9},
        service_seconds=38.2,
    )
    assert (find_bottleneck(cell).cause, find_bottleneck(cell).confidence) == (Cause.NETWORK, Confidence.MEDIUM)


def test_waits_of_a_filer_are_not_those_of_the_local_disk():
    cell = replace(NFS, io_pressure_some=0.6, io_pressure_full=0.3)
    assert find_bottleneck(cell).cause is Cause.NETWORK


def test_throttling_at_the_start_of_ffmpeg_does_not_limit_a_cell_that_scales():
    cell = replace(FEW_SLOTS, gain_from_here=0.8, throttled_period_ratio=0.3, host_idle_ratio=0.6)
    assert find_bottleneck(cell).cause is Cause.SLOTS


def test_one_slot_that_waits_for_its_disk_a_third_of_the_time_does_not_fill_it():
    """All work stops whenever the only slot waits, so the pressure says nothing about a second slot."""
    cell = replace(SLOW_DISK, efficiency=None, ffmpeg_slowdown=None, ffmpeg_cores_ratio=None, disk_utilisation=0.3)
    assert find_bottleneck(replace(cell, io_pressure_full=0.3)).cause is Cause.UNCLEAR
    assert find_bottleneck(replace(cell, io_pressure_full=0.5)).cause is Cause.DISK


def test_a_resource_does_not_limit_a_cell_that_gains_half_from_twice_the_slots():
    assert find_bottleneck(replace(SLOW_DISK, efficiency=0.9, gain_from_here=0.5)).cause is not Cause.DISK
