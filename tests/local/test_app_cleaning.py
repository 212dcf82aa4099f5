"""`clean` with an app: exactly what its runs listed."""

import sqlite3

import boto3
import pytest

from core.app_file import read_app_file
from core.app_file.injected import InjectedVideo, append, header, start_list
from core.errors import UsageError
from core.settings import Settings
from local.app_cleaning import clean_app
from testing.emulator import KEY, REGION
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)


@pytest.fixture
def world(tmp_path, team):  # noqa: F811
    app = read_app_file(team('per_video = "copy"', 'per_video = "copy"\noutputs = "out/{row.id}.*"'))
    with sqlite3.connect(tmp_path / "app.db") as connection:
        connection.execute(CREATE)
        for key in (1, 2, 3):
            connection.execute(
                "INSERT INTO videos (id, title, state, source_path, owner_id) VALUES (?, 't', 'd', '', 1)", [key]
            )
    for name in ("in/1.mp4", "in/2.mp4", "out/1.mp4", "out/11.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for run_id, name, row in (("mine", "mi-app", 1), ("theirs", "other-app", 2)):
        folder = tmp_path / "results/runs" / run_id
        append(folder, [InjectedVideo("v", "t", row, "uploaded", str(tmp_path / f"in/{row}.mp4"))])
        (folder / "aforo.toml").write_text(header(name) + "\n")
    return Settings.from_env({"AFORO_RESULTS_PATH": str(tmp_path / "results")}), app


def left(folder):
    with sqlite3.connect(folder / "app.db") as connection:
        rows = [row[0] for row in connection.execute("SELECT id FROM videos")]
    return rows, sorted(str(file.relative_to(folder)) for name in ("in", "out") for file in (folder / name).iterdir())


def test_the_rows_and_inputs_of_this_apps_runs_are_removed_after_asking(world, tmp_path):
    asked = []
    removed = clean_app(*world, rows=True, outputs=False, ask=lambda question: not asked.append(question))
    assert asked == ["remove 1 rows of videos, 1 inputs"]
    assert removed == "1 rows, 1 inputs"
    assert left(tmp_path) == ([2, 3], ["in/2.mp4", "out/1.mp4", "out/11.mp4"])
    assert clean_app(*world, rows=True, outputs=False, ask=lambda _: True) == "0 rows, 0 inputs"


def test_outputs_are_those_of_its_keys_alone(world, tmp_path):
    assert clean_app(*world, rows=False, outputs=True, ask=lambda _: True) == "1 outputs"
    assert left(tmp_path)[1] == ["in/1.mp4", "in/2.mp4", "out/11.mp4"]


def test_without_a_yes_nothing_is_removed(world, tmp_path):
    with pytest.raises(UsageError, match="it was not confirmed"):
        clean_app(*world, rows=True, outputs=True, ask=lambda _: False)
    assert left(tmp_path)[0] == [1, 2, 3]


def test_inputs_of_a_run_that_sent_nothing_are_removed_and_so_is_the_shared_one(world, tmp_path):
    settings, app = world
    inputs = [tmp_path / "in/aforo-0123.mp4", tmp_path / "in/aforo-r-1.mp4"]
    inputs[0].write_bytes(b"")  # the run ended before it made the other one
    start_list(tmp_path / "results/runs/ended", app, map(str, inputs))
    assert clean_app(settings, app, rows=True, outputs=False, ask=lambda _: True) == "1 rows, 3 inputs"
    assert left(tmp_path) == ([2, 3], ["in/2.mp4", "out/1.mp4", "out/11.mp4"])
    assert clean_app(settings, app, rows=True, outputs=False, ask=lambda _: True) == "0 rows, 0 inputs"


def test_keys_in_s3_are_removed(world, emulator, tmp_path):
    settings, app = world
    s3 = boto3.client("s3", endpoint_url=emulator, aws_access_key_id=KEY, aws_secret_access_key=KEY, region_name=REGION)
    s3.create_bucket(Bucket="their-inputs")
    for key in ("in/aforo-0123.mp4", "in/theirs.mp4"):
        s3.put_object(Bucket="their-inputs", Key=key, Body=b"")
    start_list(tmp_path / "results/runs/ended", app, ["s3://their-inputs/in/aforo-0123.mp4"])
    here = settings.results.path
    settings = Settings.from_env({"AFORO_RESULTS_PATH": str(here), "AWS_ENDPOINT_URL": emulator})
    assert clean_app(settings, app, rows=True, outputs=False, ask=lambda _: True) == "1 rows, 2 inputs"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="their-inputs")["Contents"]] == ["in/theirs.mp4"]
