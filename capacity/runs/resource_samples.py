"""Read samples of CPU, disk, network and queue during a run from Prometheus, and compute their rates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from capacity.estimators.interval import Floats
from capacity.estimators.littles_law import QueueReadings
from core.promql import Series, summed_over_machines
from core.worker_conditions import of_queue

#: time after a run in which the workers' last CPU seconds arrive; they are counted when ffmpeg ends
AFTERMATH_SECONDS = 5.0
#: samples per run: enough for a chart, and one per second of a five-minute run
SAMPLE_POINTS = 300
STEAL_WINDOW_SECONDS = 30.0
BUSY_MODES = frozenset({"user", "nice", "system", "irq", "softirq", "steal"})

RangeQuery = Callable[[str, float, float, float], list[Series]]

#: queues that our workers read, where the run's own is unknown; other watched queues hold other people's messages
_READ = "and on (queue) aforo_worker_queue_info"
#: Aforo's exporters and its Prometheus, where a worker has the same address: they use CPU of the worker's machine
_EXPORTERS = """
sum by (instance) (label_replace(
  aforo_exporter_cpu_seconds_total or process_cpu_seconds_total{{job="prometheus"}},
  "address", "$1", "instance", "(.+):.*"
) and on (address) label_replace({info}, "address", "$1", "instance", "(.+):.*"))
"""
_CLOCK = "aforo_node_clock_timestamp_seconds"


def expressions(queue: str | None) -> dict[str, str]:
    """Return the PromQL expressions of a run's samples, by the first part of their keys, such as `cpu`.

    Only the workers that read `queue` count, and a worker whose queues are unknown. With None, all workers count.
    """

    def workers(metric: str) -> str:
        return metric if queue is None else of_queue(metric, queue)

    def messages(metric: str) -> str:
        return f"{metric} {_READ}" if queue is None else f"{metric}{{queue={json.dumps(queue)}}}"

    offset = workers(f"{_CLOCK} - timestamp({_CLOCK})")
    visible, in_flight = messages("aforo_sqs_messages_visible"), messages("aforo_sqs_messages_in_flight")
    return {
        "cpu": summed_over_machines(workers("aforo_node_cpu_seconds_total"), "mode"),
        "pressure": f"max by (resource, share) ({workers('aforo_node_pressure_seconds_total')})",
        "disk": summed_over_machines(workers("aforo_node_disk_bytes_total"), "direction"),
        "network": f"sum by (direction) ({workers('aforo_node_network_bytes_total')})",
        "videos": f"sum by (direction) ({workers('aforo_worker_video_bytes_total')})",
        "worker": f"sum ({workers('aforo_worker_cpu_seconds_total')})",
        "exporters": _EXPORTERS.format(info=workers("aforo_node_info")),
        "swap": summed_over_machines(workers("aforo_node_swap_in_bytes_total")),
        "periods": f"sum ({workers('aforo_node_cgroup_periods_total')})",
        "throttled": f"sum ({workers('aforo_node_cgroup_throttled_periods_total')})",
        "cores": summed_over_machines(workers("aforo_node_cores")),
        "quota": f"sum ({workers('aforo_node_cgroup_cpu_limit_cores')})",
        "ceiling": summed_over_machines(workers("aforo_node_bandwidth_limit_bytes_per_second"), "resource"),
        # the worker's clock less Prometheus' own at the scrape; the largest offset ahead and behind
        "clock_ahead": f"max ({offset})",
        "clock_behind": f"min ({offset})",
        "messages": f"sum ({visible}) + sum ({in_flight})",
        "messages_read_at": f"max ({messages('aforo_sqs_last_success_timestamp_seconds')})",
    }


@dataclass(frozen=True)
class Resources:
    """Samples of CPU, disk, network and queue during a run.

    `times` are the times of the samples in epoch seconds. `samples` maps the name of a metric, such as `disk.read` or
    `cores`, to one value per time. NaN means a missing sample.
    """

    times: Floats
    samples: dict[str, Floats] = field(default_factory=dict)

    def during(self, start: float, end: float) -> Resources:
        """Return only the samples from start to end, both in epoch seconds."""
        inside = (self.times >= start) & (self.times <= end)
        return Resources(self.times[inside], {key: values[inside] for key, values in self.samples.items()})

    def increase(self, key: str) -> float | None:
        """Return how much the counter `key`, such as `disk.read`, grew from its first to its last sample.

        A reset of the counter to 0 counts as no growth. Return None if fewer than two samples are known.
        """
        values = self._known(key)
        return float(np.diff(values).clip(min=0).sum()) if values.size > 1 else None

    def rate(self, key: str) -> float | None:
        """Return the mean growth per second of the counter `key`, such as `disk.read`, over all samples.

        Return None if fewer than two samples are known.
        """
        increase = self.increase(key)
        finite = self.times[np.isfinite(self.samples[key])] if increase is not None else self.times[:0]
        return None if increase is None or finite[-1] <= finite[0] else increase / float(finite[-1] - finite[0])

    def latest(self, key: str) -> float | None:
        """Return the last known sample of the gauge `key`, such as `cores`. None means unknown."""
        values = self._known(key)
        return float(values[-1]) if values.size else None

    def rates(self, key: str) -> Floats:
        """Return the growth per second of the counter `key`, such as `disk.read`, for each sample.

        The growth is measured since the previous sample. NaN means that one of the two samples is unknown. The first
        value is always NaN.
        """
        values = self.samples.get(key, np.full(self.times.size, np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.diff(values).clip(min=0) / np.diff(self.times)
        return np.concatenate([np.full(min(1, self.times.size), np.nan), steps])

    def cores(self) -> float | None:
        """Return how many CPU cores the workers may use: their CPU quota, or all cores if there is no quota.

        None means unknown.
        """
        return self.latest("quota") or self.latest("cores")

    def clock_offset(self) -> float | None:
        """Return by how many seconds a worker's clock is ahead of Prometheus' clock. Negative means behind.

        1. For each sample, take the offset of the clock furthest ahead, and that of the clock furthest behind.
        2. Of each of the two, take the smallest over all samples. A slow scrape makes an offset larger than it is.
        3. Return the one that is further from 0. None means unknown.
        """
        offsets = [self._known(key) for key in ("clock_ahead", "clock_behind")]
        # the smallest over time: a slow scrape makes a clock seem further ahead than it is
        smallest = [float(values.min()) for values in offsets if values.size]
        return max(smallest, key=abs, default=None)

    def queue_readings(self, start: float, end: float) -> QueueReadings:
        """Return the numbers of messages in the queue that the exporter read from SQS, with their times.

        Only readings from `start` to `end` are included. All times are epoch seconds.
        """
        unknown = np.full(self.times.size, np.nan)
        at, messages = (self.samples.get(key, unknown) for key in ("messages_read_at", "messages"))
        known = (at >= start) & (at <= end) & np.isfinite(messages)
        moments, first = np.unique(at[known], return_index=True)
        return QueueReadings(moments, messages[known][first])

    def other_cpu_ratio(self, start: float, end: float, started_at: Floats, ended_at: Floats) -> float | None:
        """Return the share of the machines' CPU that other processes used, or None if unknown.

        The share is a mean from `start` to `end`. `started_at` and `ended_at` have one time per execution. All times
        are epoch seconds.

        Share = (busy cores − cores of our tasks − cores of the exporters and Prometheus there) / all cores.

        Cores of our tasks = CPU seconds of our tasks / seconds of their executions × mean number of simultaneous
        executions.
        """
        within, until_counted = self.during(start, end), self.during(start, end + AFTERMATH_SECONDS)
        cores, busy, span = within.latest("cores"), within.cpu_rate(BUSY_MODES - {"steal"}), within.span("cpu.user")
        counted, ours = until_counted.span("worker"), until_counted.increase("worker")
        if not cores or busy is None or span is None or counted is None or ours is None:
            return None
        complete = (ended_at > counted[0]) & (ended_at <= counted[1])
        slot_seconds = float((ended_at - started_at)[complete].sum())
        if slot_seconds <= 0:
            return None
        inside = (np.minimum(ended_at, span[1]) - np.maximum(started_at, span[0])).clip(min=0).sum()
        our_cores = ours / slot_seconds * float(inside) / (span[1] - span[0])
        exporters = within.sum_of_rates(key for key in self.samples if key.startswith("exporters.")) or 0.0
        return max(0.0, busy - our_cores - exporters) / cores

    def span(self, key: str) -> tuple[float, float] | None:
        """Return the times of the first and the last known sample of the metric `key`, in epoch seconds.

        Return None when fewer than two samples are known.
        """
        values = self.samples.get(key, np.full(self.times.size, np.nan))
        known = self.times[np.isfinite(values)]
        return (float(known[0]), float(known[-1])) if known.size > 1 else None

    def cpu_rate(self, modes: frozenset[str]) -> float | None:
        """Return how many cores were busy on average in these CPU modes, such as `user`. None means unknown."""
        return self.sum_of_rates(f"cpu.{mode}" for mode in modes)

    def sum_of_rates(self, keys: Iterable[str]) -> float | None:
        """Return the sum of the known rates of these counters, or None if no rate is known."""
        known = [rate for key in keys if (rate := self.rate(key)) is not None]
        return sum(known) if known else None

    def steal_ratios(self) -> tuple[float | None, float | None]:
        """Return which share of the CPU the hypervisor took away (steal): on average, and in the worst 30 s.

        1 is 100 %, and None means unknown.
        """
        cores, stolen = self.latest("cores"), self.samples.get("cpu.steal")
        if not cores or stolen is None or self.rate("cpu.steal") is None:
            return None, None
        span = float(self.times[-1] - self.times[0])
        mean = (self.rate("cpu.steal") or 0.0) / cores
        if span < STEAL_WINDOW_SECONDS:
            return mean, None
        ahead = np.searchsorted(self.times, self.times + STEAL_WINDOW_SECONDS)
        starts = np.flatnonzero(ahead < self.times.size)
        rates = (stolen[ahead[starts]] - stolen[starts]) / (self.times[ahead[starts]] - self.times[starts])
        finite = rates[np.isfinite(rates)]
        return mean, float(finite.max()) / cores if finite.size else None

    def _known(self, key: str) -> Floats:
        values = self.samples.get(key, np.empty(0))
        return values[np.isfinite(values)]


def read_resources(query: RangeQuery, start: float, end: float, queue: str | None = None) -> Resources:
    """Read the resource samples of a run from Prometheus.

    `start` and `end` of the run are in epoch seconds. Only the workers of `queue` count, or all if it is None. `query`
    is a function that runs a range query. Its arguments are expression, start, end and step in seconds.
    """
    times = sample_times(start, end)
    step = float(times[1] - times[0])
    samples: dict[str, Floats] = {}
    for family, expression in expressions(queue).items():
        for series in query(expression, float(times[0]), float(times[-1]), step):
            samples[".".join([family, *(series.labels[label] for label in sorted(series.labels))])] = _on(times, series)
    return Resources(times, samples)


def sample_times(start: float, end: float) -> Floats:
    """Return the times at which to sample a run, in epoch seconds.

    The times are evenly spaced, 1 s or more apart, from start to `AFTERMATH_SECONDS` after the end.
    """
    seconds = end + AFTERMATH_SECONDS - start
    step = max(1.0, (end - start) / SAMPLE_POINTS)
    return np.linspace(start, end + AFTERMATH_SECONDS, int(seconds // step) + 1)


def _on(times: Floats, series: Series) -> Floats:
    """Return the series on the time axis.

    Prometheus answers at start + k × step, and omits times without a value.
    """
    values = np.full(times.size, np.nan)
    if series.points:
        moments, finite = np.array(series.points).T
        values[np.abs(times[None, :] - moments[:, None]).argmin(axis=1)] = finite
    return values
