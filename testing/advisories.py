"""Compare the locked packages with an advisory database: `python -m testing.advisories FOLDER`.

An advisory describes a security problem of a package. FOLDER is a checkout of the Python Packaging Authority's
advisory-database. Exit codes: 0 if no locked version is affected, 1 if any is, 2 if FOLDER is wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

LOCKS = Path("requirements")
_LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[.*?\])?==([^\s;\\]+)", re.MULTILINE)


def locked_versions(folder: Path = LOCKS) -> dict[tuple[str, str], list[str]]:
    """Return the names of the lock files that pin a package, for each package name and version.

    The lock files are the `*.txt` files in `folder`.
    """
    files: dict[tuple[str, str], list[str]] = {}
    for file in sorted(folder.glob("*.txt")):
        for name, version in _LOCKED.findall(file.read_text(encoding="utf-8")):
            files.setdefault((re.sub(r"[._-]+", "-", name), version), []).append(file.name)
    return files


def advisories(database: Path, package: str, version: str) -> Iterator[str]:
    """Yield a line of text for each advisory that affects this version of the package.

    The line has the id of the advisory, its ids in other databases, and the versions in which the problem is fixed.
    """
    for file in sorted((database / "vulns" / package).glob("*.yaml")):
        advisory = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "withdrawn" in advisory:
            continue
        for affected in advisory.get("affected", []):
            if affected.get("package", {}).get("name") == package and _is_affected(affected, version):
                events = [event for part in affected.get("ranges", []) for event in part["events"]]
                fixed = ", ".join(str(event["fixed"]) for event in events if "fixed" in event)
                yield f"{advisory['id']} ({', '.join(advisory.get('aliases', []))}), fixed in {fixed or 'no version'}"


def _is_affected(affected: dict[str, Any], version: str) -> bool:
    """Return True if the version is listed, or is in a range of the OSV format: introduced ≤ version < fixed."""
    if version in map(str, affected.get("versions", [])):
        return True
    parts = [part["events"] for part in affected.get("ranges", []) if part.get("type") == "ECOSYSTEM"]
    return any(_is_in_range(events, Version(version)) for events in parts)


def _is_in_range(events: list[dict[str, Any]], version: Version) -> bool:
    is_affected = False
    for event in events:
        (kind, text), *_ = event.items()
        try:
            bound = Version(str(text))
        except InvalidVersion:
            continue
        if kind == "introduced" and bound <= version:
            is_affected = True
        elif (kind == "fixed" and bound <= version) or (kind == "last_affected" and bound < version):
            is_affected = False
    return is_affected


def main(arguments: list[str]) -> int:
    """Print each advisory that affects a locked version. Return the exit code.

    `arguments` has one item: the folder of the advisory database. The exit code is 0 if no locked version is affected,
    1 if any is, and 2 if the folder is wrong.
    """
    if len(arguments) != 1 or not Path(arguments[0], "vulns").is_dir():
        print("error: advisories; no such folder; give a checkout of advisory-database", file=sys.stderr)
        return 2
    database, locks = Path(arguments[0]), locked_versions()
    found = [
        f"{name} {version} in {', '.join(files)}: {advisory}"
        for (name, version), files in locks.items()
        for advisory in advisories(database, name, version)
    ]
    for line in found:
        print(line)
    date = ["git", "-C", str(database), "log", "-1", "--format=%as"]
    known_until = subprocess.run(date, capture_output=True, text=True, check=False).stdout.strip() or "an unknown date"
    print(f"{len(locks)} locked versions, {len(found)} known advisories; the database is of {known_until}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
