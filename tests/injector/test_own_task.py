import pytest

from core.errors import UsageError
from injector.own_task import parse_own_task

FACTS = {"video_id": "v1", "path": "/videos/a b.mp4", "key": "k", "run_id": "r", "user_id": "", "uploaded_at": "1.5"}


def test_placeholders_are_replaced_at_any_depth_and_other_text_stays():
    payload = '{"video_id": "{video_id}", "options": {"in": ["file:{path}"], "width": 720, "deep": null}}'
    assert parse_own_task("app.tasks.process_video", payload).kwargs(FACTS) == {
        "video_id": "v1",
        "options": {"in": ["file:/videos/a b.mp4"], "width": 720, "deep": None},
    }


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("", "it is missing"),
        ("{video_id}", "it is not JSON"),
        ('["{video_id}"]', "it is not a JSON object"),
        ('{"a": "{video}"}', "there is no such placeholder"),
        ('{"a": "{}"}', "there is no such placeholder"),
        ('{"a": 1}', "every video would get the same arguments"),
    ],
)
def test_an_invalid_payload_is_refused(payload, why):
    with pytest.raises(UsageError, match=f"^PAYLOAD.*{why}"):
        parse_own_task("app.tasks.process_video", payload)


@pytest.mark.parametrize("name", ["a b", "1.x", "x;y", "a..b", "x" * 300, "ñ.tasks"])
def test_an_invalid_task_name_is_refused(name):
    with pytest.raises(UsageError, match=r"^TASK"):
        parse_own_task(name, '{"a": "{path}"}')
