"""Check this machine before the stack starts: tools, encoders, ports and disk space."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from core import ports
from core.errors import EnvironmentFault, UsageError
from core.ffmpeg.requirement import ENCODERS, require_ffmpeg
from core.remote_write import check_remote_write
from core.settings import Settings
from local.programs import NO_PORT, Program, programs

#: Program on PATH → its Debian package.
PACKAGES = {"ffmpeg": "ffmpeg", "ffprobe": "ffmpeg", "prometheus": "prometheus", "redis-server": "redis-server"}
LEAST_FREE_BYTES = 1_000_000_000


def check_tools() -> str:
    """Check that all required tools are installed. Return their names, separated by commas.

    If a tool is missing, raise EnvironmentFault. The error names the Debian package to install.
    """
    for tool, package in PACKAGES.items():
        if shutil.which(tool) is None:
            raise EnvironmentFault(tool, "it is not installed", f"run `make setup`, or apt-get install {package}")
    return ", ".join(PACKAGES)


def check_encoders() -> str:
    """Check that ffmpeg has all required video encoders. Return their names, separated by commas.

    Raise EnvironmentFault if an encoder is missing, or if ffmpeg does not run or is too old.
    """
    require_ffmpeg()
    return ", ".join(ENCODERS)


def check_ports(required: Iterable[Program]) -> None:
    """Raise EnvironmentFault for the first of these programs that cannot listen on its port.

    The error gives the cause: two of these programs share a port, another process uses the port, or this user lacks the
    right to listen.
    """
    owners: dict[int, Program] = {}
    for program in required:
        if program.port == NO_PORT:
            continue
        other = owners.setdefault(program.port, program)
        if other is not program:
            raise EnvironmentFault(
                "port",
                f"{other.variable} and {program.variable} both use it",
                "change one of them",
                value=program.port,
            )
        ports.require_free("127.0.0.1", program.port, program.name, program.variable)


def check_scrapes(settings: Settings) -> None:
    """Raise UsageError if this stack's Prometheus would have to scrape exporters with TLS or a password.

    The configuration of this Prometheus supports neither TLS nor passwords.
    """
    files = {
        "AFORO_EXPORTER_TLS_CERTIFICATE": settings.exporters.tls_certificate,
        "AFORO_EXPORTER_TLS_KEY": settings.exporters.tls_key,
        "AFORO_EXPORTER_AUTH_FILE": settings.exporters.auth_file,
    }
    for name, file in files.items():
        if file is not None and any(program.name == "prometheus" for program in programs(settings)):
            why = "this stack's Prometheus scrapes exporters without it"
            raise UsageError(name, why, "leave it empty, or set AFORO_PROMETHEUS_URL to your own", value=file)


def check_central_store(settings: Settings) -> None:
    """Check the settings with which Prometheus sends a copy of every sample to a central store.

    The central store is another server. Raise UsageError if a value is wrong. Also raise UsageError if a central store
    is set and this stack starts no Prometheus.
    """
    check_remote_write(settings.prometheus)
    url = settings.prometheus.remote_write_url
    if url is not None and not any(program.name == "prometheus" for program in programs(settings)):
        why = "this stack starts no Prometheus that could send"
        raise UsageError("AFORO_REMOTE_WRITE_URL", why, "set remote_write in that Prometheus yourself", value=url)


def check_disk(folder: str = ".") -> str:
    """Return the free disk space of a folder as text, such as `12.3 GB free`.

    Raise EnvironmentFault if less than 1 GB is free.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise EnvironmentFault("disk", f"only {free / 1e6:.0f} MB are free", "free 1 GB or more")
    return f"{free / 1e9:.1f} GB free"
