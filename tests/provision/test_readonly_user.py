"""The read-only user of the exporters, on a real PostgreSQL with password authentication."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.database import open_engine, upgrade_schema
from core.errors import EnvironmentFault
from core.settings import Settings
from provision.readonly_user import ensure_readonly_user
from testing import postgresql

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def owner_url():
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with TemporaryDirectory() as folder, postgresql.running_server(Path(folder)) as url:
        rules = Path(folder) / "data/pg_hba.conf"
        rules.write_text("host all tester 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        do(url, "SELECT pg_reload_conf()")
        upgrade_schema(open_engine(url))
        yield url


def do(url, statement):
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            done = connection.execute(text(statement))
            return done.all() if done.returns_rows else []
    finally:
        engine.dispose()


def settings_of(owner_url, user, password):
    reader = owner_url.replace("tester@", f"{user}:{password}@")
    ensure_readonly_user(Settings.from_env({"AFORO_DATABASE_URL": owner_url, "AFORO_DATABASE_READONLY_URL": reader}))
    return reader


def test_it_can_read_our_tables_and_cannot_write(owner_url):
    reader = settings_of(owner_url, "reader", "first%2F%27%3B--")
    assert do(reader, "SELECT count(*) FROM runs, videos, executions") == [(0,)]
    for table in ("runs", "videos", "executions", "workers", "alembic_version"):
        assert do(reader, f"SELECT has_table_privilege('{table}', 'INSERT, UPDATE, DELETE, TRUNCATE')") == [(False,)]
    for statement in ("DELETE FROM runs", "CREATE TABLE x ()"):
        with pytest.raises(SQLAlchemyError, match="read-only"):
            do(reader, statement)


def test_a_new_password_replaces_that_of_a_user_we_created(owner_url):
    first = settings_of(owner_url, "mine", "first")
    second = settings_of(owner_url, "mine", "second")
    assert do(second, "SELECT count(*) FROM runs") == [(0,)]
    with pytest.raises(SQLAlchemyError):
        do(first, "SELECT 1")


def test_a_user_that_we_did_not_create_keeps_its_password_and_is_an_error(owner_url):
    do(owner_url, "CREATE ROLE theirs LOGIN PASSWORD 'theirs'")
    assert do(settings_of(owner_url, "theirs", "theirs"), "SELECT count(*) FROM runs") == [(0,)]
    with pytest.raises(EnvironmentFault, match=r"^user of .* \(theirs\); it was not created by Aforo"):
        settings_of(owner_url, "theirs", "wrong")
    assert do(owner_url.replace("tester@", "theirs:theirs@"), "SELECT 1") == [(1,)]


def test_no_user_is_created_without_a_readonly_url_or_on_a_database_without_users(owner_url, tmp_path):
    before = do(owner_url, "SELECT rolname FROM pg_roles ORDER BY 1")
    ensure_readonly_user(Settings.from_env({"AFORO_DATABASE_URL": owner_url}))
    ensure_readonly_user(
        Settings.from_env(
            {"AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "AFORO_DATABASE_READONLY_URL": owner_url}
        )
    )
    assert do(owner_url, "SELECT rolname FROM pg_roles ORDER BY 1") == before
