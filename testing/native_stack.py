"""Run Aforo's native stack in a copy of the source tree, on free ports, while another stack may run."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from testing.ports import free_port

ROOT = Path(__file__).parents[1]
PORTS = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:{}",
    "AFORO_EVENTS_REDIS_URL": "redis://127.0.0.1:{}/0",
    "AFORO_PROMETHEUS_URL": "http://127.0.0.1:{}",
    "AFORO_WORKER_METRICS_PORT": "{}",
    "AFORO_EXPORTER_SQS_PORT": "{}",
    "AFORO_EXPORTER_DB_PORT": "{}",
    "AFORO_CELERY_EXPORTER_PORT": "{}",
    "AFORO_COLLECTOR_PORT": "{}",
}


@dataclass(frozen=True)
class Stack:
    """A native stack for tests: its folder, and the environment variables of its programs."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m` with these arguments in the stack's folder, and return the ended process.

        `options` are additional environment variables. A failed process raises no error. Raise
        subprocess.TimeoutExpired after 110 s.
        """
        command = [str(ROOT / ".venv/bin/python"), "-m", *arguments]
        environment = self.environment | options
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=110, check=False
        )

    def done(self, *arguments: str) -> str:
        """Run `python -m` with these arguments as `run` does, and return its standard output.

        Raise AssertionError with its last errors if it fails.
        """
        process = self.run(*arguments)
        assert process.returncode == 0, f"{' '.join(arguments)}: {process.stderr[-2000:]}"
        return process.stdout

    def pid(self, program: str) -> int:
        """Return the process id of a program of the stack. For `worker`, return the id of its main process."""
        socket_url = f"unix://{self.folder}/.local/run/supervisor.sock"
        command = [str(ROOT / ".venv/bin/supervisorctl"), "-s", socket_url, "pid", program]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def copied_stack(folder: Path) -> Stack:
    """Copy the source tree to `folder`, and return a native stack there with free ports. Start nothing.

    The folder `tests` and files that git ignores are not copied. The folder `.tools` is linked.
    """
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".tools").symlink_to(ROOT / ".tools")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AFORO_", "MAKE"))}
    return Stack(folder, inherited | {name: form.format(free_port()) for name, form in PORTS.items()})
