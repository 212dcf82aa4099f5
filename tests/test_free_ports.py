"""Two test sessions on one machine, each starting programs on ports that they found free."""

import subprocess
import sys

from testing import ports
from testing.native_stack import ROOT

ANOTHER_PROCESS = "from testing import ports; ports.PORTS = {!r}; print(ports.free_port())"


def test_another_process_never_gets_a_port_that_this_one_has_but_does_not_use_yet():
    ours, given_back = ports.free_port(), ports.free_port()
    ports._reservations.pop().close()
    command = [sys.executable, "-c", ANOTHER_PROCESS.format([ours, given_back])]
    shown = {subprocess.check_output(command, cwd=ROOT, text=True, timeout=60) for _ in range(5)}
    assert shown == {f"{given_back}\n"}


def test_no_outgoing_connection_takes_a_free_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as lowest_and_highest:
        assert ports.PORTS[-1] < int(lowest_and_highest.read().split()[0])
