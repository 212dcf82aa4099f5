"""The lock files agree: the containers have the versions that are tested."""

import re
from pathlib import Path

FOLDER = Path("requirements")


def locked(name):
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", (FOLDER / name).read_text(), re.MULTILINE))


def test_services_have_the_versions_of_the_full_lock():
    services = locked("services.txt")
    assert services
    assert services.items() <= locked("app.txt").items()
    assert {"numpy", "scipy"}.isdisjoint(services)
