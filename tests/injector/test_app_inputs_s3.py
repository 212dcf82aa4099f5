"""Inputs of an app in a bucket: one object, or one copy per video that S3 itself makes."""

import boto3
import pytest

from core.app_file import read_app_file
from core.errors import UsageError
from injector.app_inputs import addresses, inputs_of, missing, place_all
from testing.emulator import KEY, REGION
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)


@pytest.fixture
def s3(emulator):
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    client = boto3.client("s3", endpoint_url=emulator, **keys)
    client.create_bucket(Bucket="their-uploads")
    yield client
    for found in client.list_objects_v2(Bucket="their-uploads").get("Contents", []):
        client.delete_object(Bucket="their-uploads", Key=found["Key"])
    client.delete_bucket(Bucket="their-uploads")


@pytest.mark.parametrize(("how", "objects"), [("shared", 1), ("copy", 3)])
def test_objects_are_placed_under_the_prefix(s3, team, tmp_path, how, objects):  # noqa: F811
    lines = 'folder = "uploads"\nper_video = "copy"'
    app = read_app_file(team(lines, f'folder = "s3://their-uploads/in"\nper_video = "{how}"'))
    media = tmp_path / "a.mp4"
    media.write_bytes(b"video")
    inputs = inputs_of(app, tmp_path, "a.mp4", lambda: s3)
    s3.meta.events.register("before-call.s3.HeadObject", lambda **call: asked.append(call["model"].name))
    asked = []
    absent = missing([(inputs, media)] * 2)
    listed = addresses([inputs] * 2, absent, app, "r")
    for each, file in absent.values():
        each.place(file)
    assert asked == ["HeadObject"]
    placed = place_all([inputs] * 2, app, "r")
    found = s3.list_objects_v2(Bucket="their-uploads")["Contents"]
    assert len(found) == objects
    assert {f"s3://their-uploads/{item['Key']}" for item in found} == set(listed)
    assert missing([(inputs, media)]) == {}
    assert {item["Size"] for item in found} == {5}
    assert [input.path for input in placed] == [f"s3://their-uploads/{input.key}" for input in placed]
    assert all(input.key.startswith("in/") for input in placed)
    assert [input.made is None for input in placed] == [how == "shared"] * 2


def test_a_link_in_s3_is_refused(team):  # noqa: F811
    lines = 'folder = "uploads"\nper_video = "copy"'
    with pytest.raises(UsageError, match=r"input\.per_video \(link\); S3 has no links; use copy or shared"):
        read_app_file(team(lines, 'folder = "s3://their-uploads/in"\nper_video = "link"'))
