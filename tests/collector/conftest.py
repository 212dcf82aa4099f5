import pytest

from testing.rows import video_row
from tests.collector.lab import Lab, active_run


@pytest.fixture
def sessions(tmp_path):
    """A database with the active run `r` of an app without a table, and its videos `v1` to `v3`."""
    with active_run(f"sqlite:///{tmp_path}/aforo.db") as opened:
        with opened.begin() as session:
            session.add_all(video_row(id=f"v{number}", task_id=f"t{number}", uploaded_at=100.0) for number in (1, 2, 3))
        yield opened


@pytest.fixture
def lab(tmp_path, sqs_queue, sessions):
    opened = Lab(tmp_path, sqs_queue(visibility_timeout_seconds=60), sessions)
    yield opened
    opened.stop()
