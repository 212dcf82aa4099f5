"""What must be true of this machine before anything is started: tools, codecs, ports, disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from core import ports
from core.errors import EnvironmentFault, UsageError
from core.ffmpeg.requirement import ENCODERS, require_ffmpeg
from core.settings import Settings
from local.programs import Program, programs

#: program on PATH → Debian package that has it
PACKAGES = {"ffmpeg": "ffmpeg", "ffprobe": "ffmpeg", "prometheus": "prometheus", "redis-server": "redis-server"}
LEAST_FREE_BYTES = 1_000_000_000


def check_tools() -> str:
    """Return the tools we need; raise EnvironmentFault for the first that is missing, naming its package."""
    for tool, package in PACKAGES.items():
        if shutil.which(tool) is None:
            raise EnvironmentFault(tool, "it is not installed", f"run `make setup`, or apt-get install {package}")
    return ", ".join(PACKAGES)


def check_encoders() -> str:
    """Return the encoders we need; raise EnvironmentFault unless ffmpeg runs, is recent enough and has them."""
    require_ffmpeg()
    return ", ".join(ENCODERS)


def check_ports(wanted: Iterable[Program]) -> None:
    """Raise EnvironmentFault for the first port that is asked for twice, forbidden or taken."""
    owners: dict[int, Program] = {}
    for program in wanted:
        other = owners.setdefault(program.port, program)
        if other is not program:
            raise EnvironmentFault(
                "port",
                f"{other.variable} and {program.variable} both name it",
                "change one of them",
                value=program.port,
            )
        ports.require_free("127.0.0.1", program.port, program.name, program.variable)


def check_scrapes(settings: Settings) -> None:
    """Raise UsageError for exporters with TLS or a password where our own Prometheus reads them, over loopback."""
    told = {
        "AFORO_EXPORTER_TLS_CERTIFICATE": settings.exporters.tls_certificate,
        "AFORO_EXPORTER_TLS_KEY": settings.exporters.tls_key,
        "AFORO_EXPORTER_AUTH_FILE": settings.exporters.auth_file,
    }
    for name, file in told.items():
        if file is not None and any(program.name == "prometheus" for program in programs(settings)):
            why = "this stack's Prometheus reads exporters without it"
            raise UsageError(name, why, "leave it out, or set AFORO_PROMETHEUS_URL to one of yours", value=file)


def check_disk(folder: str = ".") -> str:
    """Return the free space; raise EnvironmentFault when less than 1 GB is free where data and temporary files go."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise EnvironmentFault("disk", f"only {free / 1e6:.0f} MB are free", "free 1 GB or more")
    return f"{free / 1e9:.1f} GB free"
