"""`python -m testing.kubernetes`: run a control plane until Ctrl-C, to try manifests by hand.

With `--build`, only build the programs of the control plane that are not built yet. Where Go is missing, build nothing:
the tests are then skipped, and say why.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from testing.kubernetes.control_plane import running_control_plane
from testing.kubernetes.programs import build_missing, missing_requirement, program


def main() -> None:
    """Build the Kubernetes programs that are not built yet, run a control plane, and print how to use it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true")
    build_only = parser.parse_args().build
    reason = missing_requirement()
    if reason is not None and not build_only:
        sys.exit(f"error: control plane; {reason}; install it")
    if reason is None:
        build_missing()
    if build_only:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="kubernetes-") as folder, running_control_plane(Path(folder)) as plane:
        print(f"up until Ctrl-C: export KUBECONFIG={plane.kubeconfig}; {program('kubectl')} get nodes", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
