"""`make app-file`: ask five questions about an app, and write its first aforo.toml.

The suggested answers are read from the app's folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from sqlalchemy import Inspector, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from core.app_file import values
from core.errors import UsageError

NAME = "aforo.toml"
#: files that tell how a team starts its worker
STARTERS = ("Procfile", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "README.md")
SKIPPED = frozenset({"node_modules", "__pycache__", "tests", "test"})
MOST_FILES = 2000
_COMMAND = re.compile(r"celery\s+(?:-A|--app)[ =]\S+[^\n\"'|&;]*")
_DECORATED = re.compile(
    r"@(?:[\w.]+\.task|shared_task)\b(?P<options>\([^)]*\))?\s*\n\s*(?:async\s+)?def\s+(?P<name>\w+)"
)
_GIVEN_NAME = re.compile(r"name\s*=\s*[\"']([\w.-]+)[\"']")
#: words by which the columns of a table of videos are recognised
STATUS_WORDS, DONE_WORDS, FAILED_WORDS = ("status", "state", "estado"), "done", "failed"

Ask = Callable[[str, str], str]


@dataclass(frozen=True)
class AppFacts:
    """Facts about an app's worker, queue and tables, read from the files in its folder and its database.

    A text field is '' if the fact was not found.
    """

    folder: Path
    python: str
    command: str
    tasks: tuple[str, ...]
    env_file: str
    url_variable: str
    queue: str
    #: columns of each table, and whether a row needs a value for it
    tables: dict[str, dict[str, bool]]


def write_app_file(folder: Path, ask: Ask) -> Path:
    """Ask the user five questions, and write aforo.toml into the app's folder. Return its path.

    Raise UsageError if the file exists or the folder does not.
    """
    if not folder.is_dir():
        raise UsageError("app-file", "there is no such folder", "give the folder of your app", value=folder)
    path = folder / NAME
    if path.exists():
        raise UsageError("app-file", "it exists already", "edit it, or move it away", value=path)
    facts = read_app(folder)
    path.write_text(render(facts, answers(facts, ask)), encoding="utf-8")
    return path


def answers(facts: AppFacts, ask: Ask) -> dict[str, str]:
    """Ask the user five questions about the app, and return the answers by name.

    The suggested answers are `facts`. For an unknown fact, a default is suggested.
    """
    return {
        "command": ask("Command that starts your worker", facts.command or "celery -A app.main worker"),
        "task": ask("Name of the task", facts.tasks[0] if facts.tasks else "app.tasks.process_video"),
        "queue": ask("SQS queue", facts.queue or "videos"),
        "table": ask("Table of your videos (empty: none)", next(iter(facts.tables), "")),
        "folder": ask("Folder where your worker finds its input", "uploads"),
    }


def read_app(folder: Path) -> AppFacts:
    """Return what an app's folder says about the app: worker command, tasks, queue and database tables.

    The result has no tables if the database in the folder's file `.env` does not answer.
    """
    env_file = ".env" if (folder / ".env").is_file() else ""
    variables = {k: v or "" for k, v in dotenv_values(folder / env_file).items()} if env_file else {}
    urls = [name for name, value in variables.items() if "DATABASE" in name and "://" in value]
    queues = [value for name, value in variables.items() if "QUEUE" in name and re.fullmatch(r"[\w-]{1,80}", value)]
    url_variable = urls[0] if urls else ""
    return AppFacts(
        folder=folder,
        python=next((path for path in (".venv/bin/python", "venv/bin/python") if (folder / path).exists()), ""),
        command=_command(folder),
        tasks=tuple(_tasks(folder)),
        env_file=env_file,
        url_variable=url_variable,
        queue=queues[0] if queues else "",
        tables=_tables(folder, variables, url_variable),
    )


def render(facts: AppFacts, answer: dict[str, str]) -> str:
    """Return the text of a first aforo.toml, with comments.

    `facts` were read from the app's folder. `answer` has the user's answers by name.
    """
    lines = [
        "# The worker under test. `make doctor APP=…` checks each line; docs/your-own-worker.md explains them.",
        "[app]",
        f'name = "{_label(facts.folder)}"',
        f'task = "{answer["task"]}"',
        'args = ["{row.id}", "{path}"]  # what your task takes; or kwargs = { path = "{path}" }'
        if answer["table"]
        else 'args = ["{path}"]',
        f'queue = "{answer["queue"]}"  # as SQS knows it, a queue_name_prefix included',
        f'env_file = "{facts.env_file}"  # your settings: env:NAME below and AWS_*'
        if facts.env_file
        else '# env_file = ".env"  # your settings: env:NAME below and AWS_*',
        "",
        "[worker]",
        'directory = "."',
        f'python = "{facts.python or ".venv/bin/python"}"',
        f'command = "{_with_concurrency(answer["command"])}"',
        "instrument = true  # after `make wheel` and pip install there",
        "",
        *_videos(facts, answer["table"]),
        "[input]",
        f'folder = "{answer["folder"]}"  # where the videos are put',
        'per_video = "copy"  # shared | copy | link: copy if the task deletes it',
        "",
    ]
    return "\n".join(line.rstrip() for line in lines)


def _videos(facts: AppFacts, table: str) -> Iterator[str]:
    if not table:
        return
    columns = facts.tables.get(table, {})
    status = next((name for name in columns if name.lower() in STATUS_WORDS), "status")
    required = [name for name, is_required in columns.items() if is_required and name not in {"id", status}]
    uploaded = "uploaded_at" if "uploaded_at" in columns or "created_at" not in columns else "created_at"
    insert = ", ".join([f'{status} = "uploaded"', *(f'{name} = "{_guess(name)}"' for name in required)])
    yield "[videos]"
    yield f'url = "env:{facts.url_variable or "DATABASE_URL"}"'
    yield f'table = "{table}"'
    yield 'id = "id"'
    yield f'status = {{ column = "{status}", done = ["{DONE_WORDS}"], failed = ["{FAILED_WORDS}"] }}'
    yield f'uploaded_at = "{uploaded}"'
    yield 'updated_at = "updated_at"'
    yield "# every column that must not be null and has no default in the database"
    yield f"insert = {{ {insert} }}"
    yield ""


def _guess(column: str) -> str:
    """Return a placeholder for a column, by its name."""
    words = {"path": "{path}", "file": "{path}", "url": "{path}", "key": "{key}", "task": "{task_id}"}
    words |= {"uuid": "{uuid}", "user": "{user_id}", "owner": "{user_id}", "_at": "{now}"}
    return next((value for word, value in words.items() if word in column.lower()), "Load test {n}")


def _command(folder: Path) -> str:
    for name in STARTERS:
        file = folder / name
        match = _COMMAND.search(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
        if match and " worker" in match[0]:
            return match[0].strip().rstrip("`")
    return ""


def _with_concurrency(command: str) -> str:
    """Return a command with the placeholder for its slots instead of a number."""
    replaced = re.sub(r"(--concurrency[= ]|-c ?)\d+", "--concurrency={concurrency}", command)
    added = replaced if "{concurrency}" in replaced else f"{replaced} --concurrency={{concurrency}}"
    return added.replace('"', "'")


def _tasks(folder: Path) -> Iterator[str]:
    """Yield the names of the tasks in the app's Python files, those that are about videos first."""
    names = dict.fromkeys(_task_names(folder))
    yield from sorted(names, key=lambda name: "video" not in name.lower())


def _task_names(folder: Path) -> Iterator[str]:
    for file in _python_files(folder):
        for match in _DECORATED.finditer(file.read_text(encoding="utf-8", errors="replace")):
            given = _GIVEN_NAME.search(match["options"] or "")
            module = ".".join(file.relative_to(folder).with_suffix("").parts)
            yield given[1] if given else f"{module}.{match['name']}"


def _python_files(folder: Path) -> Iterator[Path]:
    left = MOST_FILES
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if _is_source(Path(parent, name))]
        for name in files:
            if name.endswith(".py") and left > 0:
                left -= 1
                yield Path(parent, name)


def _is_source(folder: Path) -> bool:
    return folder.name not in SKIPPED and folder.name[0] != "." and not (folder / "pyvenv.cfg").exists()


def _tables(folder: Path, variables: dict[str, str], url_variable: str) -> dict[str, dict[str, bool]]:
    """Return the columns of each table, the tables about videos first. Empty without a database."""
    if not url_variable:
        return {}
    try:
        url = values.database_url(f"env:{url_variable}", None, variables, folder)
        if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).is_file():
            return {}
        inspector = inspect(create_engine(url, connect_args={} if url.startswith("sqlite") else {"connect_timeout": 5}))
        tables = sorted(inspector.get_table_names(), key=lambda name: "video" not in name.lower())
        return {table: _columns(inspector, table) for table in tables}
    except (ValueError, SQLAlchemyError):
        return {}


def _columns(inspector: Inspector, table: str) -> dict[str, bool]:
    columns = inspector.get_columns(table)
    return {column["name"]: not column["nullable"] and column["default"] is None for column in columns}


def _label(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower()).strip("-")[:32]
    return name or "app"
