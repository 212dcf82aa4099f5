"""The shared input file of an app's videos in a folder."""

from core.app_file import read_app_file
from injector.app_inputs import inputs_of, missing
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)


def test_a_shared_file_that_a_worker_changed_is_missing_and_placed_again(team, tmp_path):  # noqa: F811
    media = tmp_path / "media.mp4"
    media.write_bytes(b"video")
    inputs = inputs_of(read_app_file(team()), tmp_path, "a.mp4", lambda: None)
    assert list(missing([(inputs, media)] * 2)) == [inputs.address()]
    inputs.place(media)
    assert missing([(inputs, media)]) == {}
    inputs.source.write_bytes(b"vid")
    assert list(missing([(inputs, media)])) == [inputs.address()]
