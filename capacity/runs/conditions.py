"""Conditions of a run. Only runs under equal conditions are averaged or compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Conditions:
    """The video, its processing and the machine. None is unknown.

    The host name is left out, because a container has another one in each run.
    """

    profile: str = "full"
    source_sha256: str = ""
    stack: str | None = None
    storage: str | None = None
    ffmpeg: str | None = None
    celery: str | None = None
    cpu_model: str | None = None
    cpu_count: int | None = None
    #: whole GB, because the memory that the kernel reserves varies by a few MB
    memory_gigabytes: int | None = None
    #: the slots had processed videos before the run, on request
    is_warm: bool = False

    @classmethod
    def of(cls, profile: str, source_sha256: str, environment: Mapping[str, Any]) -> Conditions:
        """Return the conditions of a run from the columns of its row."""
        host = environment.get("host", {})
        memory = host.get("memory_bytes")
        return cls(
            profile,
            source_sha256,
            stack=environment.get("stack"),
            storage=environment.get("storage"),
            ffmpeg=environment.get("ffmpeg"),
            celery=environment.get("celery"),
            cpu_model=host.get("cpu_model"),
            cpu_count=host.get("cpu_count"),
            memory_gigabytes=None if memory is None else round(memory / 1e9),
            is_warm=bool(environment.get("is_warm")),
        )
