import pytest
from botocore.exceptions import ClientError

from core.storage import AccessDenied, DirectoryStorage, ObjectMissing, S3Storage, StorageUnavailable


@pytest.fixture
def storage(tmp_path):
    return DirectoryStorage(tmp_path / "root")


def test_an_uploaded_file_is_fetched_complete_with_the_same_digest(storage, tmp_path):
    source = tmp_path / "a.bin"
    source.write_bytes(b"x" * 3_000_000)
    stored = storage.upload(source, "uploads/a.mp4")
    assert storage.fetch("uploads/a.mp4", tmp_path / "b.bin") == stored
    assert (stored.size_bytes, (tmp_path / "b.bin").read_bytes()) == (3_000_000, source.read_bytes())


def test_no_partial_file_is_left_under_the_root(storage, tmp_path):
    with pytest.raises(ObjectMissing):
        storage.upload(tmp_path / "missing", "uploads/a.mp4")
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


class RefusingS3:
    """Fake S3 client that answers every HEAD request with one error code."""

    def __init__(self, code):
        self.code = code

    def head_object(self, **_request):
        raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "HeadObject")


@pytest.mark.parametrize("code", ["404", "403"])  # 403: a missing object, for a role without s3:ListBucket
def test_an_object_whose_head_is_denied_counts_as_missing(code):
    assert S3Storage(RefusingS3(code), "b").exists("uploads/a.mp4") is False


def test_an_s3_error_and_an_invalid_key_raise():
    with pytest.raises(StorageUnavailable):
        S3Storage(RefusingS3("503"), "b").exists("uploads/a.mp4")
    with pytest.raises(AccessDenied):
        S3Storage(RefusingS3("404"), "b").exists("../a.mp4")
