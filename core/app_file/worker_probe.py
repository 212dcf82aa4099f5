"""Read facts about the app under test with the Python interpreter that runs its worker.

The facts are versions, the names of the registered tasks, whether a message is acknowledged before or after its task,
and the app's own name of its queue.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

from core.app_file.child_environment import run_as_worker
from core.app_file.sections import AppFile
from core.errors import EnvironmentFault, UsageError, first_line, printable

ANSWER_SECONDS = 60
SHOWN_TASKS = 5
#: run by the worker's Python, with the names of its Celery app, of the task, of the queue in SQS, and of the modules
#: that the worker's command includes
SCRIPT = """
import json, sys
facts = {"python": sys.version.split()[0]}
try:
    import celery, kombu
    facts |= {"celery": celery.__version__, "kombu": kombu.__version__}
    if sys.argv[1]:
        sys.path.insert(0, "")
        from celery.app.utils import find_app
        app = find_app(sys.argv[1])
        app.loader.import_default_modules()
        for module in filter(None, sys.argv[4].split(",")):
            app.loader.import_task_module(module)
        task = app.tasks.get(sys.argv[2])
        facts["tasks"] = sorted(name for name in app.tasks if not name.startswith("celery."))
        facts["acks_late"] = None if task is None else bool(task.acks_late)
        options = app.conf.broker_transport_options or {}
        queues = (options.get("predefined_queues") or {}).items()
        names = [name for name, queue in queues if queue["url"].rsplit("/", 1)[-1] == sys.argv[3]]
        prefix = (options.get("queue_name_prefix") or "").replace(".", "-")  # as kombu does in names of SQS
        facts["routing_key"] = (names or [sys.argv[3]])[0].removeprefix(prefix)
except Exception as error:
    facts["error"] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(facts))
"""


@dataclass(frozen=True)
class WorkerFacts:
    """Facts about the app under test, read with the Python interpreter that runs its worker.

    `python`, `celery` and `kombu` are versions. `tasks` are the names of the registered tasks. `acks_late` is True if
    Celery acknowledges a message after its task, and False if before. `routing_key` is the name of the queue in Celery.
    This name differs from the name in SQS if the app has a `queue_name_prefix`, or other names in `predefined_queues`.
    `error` is the error that stopped the reading, or None without an error. In every other field, None means unknown.
    """

    python: str | None = None
    celery: str | None = None
    kombu: str | None = None
    tasks: tuple[str, ...] | None = None
    acks_late: bool | None = None
    routing_key: str | None = None
    error: str | None = None


def probe_worker(app: AppFile) -> WorkerFacts:
    """Import the app with the Python interpreter of its worker, and return facts about the app.

    All facts are unknown if that interpreter is not on this machine. This never raises: an error, or no answer within
    60 s, is in the field `error`.
    """
    if app.worker.python is None:
        return WorkerFacts()
    included = _option(app, "-I", "--include") or ""
    command = [str(app.worker.python), "-c", SCRIPT, celery_app(app) or "", app.task, app.queue, included]
    try:
        answer = run_as_worker(app, command, timeout_seconds=ANSWER_SECONDS)
        facts: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return WorkerFacts(error=first_line(error))
    tasks = facts.pop("tasks", None)
    return WorkerFacts(**facts, tasks=None if tasks is None else tuple(tasks))


def require_task(app: AppFile, facts: WorkerFacts) -> None:
    """Raise an AforoError if the app cannot be imported, or if it does not know the task `app.task`.

    `facts` are those of `probe_worker`. Raise nothing if the tasks are unknown, or if aforo.toml has neither
    `worker.command` nor `worker.app`.
    """
    if app.worker.command is None and app.worker.app is None:
        return
    if facts.error is not None:
        why = f"it cannot be imported: {printable(facts.error, limit=300)}"
        remedy = "correct the app, -A or env_file"
        key = "worker.command" if app.worker.app is None else "worker.app"
        raise EnvironmentFault(app.place(key), why, remedy, value=celery_app(app))
    if facts.tasks is not None and app.task not in facts.tasks:
        known = ", ".join(facts.tasks[:SHOWN_TASKS]) or "none"
        raise UsageError(app.place("app.task"), "the app has no such task", f"it has {known}", value=app.task)


def celery_app(app: AppFile) -> str | None:
    """Return the name of the Celery app: the value of the option `-A` or `--app` in the worker's command.

    Without such an option, return `worker.app` of aforo.toml, or None if that is missing too.
    """
    return _option(app, "-A", "--app") or app.worker.app


def _option(app: AppFile, short: str, long: str) -> str | None:
    """Return the value of an option in the worker's command, or None if it is not there."""
    words = shlex.split(app.worker.command or "")
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word in {short, long}:
            return following
        if word.startswith(f"{long}="):
            return word.removeprefix(f"{long}=")
    return None
