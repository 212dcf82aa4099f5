import pytest

from pipeline.storage import AccessDenied, DirectoryStorage, ObjectMissing


@pytest.fixture
def storage(tmp_path):
    return DirectoryStorage(tmp_path / "root")


def test_what_is_published_is_fetched_whole_with_the_same_digest(storage, tmp_path):
    source = tmp_path / "a.bin"
    source.write_bytes(b"x" * 3_000_000)
    stored = storage.publish(source, "uploads/a.mp4")
    assert storage.fetch("uploads/a.mp4", tmp_path / "b.bin") == stored
    assert (stored.size_bytes, (tmp_path / "b.bin").read_bytes()) == (3_000_000, source.read_bytes())


def test_nothing_partial_is_left_under_the_root(storage, tmp_path):
    with pytest.raises(ObjectMissing):
        storage.publish(tmp_path / "missing", "uploads/a.mp4")
    assert [p for p in storage.root.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "-rf", "a\\b", "a\0b", "", "a//b", "x" * 2000])
def test_a_key_cannot_leave_the_storage(storage, tmp_path, key):
    with pytest.raises(AccessDenied):
        storage.fetch(key, tmp_path / "out")


def test_a_symbolic_link_is_not_followed(storage, tmp_path):
    storage.root.mkdir()
    (storage.root / "link.mp4").symlink_to("/etc/passwd")
    with pytest.raises(AccessDenied):
        storage.fetch("link.mp4", tmp_path / "out")
    assert not (tmp_path / "out").exists()
