"""`python -m testing.kubernetes`: run a control plane until Ctrl-C, to try manifests by hand."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from testing.kubernetes.control_plane import running_control_plane
from testing.kubernetes.programs import build_missing, missing_requirement, program


def main() -> None:
    """Build the Kubernetes programs that are not built yet, run a control plane, and print how to use it."""
    if reason := missing_requirement():
        sys.exit(f"error: control plane; {reason}; install it")
    build_missing()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="kubernetes-") as folder, running_control_plane(Path(folder)) as plane:
        print(f"up until Ctrl-C: export KUBECONFIG={plane.kubeconfig}; {program('kubectl')} get nodes", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
