import time

import pytest

from aforo.cgroup import Cgroup
from aforo.telemetry.node import NodeCollector


def collect(tmp_path, own="", pids=()):
    own_cgroups = tmp_path / "own"
    own_cgroups.write_text(own)
    cgroup = Cgroup(tmp_path / "v2", tmp_path / "v1", tmp_path / "v1-memory", own_cgroups)
    collector = NodeCollector({"work": tmp_path}, lambda: pids, {"disk_write": 5e6}, cgroup)
    return samples(collector)


def samples(collector):
    return {(s.name, *s.labels.values()): s.value for family in collector.collect() for s in family.samples}


def group(folder, quota, throttled):
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder / "cpu.stat").write_text(f"nr_periods 80\nnr_throttled {throttled}\nthrottled_time 3000000000\n")


def test_the_quota_of_the_workers_own_cgroup_counts_and_not_that_of_the_root(tmp_path):
    group(tmp_path / "v1", -1, 0)
    group(tmp_path / "v1/app/worker", 50_000, 60)
    values = collect(tmp_path, "4:cpu,cpuacct:/app/worker\n")
    assert values["aforo_node_cgroup_cpu_limit_cores",] == 0.5
    assert values["aforo_node_cgroup_throttled_periods_total",] == 60
    assert values["aforo_node_cgroup_throttled_seconds_total",] == 3.0


def test_the_tightest_quota_above_the_worker_counts(tmp_path):
    group(tmp_path / "v1", -1, 0)
    group(tmp_path / "v1/app", 50_000, 70)
    group(tmp_path / "v1/app/worker", 200_000, 1)
    values = collect(tmp_path, "4:cpu:/app/worker\n")
    assert (values["aforo_node_cgroup_cpu_limit_cores",], values["aforo_node_cgroup_throttled_periods_total",]) == (
        0.5,
        70,
    )


def test_a_container_that_sees_its_own_cgroup_as_the_root(tmp_path):
    group(tmp_path / "v1", 150_000, 9)
    assert collect(tmp_path, "4:cpu:/docker/4711\n")["aforo_node_cgroup_cpu_limit_cores",] == 1.5


def test_the_unified_hierarchy(tmp_path):
    folder = tmp_path / "v2/worker.service"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("25000 100000\n")
    (folder / "cpu.stat").write_text("usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\n")
    values = collect(tmp_path, "0::/worker.service\n")
    assert values["aforo_node_cgroup_cpu_limit_cores",] == 0.25
    assert values["aforo_node_cgroup_throttled_seconds_total",] == 2.5


def test_without_a_quota_its_metrics_are_absent(tmp_path):
    group(tmp_path / "v1", -1, 0)
    assert not [key for key in collect(tmp_path, "4:cpu:/\n") if "cgroup" in key[0]]


def test_measured_bandwidth_limits_and_the_clock_are_exported(tmp_path):
    values = collect(tmp_path)
    assert values["aforo_node_bandwidth_limit_bytes_per_second", "disk_write"] == 5e6
    assert values["aforo_node_clock_timestamp_seconds",] == pytest.approx(time.time(), abs=30)


def test_the_cpu_time_does_not_decrease_when_a_slot_ends(tmp_path):
    pids = [1]
    collector = NodeCollector({"work": tmp_path}, lambda: pids)
    before = samples(collector)["aforo_worker_cpu_seconds_total",]
    pids.clear()
    assert samples(collector)["aforo_worker_cpu_seconds_total",] >= before > 0


def test_pressure_is_read_from_the_workers_own_cgroup_if_the_kernel_has_it(tmp_path):
    folder = tmp_path / "v2/worker.service"
    folder.mkdir(parents=True)
    (folder / "cpu.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=7000000\n")
    values = collect(tmp_path, "0::/worker.service\n")
    assert values["aforo_node_pressure_seconds_total", "cpu", "some"] == 7.0
