"""Read the CPU quota, memory limit and pressure (PSI) of this process's Linux cgroup.

The quota and the limit are read in cgroup v1 and v2, the pressure only in v2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: A memory limit of this size or more is no limit: cgroup v1 writes the largest page count.
NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class CpuQuota:
    """CPU quota of a cgroup, and how often and how long the quota stopped processes.

    `cores` is the quota in CPU cores. `periods` counts the scheduler periods. `throttled_periods` counts the periods
    with a stop. `throttled_seconds` is the total time of the stops.
    """

    cores: float
    periods: int
    throttled_periods: int
    throttled_seconds: float


@dataclass(frozen=True)
class Cgroup:
    """Read the CPU quota, memory limit and pressure of this process's Linux cgroup.

    A cgroup's limit also holds for the cgroups below it. The limit that this class returns is therefore the lowest of
    the limits of this cgroup and its ancestors. The fields are the paths of the kernel's folders and files.
    """

    v2: Path = Path("/sys/fs/cgroup")
    v1_cpu: Path = Path("/sys/fs/cgroup/cpu")
    v1_memory: Path = Path("/sys/fs/cgroup/memory")
    own: Path = Path("/proc/self/cgroup")

    def cpu_quota(self) -> CpuQuota | None:
        """Return the lowest CPU quota of this cgroup and its ancestors, or None if there is no quota."""
        groups = [(group, 1e-6) for group in self._groups(self.v2, "")]
        groups += [(group, 1e-9) for group in self._groups(self.v1_cpu, "cpu")]
        limited = [(cores, group, unit) for group, unit in groups if (cores := _quota_cores(group)) is not None]
        if not limited:
            return None
        cores, group, unit = min(limited)
        counts = _key_values(group / "cpu.stat")
        throttled = counts.get("throttled_usec", counts.get("throttled_time", 0))
        return CpuQuota(cores, counts.get("nr_periods", 0), counts.get("nr_throttled", 0), throttled * unit)

    def memory_limit_bytes(self) -> int | None:
        """Return the lowest memory limit of this cgroup and its ancestors, in bytes, or None without a limit."""
        files = [group / "memory.max" for group in self._groups(self.v2, "")]
        files += [group / "memory.limit_in_bytes" for group in self._groups(self.v1_memory, "memory")]
        limits = [int(line) for file in files for line in lines_of(file) if line != "max"]
        return min((limit for limit in limits if limit < NO_LIMIT_BYTES), default=None)

    def pressure(self, resource: str) -> list[str]:
        """Return the lines of the kernel's pressure file (PSI) of this cgroup for `resource`, such as `cpu`.

        Return an empty list if there is no such file, as under cgroup v1. The pressure of ancestors is not read.
        """
        return lines_of(self._groups(self.v2, "")[0] / f"{resource}.pressure")

    def _groups(self, root: Path, controller: str) -> tuple[Path, ...]:
        """Return this process's cgroup and its ancestors up to `root`.

        A container often sees its own cgroup as the root.
        """
        lines = [line.split(":", 2) for line in lines_of(self.own)]
        own = next((path for _, names, path in lines if controller in names.split(",")), "/")
        here = root / own.strip("/")
        inside = [group for group in (here, *here.parents) if group.is_relative_to(root)]
        return tuple(inside) if here.is_dir() else (root,)


def lines_of(file: Path) -> list[str]:
    """Return the lines of a kernel file such as /proc/stat. Return an empty list for an unreadable file."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _quota_cores(group: Path) -> float | None:
    for line in lines_of(group / "cpu.max"):
        quota, period = line.split()
        return None if quota == "max" else int(quota) / int(period)
    quotas = [int(line) for line in lines_of(group / "cpu.cfs_quota_us")]
    periods = [int(line) for line in lines_of(group / "cpu.cfs_period_us")]
    return quotas[0] / periods[0] if quotas and periods and quotas[0] > 0 else None


def _key_values(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in lines_of(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
