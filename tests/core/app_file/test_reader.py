import os
from pathlib import Path

import pytest

from core.app_file import read_app_file
from core.errors import AforoError, UsageError

INSERT = 'insert = { title = "Load test {n}", state = "uploaded", source_path = "{path}", owner_id = "{user_id}" }'


def refusal(path):
    with pytest.raises(AforoError) as caught:
        read_app_file(path)
    return str(caught.value)


def test_the_file_of_the_docs_is_read_with_absolute_paths_and_the_drivers_that_are_here(team, tmp_path):
    app = read_app_file(team())
    assert (app.name, app.task, app.args, app.queue) == (
        "mi-app",
        "app.tasks.process_video",
        ("{row.id}", "{path}"),
        "videos",
    )
    assert app.worker.directory == tmp_path
    assert (app.worker.ready_seconds, app.worker.stop_seconds, app.worker.instrument) == (120, 1800, True)
    assert app.videos.url == f"sqlite:///{tmp_path}/app.db"
    assert app.videos.status.is_done("done")
    assert app.input.folder == f"{tmp_path}/uploads"
    assert app.aws_variables == {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'queue = "videos"',
            'queue = "videos.fifo"',
            "aforo.toml, line 5, app.queue (videos.fifo); it must be 1 to 80 letters, digits, '-' and '_' "
            "(FIFO queues are not supported); correct that line",
        ),
        ('table = "videos"', 'tabel = "videos"', "line 15, videos.tabel (videos); it is unknown; use url, "),
        ("[input]", "[inputs]", "line 22, inputs; it is unknown; use the sections app, worker, videos, input"),
        ('task = "app.tasks.process_video"\n', "", "line 1, app.task; it is missing; add the line"),
        ('"{row.id}"', '"{rowid}"', "line 4, app.args ({rowid}); there is no such placeholder; use {n}, {uuid}"),
        (
            "--concurrency={concurrency}",
            "-c 2",
            "line 11, worker.command (celery -A app.main worker -c 2); it must be a",
        ),
        ("worker --conc", "worker --autoscale=4,1 --conc", "it must be a command without --autoscale"),
        ('done = ["done"]', "done = []", "line 17, videos.status"),
        (
            'updated_at = "updated_at"',
            'updated_at = "updated_at"\ntimes = "secs"',
            "it must be one of timestamp, epoch,",
        ),
        ("env:DATABASE_URL", "env:OTHER", "videos.url (env:OTHER); OTHER is not set in app.env_file"),
        ("env:DATABASE_URL", "postgresql://me:secret@localhost/db", "a literal password is refused; write env:NAME"),
        (
            "env:DATABASE_URL",
            "oracle://localhost/db",
            "the database oracle is not supported; postgresql, mysql and sqlite are",
        ),
        ('per_video = "copy"', 'per_video = "move"', "it must be one of shared, copy, link"),
        ('python = "python"', 'python = "py"', "worker.python (/"),
        ('name = "mi-app"', 'name = "Mi App"', "it must be 1 to 32 of a-z, 0-9 and '-'"),
        ('name = "mi-app"', 'name = "hevc"', "it must be 1 to 32 of a-z, 0-9 and '-'"),
        ('name = "mi-app"', 'name = "full"', "it must be 1 to 32 of a-z, 0-9 and '-'"),
        ("[app]", "[app", "it is not TOML: Expected ']' at the end of a table declaration (at line 1, column 5)"),
        ("{user_id}", "{row.id}", "line 20, videos.insert ({row.id}); there is no [videos] row"),
        (
            'queue = "videos"',
            'queue = "videos"\nheaders = { tenant = "{tenant}" }',
            "line 6, app.headers ({tenant}); there is no such placeholder; use {n}, {uuid}",
        ),
        (INSERT, "", "line 13, videos.insert; it is missing; add the line; docs/your-own-worker.md has an example"),
    ],
)
def test_a_wrong_line_names_line_key_value_and_what_is_allowed(team, old, new, message):
    refused = refusal(team(old, new))
    assert message in refused
    assert "secret" not in refused
    assert "\n" not in refused


def test_a_script_that_makes_the_rows_needs_no_insert(team, tmp_path):
    (tmp_path / "load.py").touch()
    path = team(INSERT, "")
    path.write_text(path.read_text().replace("[app]", '[app]\nproducer = "load.py"'))
    assert read_app_file(path).videos.insert == {}


def test_a_file_that_others_may_write_is_refused_because_it_runs_commands(team):
    path = team()
    path.chmod(0o666)
    assert "other users may have written it; chmod o-w aforo.toml" in refusal(path)


def test_a_file_that_others_may_replace_in_its_folder_is_refused(team, tmp_path):
    path = team()
    tmp_path.chmod(0o777)
    why = "other users may replace it in its folder"
    assert f"; {why}; chmod o-w {tmp_path}, after reading the file: it runs commands" in refusal(path)
    tmp_path.chmod(0o1777)  # as /tmp: nobody replaces the files of others
    assert read_app_file(path).name == "mi-app"


@pytest.mark.parametrize(("file", "where"), [(".env", "line 7, app.env_file"), ("make.py", "line 5, app.producer")])
def test_an_env_file_or_a_producer_that_others_may_write_is_refused(team, tmp_path, file, where):
    (tmp_path / "make.py").write_text("")
    path = team('queue = "videos"', 'producer = "make.py"\nqueue = "videos"')
    (tmp_path / file).chmod(0o666)
    assert f"; other users may have written it; chmod o-w {file}, after reading it" in refusal(path)
    assert where in refusal(path)


@pytest.fixture
def seen_as(monkeypatch):
    """Return a function that lets all files belong to user `owner` while user `reader` reads them."""
    stat = Path.stat

    def see(owner, reader):
        def owned(path, **options):
            facts = stat(path, **options)
            return os.stat_result([*facts[:4], owner, *facts[5:]])

        monkeypatch.setattr(Path, "stat", owned)
        monkeypatch.setattr(os, "getuid", lambda: reader)

    return see


@pytest.mark.parametrize("reader", [0, 65001])
def test_a_file_of_somebody_else_is_refused_with_what_its_reader_can_do(team, seen_as, reader):
    path = team()
    seen_as(owner=65002, reader=reader)
    assert refusal(path) == (
        f"APP ({path}); user 65002, its owner, may change it; "
        "copy it to a folder of yours and correct its relative paths, after reading it: it runs commands"
    )


@pytest.mark.parametrize("reader", [0, 65001])
def test_what_only_its_owner_and_root_can_close_is_asked_of_the_owner(team, seen_as, tmp_path, reader):
    path = team()
    seen_as(owner=0, reader=reader)
    for place, name in ((path, path.name), (tmp_path, tmp_path), (tmp_path / ".env", ".env")):
        mode = place.stat().st_mode
        place.chmod(mode | 0o002)
        command = f"chmod o-w {name}, after reading "
        assert f"; {'ask user root, its owner, for ' if reader else ''}{command}" in refusal(path)
        place.chmod(mode)


def test_what_the_group_may_write_is_read(team, tmp_path):
    (tmp_path / "make.py").write_text("")
    path = team('queue = "videos"', 'queue = "videos"\nproducer = "make.py"')
    for place in (path, tmp_path, tmp_path / ".env", tmp_path / "make.py"):
        place.chmod(0o775)
    assert read_app_file(path).producer == tmp_path / "make.py"


def test_the_secrets_of_a_shell_line_are_in_no_copy(team):
    path = team('command = "celery -A app.main worker --concurrency={concurrency}"', 'scale = "API_TOKEN=s3cret up.sh"')
    app = read_app_file(path)
    assert 'scale = "API_TOKEN=*** up.sh"' in app.redacted
    assert app.worker.started_by == "API_TOKEN=*** up.sh"
    assert app.worker.scale == "API_TOKEN=s3cret up.sh"


def test_a_missing_file_says_how_to_write_one(tmp_path):
    with pytest.raises(UsageError, match=r"No such file or directory; give the path of an aforo\.toml, or write one"):
        read_app_file(tmp_path / "none.toml")


def test_the_password_of_a_url_is_in_no_copy_and_no_repr(team):
    path = team("[worker]", "[worker]\nready = 'pg_isready -d postgresql://me:secret@localhost/db'")
    app = read_app_file(path)
    assert "secret" not in app.redacted
    assert "postgresql://me:***@localhost/db" in app.redacted
    assert "secret" not in repr(app.videos)


def test_a_range_of_targets_becomes_one_address_per_port(team):
    path = team("[videos]", 'metrics = ["w1:9101-9103", "w2:9101"]\n[videos]')
    assert read_app_file(path).worker.metrics == ("w1:9101", "w1:9102", "w1:9103", "w2:9101")


def test_the_host_of_url_from_here_is_used_with_the_password_of_url(team, tmp_path):
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql+asyncpg://me:secret@db:5432/app\n")
    path = team('table = "videos"', 'url_from_here = "postgresql://localhost:5433/app"\ntable = "videos"')
    assert read_app_file(path).videos.url == "postgresql+psycopg://me:secret@localhost:5433/app"
