"""Tasks of an app: their row is committed before the message, arguments keep their types, the list is complete."""

import base64
import json
import sqlite3
import time
from datetime import datetime

import pytest

from core import database
from core.app_file import read_app_file
from core.app_file.injected import injected
from core.app_file.videos_table import VideosTable
from core.broker import make_celery
from core.errors import AforoError, EnvironmentFault
from core.models import RunRow, VideoRow
from core.settings import Settings
from injector.app_inputs import FolderInputs, PlacedInput, place_all
from injector.app_sender import AppSender
from injector.parallel_sender import send_videos
from injector.senders import NewVideo, Sender
from testing.rows import run_row
from tests.core.app_file.conftest import CREATE, team  # noqa: F401 (a fixture)

QUEUE_URL = "http://127.0.0.1:4566/000000000000/videos"


class Sqs:
    """Accepts messages. Counts the rows that the app's table holds when each call arrives."""

    def __init__(self, theirs):
        self.theirs, self.bodies, self.rows_at_call = theirs, [], []

    def send_message_batch(self, **call):
        with sqlite3.connect(self.theirs) as connection:
            self.rows_at_call.append(connection.execute("SELECT count(*) FROM videos").fetchone()[0])
        self.bodies += [entry["MessageBody"] for entry in call["Entries"]]
        return {}


class Rig:
    def __init__(self, folder, app, user_id="7"):
        with sqlite3.connect(folder / "app.db") as connection:
            connection.execute(CREATE)
        engine = database.open_engine(f"sqlite:///{folder}/ours.db")
        database.upgrade_schema(engine)
        self.user_id = user_id
        self.sessions, self.sqs, self.folder = database.open_sessions(engine), Sqs(folder / "app.db"), folder / "run"
        with self.sessions.begin() as session:
            session.add(run_row(environment={"app": {"name": app.name}}))
        self.sender = AppSender(
            app,
            make_celery(Settings.from_env({}), QUEUE_URL),
            Sender(self.sqs, QUEUE_URL),
            self.sessions,
            self.folder,
            [PlacedInput(f"/in/{k}.mp4", f"{k}.mp4", f"/host/{k}.mp4") for k in range(12)],
            VideosTable.open(app),
        )

    def send(self, count):
        videos = [NewVideo("r", k, "", 5, "", "mi-app", self.user_id, None) for k in range(count)]
        return send_videos(self.sender, videos)

    def messages(self):
        envelopes = [json.loads(base64.b64decode(body)) for body in self.sqs.bodies]
        return [(e["headers"], json.loads(base64.b64decode(e["body"]))) for e in envelopes]


@pytest.fixture
def rig(tmp_path, team):  # noqa: F811
    return lambda old="", new="": Rig(tmp_path, read_app_file(team(old, new)))


def test_integers_stay_integers_and_each_row_is_committed_before_its_message(rig):
    sent = rig()
    task_ids = sent.send(12)
    assert sorted(sent.sqs.rows_at_call)[-1] == 12
    assert min(sent.sqs.rows_at_call) >= 10
    headers, (args, kwargs, _embed) = next(m for m in sent.messages() if m[0]["id"] == task_ids[0])
    number = int(args[0])  # the two batches are sent at the same time
    assert (args, kwargs) == ([number, f"/in/{number - 1}.mp4"], {})
    assert sorted(body[0][0] for _, body in sent.messages()) == list(range(1, 13))
    assert (headers["task"], headers["id"], headers["root_id"]) == ("app.tasks.process_video", task_ids[0], task_ids[0])
    assert isinstance(headers["aforo_sent_at"], float)
    assert headers["aforo_run_id"] == "r"


def test_keyword_arguments_and_headers_take_the_same_placeholders(rig):
    sent = rig(
        'args = ["{row.id}", "{path}"]',
        'kwargs = { id = "{row.id}", names = ["{n}-{key}"], keep = true }\n'
        'headers = { tenant = "{user_id}", id = "{row.id}", at = "{now}" }',
    )
    sent.send(1)
    headers, (args, kwargs, _embed) = sent.messages()[0]
    assert (args, kwargs, headers["tenant"]) == ([], {"id": 1, "names": ["1-0.mp4"], "keep": True}, "7")
    assert headers["id"] == 1
    assert datetime.fromisoformat(headers["at"]).timestamp() == pytest.approx(time.time(), abs=30)


def test_protocol_1_is_a_message_without_task_headers(rig):
    sent = rig('queue = "videos"', 'queue = "videos"\nprotocol = 1')
    sent.send(1)
    headers, body = sent.messages()[0]
    assert "task" not in headers
    assert (body["task"], body["args"]) == ("app.tasks.process_video", [1, "/in/0.mp4"])


def test_what_a_run_made_is_listed_with_keys_status_and_files(rig):
    sent = rig()
    sent.send(2)
    listed = injected(sent.folder)
    assert [(video.row, video.status, video.made) for video in listed] == [
        (1, "uploaded", "/host/0.mp4"),
        (2, "uploaded", "/host/1.mp4"),
    ]
    with sent.sessions() as session:
        assert {row.id for row in session.query(VideoRow)} == {video.video_id for video in listed}
        assert session.get_one(RunRow, "r").environment["app"]["upload_offset_seconds"] == pytest.approx(0, abs=2)


def test_a_row_that_the_database_refuses_sends_nothing(rig):
    sent = rig(', owner_id = "{user_id}"', "")
    with pytest.raises(AforoError, match=r"their database says: NOT NULL constraint failed: videos\.owner_id"):
        sent.send(1)
    assert sent.sqs.bodies == []


def test_a_row_is_listed_as_soon_as_it_is_inserted(rig, monkeypatch):
    sent = rig()
    insert = sent.sender.table.insert
    calls = []

    def insert_twice(self, values):
        calls.append(values)
        if len(calls) == 3:
            raise EnvironmentFault("videos.insert", "the database is gone", "start it")
        return insert(values)

    monkeypatch.setattr(type(sent.sender.table), "insert", insert_twice)
    with pytest.raises(EnvironmentFault):
        sent.send(5)
    assert [video.row for video in injected(sent.folder)] == [1, 2]
    assert sent.sqs.bodies == []


PRODUCER = """\
import json, sqlite3, sys, time
video = json.load(sys.stdin)
db = sqlite3.connect('app.db')
time.sleep(0)
now = "strftime('%Y-%m-%d %H:%M:%f', 'now', '0 seconds')"
insert = f"INSERT INTO videos (title, state, source_path, owner_id, uploaded_at) VALUES ('t', 'new', ?, 1, {now})"
key = db.execute(insert, [video['path']]).lastrowid
db.commit()
print(json.dumps({'args': [key], 'kwargs': {'n': video['n']}, 'row': str(key)}))
"""


def test_a_producer_makes_row_and_arguments_in_the_apps_own_python(tmp_path, rig, team):  # noqa: F811
    (tmp_path / "load.py").write_text(PRODUCER)
    sent = rig('queue = "videos"', 'queue = "videos"\nproducer = "load.py"')
    sent.send(2)
    assert [body[:2] for _, body in sent.messages()] == [[[1], {"n": 1}], [[2], {"n": 2}]]
    (tmp_path / "load.py").write_text("print('hello')")
    with pytest.raises(AforoError, match=r"app\.producer .*; its answer is not .*: hello; correct the script"):
        sent.send(1)


@pytest.mark.parametrize(
    ("shift_seconds", "clock_offset_seconds", "offset_seconds"),
    [(0, 0, 0), (-3600, 0, -3600), (3600, 3600, 3600)],
)
def test_the_upload_time_of_a_produced_row_is_compared_with_the_moments_of_its_script(
    tmp_path, rig, shift_seconds, clock_offset_seconds, offset_seconds
):
    slow = PRODUCER.replace("sleep(0)", "sleep(1.1)")
    (tmp_path / "load.py").write_text(slow.replace("0 seconds", f"{shift_seconds} seconds"))
    sent = rig('queue = "videos"', 'queue = "videos"\nproducer = "load.py"\nheaders = { title = "{row.title}" }')
    sent.sender.clock_offset_seconds = clock_offset_seconds
    sent.send(1)
    with sent.sessions() as session:
        offset = session.get_one(RunRow, "r").environment["app"]["upload_offset_seconds"]
        uploaded_at = session.query(VideoRow).one().uploaded_at
    assert offset == pytest.approx(offset_seconds, abs=0.01 if offset_seconds >= 0 else 30)
    assert uploaded_at == pytest.approx(time.time() + shift_seconds, abs=30)
    assert [(video.row, video.status) for video in injected(sent.folder)] == [(1, "new")]
    assert sent.messages()[0][0]["title"] == "t"


def test_a_script_that_did_not_commit_its_row_is_one_line_and_sends_nothing(tmp_path, rig):
    (tmp_path / "load.py").write_text(PRODUCER.replace("db.commit()\n", ""))
    sent = rig('queue = "videos"', 'queue = "videos"\nproducer = "load.py"')
    with pytest.raises(EnvironmentFault) as fault:
        sent.send(1)
    assert str(fault.value) == (
        "aforo.toml, line 6: app.producer (1); videos has no row with the key of its answer; "
        "let the script commit its row before it answers"
    )
    assert sent.sqs.bodies == []
    assert [video.row for video in injected(sent.folder)] == ["1"]


@pytest.mark.parametrize(("how", "links"), [("copy", 1), ("link", 3)])
def test_each_video_has_an_input_of_its_own_that_its_worker_may_delete(tmp_path, team, how, links):  # noqa: F811
    app = read_app_file(team('folder = "uploads"\nper_video = "copy"', f'folder = "uploads"\nper_video = "{how}"'))
    (tmp_path / "uploads").mkdir()
    source = tmp_path / "uploads/source.mp4"
    source.write_bytes(b"video")
    placed = place_all([FolderInputs(app, tmp_path / "uploads", source)] * 2, app, "r")
    assert [input.path for input in placed] == [f"{tmp_path}/uploads/aforo-r-{n}.mp4" for n in (1, 2)]
    assert source.stat().st_nlink == links
    (tmp_path / "uploads/aforo-r-1.mp4").unlink()
    assert (tmp_path / "uploads/aforo-r-2.mp4").read_bytes() == b"video"


def test_a_folder_that_the_worker_sees_elsewhere(tmp_path, team):  # noqa: F811
    app = read_app_file(team('per_video = "copy"', 'seen_by_worker_as = "/app/uploads"'))
    source = tmp_path / "uploads/source.mp4"
    assert FolderInputs(app, tmp_path / "uploads", source).shared() == PlacedInput(
        "/app/uploads/source.mp4", "source.mp4"
    )
