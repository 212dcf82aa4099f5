"""CPU model, EC2 instance type and simultaneous multithreading of this machine, from local files only."""

from __future__ import annotations

import platform
from pathlib import Path

from aforo.cgroup import lines_of

#: Cores in cloud machines, by implementer and part of /proc/cpuinfo. Source: Linux, arch/arm64/include/asm/cputype.h.
ARM_CORES = {
    ("0x41", "0xd08"): "Cortex-A72, Graviton 1",
    ("0x41", "0xd0c"): "Neoverse N1, Graviton 2",
    ("0x41", "0xd40"): "Neoverse V1, Graviton 3",
    ("0x41", "0xd4f"): "Neoverse V2, Graviton 4",
    ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1a",
}
EC2_VENDOR = "Amazon EC2"


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the CPU model of this machine.

    An arm64 kernel reports no model name. The result is then the codes of the CPU's implementer and part, and the name
    of the core if it is known.
    """
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines_of(cpuinfo))]
    implementers = [value for name, value in pairs if name == "CPU implementer"]
    parts = [value for name, value in pairs if name == "CPU part"]
    if implementers and parts:
        return " + ".join(sorted({_arm_model(*core) for core in zip(implementers, parts, strict=False)}))
    models = (value for name, value in pairs if name == "model name")
    return next(models, "") or platform.processor() or platform.machine()


def instance_type(dmi: Path = Path("/sys/class/dmi/id")) -> str:
    """Return the EC2 instance type, or `unknown` where the firmware does not name it."""
    if "".join(lines_of(dmi / "sys_vendor")).strip() != EC2_VENDOR:
        return "unknown"
    return "".join(lines_of(dmi / "product_name")).strip() or "unknown"


def smt(active: Path = Path("/sys/devices/system/cpu/smt/active")) -> bool | None:
    """Return True if simultaneous multithreading is on: two logical cores share a physical one.

    Return None if it is unknown.
    """
    lines = lines_of(active)
    return lines[0].strip() == "1" if lines else None


def _arm_model(implementer: str, part: str) -> str:
    core = ARM_CORES.get((implementer, part))
    return f"arm64 {implementer} {part}" + (f" ({core})" if core else "")
