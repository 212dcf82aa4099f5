"""The three files that name third-party images agree, and each tag is an exact version."""

import re
from pathlib import Path

NAME, FILES = "[A-Z]+_IMAGE", ("Dockerfile", "docker-compose.yml", "deploy/compose/stack")
#: NAME=image, ${NAME:-image} and `setting NAME image`
DEFAULT = re.compile(rf"\b({NAME})(?:=|:-| )([a-z]+(?:/[a-z-]+)?:[\w.-]+)")


def defaults():
    return {(*found, file) for file in FILES for found in DEFAULT.findall(Path(file).read_text(encoding="utf-8"))}


def test_every_file_names_the_same_image():
    assert {file for name, _, file in defaults() if name == "PYTHON_IMAGE"} == set(FILES)
    assert len({(name, image) for name, image, _ in defaults()}) == len({name for name, _, _ in defaults()})


def test_every_tag_is_an_exact_version():
    images = {name: image for name, image, _ in defaults()}
    theirs = ("PYTHON", "POSTGRES", "REDIS", "PROMETHEUS", "GRAFANA", "ALERTMANAGER")
    assert set(images) == {f"{name}_IMAGE" for name in theirs}
    # PostgreSQL numbers its releases major.minor
    parts = {name: 2 if name == "POSTGRES_IMAGE" else 3 for name in images}
    exact = {name for name, image in images.items() if re.search(rf":v?\d+(\.\d+){{{parts[name] - 1}}}(-|$)", image)}
    assert exact == set(images)
