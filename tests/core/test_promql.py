"""Answers of Prometheus and of /metrics: samples, or one line. Cases that `make fuzz` found are here."""

import pytest

from core import promql
from core.errors import EnvironmentFault


@pytest.fixture
def answer(monkeypatch):
    """Return a function that sets the body of every answer."""
    return lambda body: monkeypatch.setattr(promql, "_read", lambda _url: body)


def test_samples_are_read(answer):
    answer(b'{"data": {"result": [{"metric": {"a": "b"}, "value": [1.5, "2"]}]}}')
    assert promql.query("http://x", "up") == [promql.Sample({"a": "b"}, 2.0)]
    assert promql.single("http://x", "up") == 2.0
    answer(b'{"data": {"result": [{"metric": {}, "values": [[1, "2"], [2, "NaN"]]}]}}')
    assert promql.query_range("http://x", "up", 0, 1, 1)[0].points[0] == (1.0, 2.0)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"null",
            b"[]",
            b"5",
            b'"ok"',
            b"{}",
            b'{"data": null}',
            b'{"data": {"result": null}}',
            b"\xff",
            b"<html>",
        ),
        *(b'{"data": {"result": [null]}}', b'{"data": {"result": [{}]}}', b'{"data": {"result": {"a": 1}}}'),
        *(
            b'{"data": {"result": [{"metric": {}, "value": [1]}]}}',
            b'{"data": {"result": [{"metric": 5, "value": [1, "2"]}]}}',
        ),
        *(b'{"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}', b"[" * 100_000),
        b'{"data": {"result": [{"metric": {}, "value": [1, "2"], "values": 5}], "activeTargets": [{"scrapeUrl": 5}]}}',
    ],
)
def test_another_answer_is_one_line(answer, body):
    answer(body)
    with pytest.raises(EnvironmentFault, match=r"^Prometheus \(http://x\); .*; ") as fault:
        promql.query_range("http://x", "up", 0, 1, 1)
    assert "\n" not in str(fault.value)
    with pytest.raises(EnvironmentFault):
        promql.targets("http://x", ["worker"])
    if b"value" not in body or b"5, " in body or b"[1]" in body or b'"x"' in body:
        assert promql.single("http://x", "up") is None


@pytest.mark.parametrize("page", [b"\xff\xfe", b"<html>\n<p>404</p>", b'a{b="c" 1\n', b"a{} x\n", b'a{="b"} 1'])
def test_a_page_that_is_no_metrics_is_no_answer(answer, page):
    answer(page)
    assert promql.scrape("127.0.0.1", 1) is None
