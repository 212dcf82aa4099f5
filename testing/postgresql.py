"""Run a PostgreSQL server in a temporary folder for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.ports import free_port

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
#: The data of a test need not survive a crash.
OPTIONS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=40"


def binaries() -> Path | None:
    """Return the folder with the programs initdb and pg_ctl, or None if PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    for pattern in FOLDERS:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextmanager
def running_server(folder: Path, more: str = "", port: int | None = None) -> Iterator[str]:
    """Context manager: run PostgreSQL with its data in `folder`. Yield the URL of its database `postgres`.

    `folder` must not be in pytest's own folder (`tmp_path`). Any other pytest that starts makes that private again, and
    a server of the user postgres then dies at its next checkpoint. Use a `tempfile.TemporaryDirectory`.

    `more` are additional options of the server. Without `port`, the server listens on a free port. A second server in
    the same folder continues with the data of the first.
    """
    tools = binaries()
    assert tools is not None
    assert not any(parent.name.startswith("pytest-of-") for parent in folder.parents), folder
    _let_postgres_in(folder)
    data, port = folder / "data", port or free_port()
    if not (folder / "data").exists():
        _run(tools / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
    options = f"{OPTIONS} {more} -p {port} -k {folder} -c listen_addresses=127.0.0.1"
    _run(tools / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        _run(tools / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def restart(folder: Path) -> None:
    """Kill the server whose data is in `folder`, and start it again with the same options.

    The server recovers as after a crash. Transactions that it had committed are kept for certain only with
    `synchronous_commit=on`.
    """
    tools = binaries()
    assert tools is not None
    _run(tools / "pg_ctl", "-D", folder / "data", "-m", "immediate", "-l", folder / "log", "-w", "restart")


def _run(*command: object) -> None:
    """Run a command. As root, run it as user postgres, because PostgreSQL refuses to run as root."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)


def _let_postgres_in(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    shutil.chown(folder, "postgres")
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
