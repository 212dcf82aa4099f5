"""Wait until the collector has stored every execution of a run."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.database import Sessions
from core.models import RunRow, SpoolRow

#: Longest wait for the collector, which reads every second. What it has not read then is missing in the analysis.
TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.2
#: A worker that was not read for this long has gone.
GONE_SECONDS = 30.0


def wait_until_collected(sessions: Sessions, run_id: str, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """Wait until the collector has stored every execution of a run. Return False after a timeout.

    Only executions that workers recorded before this call count. If the run used no instrumented workers of an app,
    return True at once.
    """
    since, deadline = time.time(), time.monotonic() + timeout_seconds
    while True:
        with sessions() as session:
            if session.get_one(RunRow, run_id).executions_missed is None or _is_complete(session, since):
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)


def _is_complete(session: Session, since: float) -> bool:
    """Return True if each address that was read lately is complete. Its earlier spools are of dead processes."""
    read = select(SpoolRow).where(SpoolRow.read_at > since - GONE_SECONDS).order_by(SpoolRow.read_at)
    current = {spool.address: spool for spool in session.scalars(read)}
    return bool(current) and all((spool.complete_at or 0.0) >= since for spool in current.values())
