"""Run a MariaDB server on this machine, for tests with apps that use MySQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.polling import until
from testing.ports import free_port

PROGRAMS = ("mariadb-install-db", "mariadbd", "mariadb-admin")


def binaries() -> dict[str, str] | None:
    """Return the paths of MariaDB's programs by program name, or None if one of them is not installed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    paths = {name: shutil.which(name, path=path) for name in PROGRAMS}
    return {name: path for name, path in paths.items() if path} if all(paths.values()) else None


@contextmanager
def running_server(data: Path, *options: str) -> Iterator[str]:
    """Context manager: run a MariaDB server. Yield the URL of its empty database `app`.

    The server keeps its data in the new folder `data`. `options` are additional command line options of the server.
    """
    programs = binaries()
    assert programs is not None
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = [programs["mariadb-install-db"], "--no-defaults", f"--datadir={data}", *user]
    quiet = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run([*install, *quiet], check=True, capture_output=True, timeout=120)
    port, socket = free_port(), data / "s"
    place = [f"--datadir={data}", f"--socket={socket}", f"--pid-file={data}/pid", f"--port={port}"]
    fast = ["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]
    with (data / "log").open("w") as log:
        command = [programs["mariadbd"], "--no-defaults", *user, *place, *fast, *options]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    admin = [programs["mariadb-admin"], "--no-defaults", f"--socket={socket}", "-uroot"]
    try:
        until(lambda: subprocess.run([*admin, "ping"], capture_output=True, check=False).returncode == 0, "MariaDB")
        subprocess.run([*admin, "create", "app"], check=True, capture_output=True, timeout=30)
        yield f"mysql://root@127.0.0.1:{port}/app"
    finally:
        server.kill()
        server.wait()
