"""Read the conditions of a run, such as versions and machines, from its database row.

Only runs with equal conditions are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.run import SHAPE

#: the label of a condition that the worker could not know
UNKNOWN = "unknown"
#: conditions that are labels of `aforo_worker_info`, under the same names
FROM_LABELS = (
    *("ffmpeg", "celery", "kombu", "python", "transport", "pool", "threads_setting", "cpu_model", "instance_type"),
    *("cpu_quota_cores", "memory_limit_bytes", "image", "version"),
)


@dataclass(frozen=True)
class Conditions:
    """Facts that must be equal before two runs are compared: video, encoding, machines and versions.

    An unknown condition is None. If the workers of a run have different values of a condition, the condition is one
    text: the values joined by ` + `.
    """

    profile: str = "full"
    source_sha256: str = ""
    stack: str | None = None
    storage: str | None = None
    ffmpeg: str | None = None
    celery: str | None = None
    cpu_model: str | None = None
    cpu_count: int | str | None = None
    #: whole GB, because the memory that the kernel reserves varies by a few MB
    memory_gigabytes: int | str | None = None
    kombu: str | None = None
    python: str | None = None
    transport: str | None = None
    pool: str | None = None
    #: `auto`, or the number of ffmpeg's threads in one slot
    threads_setting: str | None = None
    instance_type: str | None = None
    #: limits of the container; `none` is known
    cpu_quota_cores: str | None = None
    memory_limit_bytes: str | None = None
    image: str | None = None
    #: Aforo's version
    version: str | None = None
    #: name and version of an app that is not ours, and whether its worker was instrumented
    app: str | None = None
    app_version: str | None = None
    instrumented: bool | None = None
    #: the slots had processed videos before the run, on request
    is_warm: bool = False
    #: load shape of a sustained run, as the injector's SHAPE names it; None is equal intervals
    shape: str | None = None

    @classmethod
    def of(cls, profile: str, source_sha256: str, environment: Mapping[str, Any]) -> Conditions:
        """Return the conditions of a run from three columns of its database row.

        If `environment` has no facts about the workers, the facts about the injector's machine are used instead.
        """
        app = environment.get("app", {})
        known = cls(
            profile,
            source_sha256,
            stack=environment.get("stack"),
            storage=environment.get("storage"),
            app=app.get("name"),
            app_version=app.get("version"),
            instrumented=app.get("instrumented"),
            is_warm=bool(environment.get("is_warm")),
            shape=environment.get(SHAPE),
        )
        workers = workers_at_start(environment)
        return replace(known, **(_of_host(environment) if workers is None else _of_workers(workers)))


def workers_at_start(environment: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Return facts about each worker at the start of a run, such as `cpu_model`: one mapping per worker.

    `environment` is the column of that name in the run's database row. Return None if the run did not record its
    workers.
    """
    records: Sequence[Mapping[str, Any]] | None = environment.get("workers", {}).get("start")
    return records


def has_smt(environment: Mapping[str, Any]) -> bool:
    """Return True if at least one worker's machine has two logical cores per physical core (SMT).

    If the run did not record its workers, the injector's machine is examined. Return False if SMT is unknown.
    """
    workers = workers_at_start(environment)
    if workers is None:
        return bool(environment.get("host", {}).get("smt"))
    return any(worker.get("smt") == "on" for worker in workers)


def _of_host(environment: Mapping[str, Any]) -> dict[str, Any]:
    host = environment.get("host", {})
    return {
        "ffmpeg": environment.get("ffmpeg"),
        "celery": environment.get("celery"),
        "cpu_model": host.get("cpu_model"),
        "cpu_count": host.get("cpu_count"),
        "memory_gigabytes": _gigabytes(host.get("memory_bytes")),
    }


def _of_workers(workers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = {name: _joined(workers, name, str) for name in FROM_LABELS}
    return values | {
        "cpu_count": _joined(workers, "cores", int),
        "memory_gigabytes": _joined(workers, "memory_bytes", _gigabytes),
    }


def _joined(workers: Sequence[Mapping[str, Any]], name: str, convert: Callable[[Any], Any]) -> Any:
    """Return the converted value that all workers have, or their different values joined.

    Any unknown value makes the result unknown.
    """
    texts = [worker.get(name, UNKNOWN) for worker in workers]
    if not texts or UNKNOWN in texts:
        return None
    values = sorted({convert(text) for text in texts})
    return values[0] if len(values) == 1 else " + ".join(map(str, values))


def _gigabytes(memory_bytes: Any) -> int | None:
    return None if memory_bytes is None else round(float(memory_bytes) / 1e9)
