import pytest

from core import database
from core.run import END_OF_VIDEO, EndOfVideo
from testing.rows import run_row, video_row


@pytest.fixture
def sessions(tmp_path):
    """A migrated database with the active run `r` of an app without a table, and its videos `v1` to `v3`."""
    engine = database.open_engine(f"sqlite:///{tmp_path}/aforo.db")
    database.upgrade_schema(engine)
    opened = database.open_sessions(engine)
    with opened.begin() as session:
        environment = {END_OF_VIDEO: EndOfVideo.EXECUTIONS}
        session.add(run_row(executions_missed=0, environment=environment, created_at=100.0, started_at=100.0))
        session.flush()
        session.add_all(video_row(id=f"v{number}", task_id=f"t{number}", uploaded_at=100.0) for number in (1, 2, 3))
    yield opened
    engine.dispose()
