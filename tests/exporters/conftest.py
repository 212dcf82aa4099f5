from collections.abc import Iterator
from pathlib import Path

import pytest

from core.database import open_engine, upgrade_schema
from tests.exporters.store import Store


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/aforo.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = open_engine(database_url)
    upgrade_schema(engine)
    yield Store(engine)
    engine.dispose()
