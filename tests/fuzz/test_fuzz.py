"""Random and mutated input for everything that reads what others wrote (`make fuzz`, minutes, opt-in).

Each target either returns what it promises or raises its own error, on one line. A finding becomes a case of the
ordinary tests. `make fuzz ARGS=--hypothesis-seed=N` repeats a run.
"""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.sqs import connection as sqs_connection
from aforo.sqs.connection import FailedPoll
from aforo.sqs.observer import InvalidReason
from aforo.sqs.validation import Call, InvalidMessage, MessagePolicy, decode_base64
from capacity.commands.import_run import id_lines
from capacity.commands.published_table import published_rows
from capacity.commands.usl import read_levels
from capacity.runs.archive_reader import archived_figures, read_archive, read_resource_file
from capacity.runs.archived_values import read_run_fields
from capacity.runs.recorded_run import EXECUTION_COLUMNS, VIDEO_COLUMNS
from collector.executions_file import import_file
from collector.page import InvalidPage, parse
from collector.store import Source, store
from core import promql
from core.app_file.reader import read_app_file
from core.errors import AforoError, EnvironmentFault
from core.ffmpeg.probe import _media_facts, container_of
from core.load_shape import parse_shape
from core.passwords import without_passwords
from core.plain_number import plain_number
from core.settings import Settings, declared
from core.size import parse_size
from core.video import TASK_NAME, VideoFailed
from injector.arrivals import read_trace
from testing.messages import MALFORMED, b64, envelope, protocol_1
from testing.rows import video_row
from tests.collector.lab import active_run
from tests.collector.records import record
from worker.payload import check_payload, video_and_task_of

# ruff: noqa: E501 (examples of input)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600)]
EXAMPLES = 600
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["1e400", "nan"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)


@st.composite
def mutated(draw, seeds):
    """Bytes of a seed with some of them replaced, removed, doubled or inserted."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.binary(max_size=8))
        kind = draw(st.sampled_from(["replace", "insert", "cut", "double"]))
        if kind == "replace":
            data[at : at + len(piece)] = piece
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "cut":
            del data[at : at + draw(st.integers(0, 64))]
        else:
            data[at:at] = data[max(0, at - 16) : at]
    return bytes(data)


@st.composite
def replaced(draw, document):
    """A JSON document in which some values are replaced by others."""

    def walk(value):
        if draw(st.integers(0, 9)) == 0:
            return draw(values)
        if isinstance(value, dict):
            return {key: walk(each) for key, each in value.items() if draw(st.integers(0, 19))}
        return [walk(each) for each in value] if isinstance(value, list) else value

    return walk(document)


def one_line(call, *arguments, errors=AforoError):
    """Return the result of the call, or None if it raised its own error, on one line."""
    try:
        return call(*arguments)
    except errors as error:
        assert "\n" not in str(error)
        return None


LENIENT = MessagePolicy(allows_protocol_1=True)
VIDEO = json.dumps([[], {"video_id": "v", "run_id": "r", "version": 1}, {}])
ENVELOPE = envelope(TASK_NAME, body=b64(VIDEO))
ENVELOPES = [*(body.encode() for body, _ in MALFORMED.values() if len(body) < 4000), b64(json.dumps(ENVELOPE)).encode()]


@fuzzed
@given(mutated(ENVELOPES) | st.binary(max_size=400))
def test_a_message_is_a_call_or_invalid(data):
    body = data.decode("utf-8", "surrogateescape")
    for policy in (MessagePolicy(), LENIENT, MessagePolicy({TASK_NAME}, allows_compression=False, check=check_payload)):
        try:
            assert isinstance(policy.accept(body), Call)
        except InvalidMessage as invalid:
            assert isinstance(invalid.reason, InvalidReason)
    ids = video_and_task_of(body)
    assert ids is None or all(each.isprintable() or each for each in ids)


@fuzzed
@given(replaced(ENVELOPE), values)
def test_an_envelope_with_other_values_is_a_call_or_invalid(content, arguments):
    documents = [content]
    if isinstance(content, dict):
        documents.append({**content, "body": b64(json.dumps(arguments))})
    for document in documents:
        assert MessagePolicy().invalid_reason(b64(json.dumps(document))) in {None, *InvalidReason}


FIELDS = json.loads(decode_base64(protocol_1()["body"]))


@fuzzed
@given(replaced(FIELDS), replaced({"compression": "gzip", "eta": None, "id": "i"}))
def test_a_body_of_protocol_1_with_other_values_is_a_call_or_invalid(fields, headers):
    for given_headers in ({}, headers):
        document = protocol_1(body=b64(json.dumps(fields)), headers=given_headers)
        assert LENIENT.invalid_reason(b64(json.dumps(document))) in {None, *InvalidReason}


CLIENT = Session().create_client("sqs", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
ANSWER = {
    "Messages": [
        {
            "MessageId": "m", "ReceiptHandle": "h", "Body": "b", "MD5OfBody": "x",
            "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
        }
    ]
}  # fmt: skip


def read_answer(status, body):
    """Return what a receive call makes of an answer of SQS."""
    http = SimpleNamespace(error=None, body=body)
    response = SimpleNamespace(status=status, response=http, getheaders=list, read=lambda: body)
    reader = SimpleNamespace(sqs_connection=CLIENT, STATUS_CODE_OK=200)
    return sqs_connection.PollConnection._read(reader, "ReceiveMessage", response)


@fuzzed
@given(
    st.sampled_from([200, 200, 400, 403, 429, 500, 503]),
    replaced(ANSWER) | replaced({"__type": "x#Throttling"}),
    st.binary(max_size=40),
)
def test_an_answer_of_sqs_is_messages_or_a_failed_poll(status, answer, noise):
    for body in (json.dumps(answer).encode(), noise, json.dumps(answer).encode() + noise):
        result = read_answer(status, body)
        if not isinstance(result, FailedPoll):
            for message in result.get("Messages") or []:
                assert isinstance(message["Body"], str)
                assert int((message.get("Attributes") or {}).get("ApproximateReceiveCount", "1")) >= 0


VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1.5, "2"]}]},
}
MATRIX = {"data": {"result": [{"metric": {}, "values": [[1, "2"], [2, "NaN"]]}]}}
TARGETS = {"data": {"activeTargets": [{"scrapeUrl": "http://a:1/m", "scrapePool": "worker"}]}}


@fuzzed
@given(data=replaced(VECTOR) | replaced(MATRIX) | replaced(TARGETS), noise=st.binary(max_size=40))
def test_an_answer_of_prometheus_is_samples_or_a_fault(data, noise):
    for body in (json.dumps(data).encode(), noise):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(promql, "_read", lambda _url, body=body: body)
            samples = one_line(promql.query, "http://x", "up", errors=EnvironmentFault) or []
            assert all(isinstance(sample.value, float) and isinstance(sample.labels, dict) for sample in samples)
            one_line(promql.query_range, "http://x", "up", 0, 1, 1, errors=EnvironmentFault)
            assert set(map(type, one_line(promql.targets, "http://x", ["worker"], errors=EnvironmentFault) or [])) <= {
                str
            }


@fuzzed
@given(mutated([b'# TYPE a gauge\na{b="c"} 1\n', b'aforo_worker_slots 2\n# HELP x y\nx_total{le="+Inf"} 1e3 5\n']))
def test_a_page_of_metrics_is_samples_or_no_answer(page):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promql, "_read", lambda _url: page)
        families = promql.scrape("127.0.0.1", 1)
    assert families is None or isinstance(families, dict)


def box(kind, content, size=None):
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


MP4 = (
    box(b"ftyp", b"isom0000")
    + box(b"moov", box(b"mvhd", b"\0" * 100) + box(b"trak", b"encv"))
    + box(b"mdat", b"\1" * 64)
)
LARGE = box(b"ftyp", b"isom") + box(b"mdat", (32).to_bytes(8, "big") + b"\2" * 16, size=1) + box(b"moov", b"x" * 40)


@fuzzed
@given(
    data=mutated([MP4, LARGE, b"\x1a\x45\xdf\xa3" + b"x" * 40, b"RIFF1234AVI LIST", b"G" + b"\0" * 187 + b"G" * 400])
)
def test_the_guard_names_a_container_or_a_reason(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "in.bin"
    file.write_bytes(data)
    assert one_line(container_of, file, errors=VideoFailed) in {None, "mov", "matroska", "avi", "mpegts"}


PROBED = {
    "format": {"duration": "12.5", "start_time": "0.0"},
    "streams": [
        {
            "index": 0, "codec_type": "video", "codec_name": "h264", "width": 640, "height": 360, "pix_fmt": "yuv420p",
            "avg_frame_rate": "30/1", "nb_frames": "375", "start_time": "0.0", "duration": "12.5",
            "tags": {"DURATION": "00:00:12.500"}, "disposition": {"default": 1, "attached_pic": 0},
        },
        {"index": 1, "codec_type": "audio", "codec_name": "aac", "duration": "12.5"},
    ],
}  # fmt: skip


@st.composite
def other_texts(draw):
    """ffprobe's answer with other texts. ffprobe itself is trusted to print JSON of this form."""
    probed = json.loads(json.dumps(PROBED))
    words = st.sampled_from(["", "N/A", "0/0", "1/0", "-1/3", "inf", "1e400", "99:99:99", "-5", "9" * 30]) | st.text(
        max_size=8
    )
    for stream in probed["streams"]:
        for name in ("avg_frame_rate", "nb_frames", "start_time", "duration"):
            if draw(st.booleans()):
                stream[name] = draw(words)
        if draw(st.booleans()):
            stream["tags"] = {"DURATION": draw(words)}
    probed["format"]["duration"] = draw(words)
    return probed


@fuzzed
@given(other_texts(), st.sampled_from(["mov", "matroska", "avi", "mpegts"]))
def test_times_of_a_container_are_numbers_or_unknown(probed, container):
    facts = one_line(_media_facts, container, probed, errors=VideoFailed)
    if facts is not None:
        numbers = (facts.duration_seconds, facts.video_seconds, facts.frames_per_second)
        assert all(number is None or math.isfinite(number) for number in numbers)


TABLES = [
    b"size,concurrency,mode,x_per_min,s_mean_s\n50MB,2,burst,12.5,30\n",
    b"| size | concurrency | mode | x_per_min | s_mean_s |\n|---|---|---|---|---|\n| 50MB | 2+3 | sustained | 1.063 | 30,5 |\n",
    "sep=;\ntamaño;concurrencia;modo;X (videos/min);S promedio (s);notas\n50MB;2;ráfaga;12,5;30;N=100\n".encode(),
    b"n,x,se\n1,10,1\n2,19,1\n4,30,2\n8,40,2\n",
    b"time,a\n0,1\n1,2\n5.5,x\n2026-01-01T00:00:00,z\n",
    b"time,cores\n1000,2\n1001,\n",
]


@fuzzed
@given(data=mutated(TABLES))
def test_a_table_is_rows_or_one_line(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "table.csv"
    file.write_bytes(data)
    for read in (published_rows, read_levels, read_trace, read_resource_file):
        one_line(read, file)


RUN = {
    "id": "r", "status": "finished", "mode": "burst", "size_label": "5MB", "size_bytes": 5, "count": 1,
    "concurrency": 1, "nodes": 1, "slots": 1, "profile": "full", "source": "s", "source_sha256": "", "created_at": 1.0,
    "environment": {
        "host": {"cpu_count": 2}, "workers": {"start": [{"slots": 1, "cores": "2"}]}, "app": {"name": "x"},
        "messages": {"in_queue": 0, "dead_lettered": 0, "at": 1.0}, "other_work": {"executions": 0, "seconds": 0.0},
    },
}  # fmt: skip


@fuzzed
@given(run=replaced(RUN), figures=replaced({"x_per_minute": 1.0, "s_seconds": None}))
def test_an_archive_is_read_or_one_line(run, figures, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    (folder / "run.json").write_text(json.dumps(run))
    fields = one_line(read_run_fields, folder / "run.json")
    assert fields is None or fields["slots"] >= 1
    (folder / "row.json").write_text(json.dumps(figures))
    for figure in one_line(archived_figures, folder) or ():
        assert figure is None or math.isfinite(figure)


@fuzzed
@given(st.dictionaries(st.sampled_from([entry["name"] for entry in declared()]), st.text(max_size=40), max_size=3))
def test_settings_are_read_or_one_line(variables):
    variables = {name: value for name, value in variables.items() if name != "AFORO_APP_FILE"}
    one_line(Settings.from_env, variables)


@fuzzed
@given(st.text(max_size=60))
def test_texts_of_a_person_are_read_or_one_line(text):
    one_line(parse_size, text)
    one_line(parse_shape, text)
    number = one_line(plain_number, text, errors=ValueError)
    assert number is None or math.isfinite(number)
    assert "hunter2" not in without_passwords(f"redis://:hunter2@h/0 {text}")


RECORDS = [record(1, root_id="t1", task_id="t1", sent=["t2"]), record(2, slot=None, reason="timeout", outcome="failed")]
PAGE = {
    "spool": "s", "served_by": "s", "node": "n", "oldest": 1, "newest": 2, "clock": 1.0, "dead_spools": ["d"],
    "records": RECORDS,
}  # fmt: skip


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    with active_run(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/aforo.db") as opened:
        with opened.begin() as session:
            session.add(video_row(id="v1", task_id="t1", uploaded_at=100.0))
        yield opened


@fuzzed
@given(document=replaced(PAGE) | st.builds(lambda records: PAGE | {"records": records}, replaced(RECORDS)))
def test_a_page_of_executions_is_stored_or_invalid(document, sessions):
    page = one_line(parse, json.dumps(document).encode(), errors=InvalidPage)
    if page is not None:
        with sessions() as session:  # rolled back at its end
            stored = store(session, page, Source("w:9101", 150.0))
            session.flush()
            assert 0 <= stored.added <= len(page.records)


LINES = "".join(json.dumps(each | {"spool": "s", "node": "n"}) + "\n" for each in RECORDS).encode()


@fuzzed
@given(
    data=mutated([LINES])
    | st.lists(replaced(RECORDS[0] | {"spool": "s", "node": "n"}), max_size=3).map(
        lambda records: "".join(json.dumps(each) + "\n" for each in records).encode()
    )
)
def test_a_file_of_executions_is_imported_or_one_line(data, sessions, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "executions.jsonl"
    file.write_bytes(data)
    one_line(import_file, sessions, file)


@fuzzed
@given(data=mutated([b"1\n2\n", b"3fa85f64-5717-4562-b3fc-2c963f66afa6\r\n\r\nx y\n"]))
def test_a_file_of_ids_is_lines_or_one_line(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "ids.txt"
    file.write_bytes(data)
    assert all(line == line.strip() != "" for line in one_line(id_lines, file) or [])


def csv_of(columns, **cells):
    """Return the CSV file of one row, in which columns without a given cell are empty."""
    return "\n".join([",".join(columns), ",".join(cells.get(name, "") for name in columns), ""]).encode()


VIDEOS = csv_of(VIDEO_COLUMNS, uploaded_at="1.5", sent_at="1.6", started_at="2", updated_at="3", state="done")
EXECUTIONS = csv_of(
    EXECUTION_COLUMNS, outcome="done", worker="w", slot="0", started_at="2", ended_at="3", fetch_seconds="0.5"
)


@fuzzed
@given(
    videos=mutated([VIDEOS]),
    executions=mutated([EXECUTIONS]),
    changed=st.sampled_from(["videos", "executions", "both"]),
)
def test_the_tables_of_an_archive_are_read_or_one_line(videos, executions, changed, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    (folder / "run.json").write_text(json.dumps(RUN))
    (folder / "resources.csv").write_bytes(TABLES[-1])
    (folder / "videos.csv").write_bytes(VIDEOS if changed == "executions" else videos)
    (folder / "executions.csv").write_bytes(EXECUTIONS if changed == "videos" else executions)
    one_line(read_archive, folder)


APP_FILE = Path("examples/own_app/aforo.toml").read_bytes()


@fuzzed
@given(data=mutated([APP_FILE]))
def test_an_app_file_is_read_or_one_line(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "aforo.toml"
    file.write_bytes(data)
    one_line(read_app_file.__wrapped__, file)
