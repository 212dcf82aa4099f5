"""Compare the locked packages with an advisory database: `python -m testing.advisories FOLDER`.

An advisory describes a security problem of a package. FOLDER is a checkout of the Python Packaging Authority's
advisory-database. Exit codes: 0 if no locked version is affected, or all advisories are excepted, 1 if any other is, 2
if FOLDER is wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from packaging.version import InvalidVersion, Version

LOCKS = Path("requirements")
#: package and id of an advisory that does not affect our programs → the last day on which the check accepts it
EXCEPTIONS = {
    # no program of ours imports `future`: docs/adr/0086-ffmpeg-python-builds-the-graphs.md
    ("future", "CVE-2025-50817"): date(2027, 5, 27),
}
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


@dataclass(frozen=True)
class Advisory:
    """An advisory that affects a locked version of a package.

    The field `ids` has the id of the advisory, and then its ids in other databases. The field `fixed_in` has the
    versions in which the problem is fixed.
    """

    package: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.ids[0]} ({', '.join(self.ids[1:])}), fixed in {', '.join(self.fixed_in) or 'no version'}"

    @property
    def excepted_until(self) -> date | None:
        """Return the last day on which the check accepts this advisory, or None if it never does."""
        days = [EXCEPTIONS[self.package, each] for each in self.ids if (self.package, each) in EXCEPTIONS]
        return max(days, default=None)


def advisories(database: Path, package: str, version: str) -> Iterator[Advisory]:
    """Yield each advisory that affects this version of the package, except withdrawn advisories.

    `database` is the folder with the checkout of advisory-database.
    """
    for file in sorted((database / "vulns" / package).glob("*.yaml")):
        advisory = yaml.safe_load(file.read_text(encoding="utf-8"))
        if "withdrawn" in advisory:
            continue
        for affected in advisory.get("affected", []):
            if affected.get("package", {}).get("name") == package and _is_affected(affected, version):
                events = [event for part in affected.get("ranges", []) for event in part["events"]]
                fixed = tuple(str(event["fixed"]) for event in events if "fixed" in event)
                yield Advisory(package, (advisory["id"], *advisory.get("aliases", [])), fixed)


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


def main(arguments: list[str], today: date | None = None) -> int:
    """Print each advisory that affects a locked version. Return the exit code.

    `arguments` has one item: the folder of the advisory database. The exit code is 0 if no locked version is affected,
    1 if any is, and 2 if the folder is wrong. An advisory of `EXCEPTIONS` is printed as excepted, and does not change
    the exit code until its date is over. `today` is the day that is compared with that date.
    """
    if len(arguments) != 1 or not Path(arguments[0], "vulns").is_dir():
        print("error: advisories; no such folder; give a checkout of advisory-database", file=sys.stderr)
        return 2
    database, locks = Path(arguments[0]), locked_versions()
    known = excepted = 0
    for (name, version), files in locks.items():
        for advisory in advisories(database, name, version):
            until = advisory.excepted_until
            is_excepted = until is not None and (today or date.today()) <= until
            known, excepted = known + 1, excepted + is_excepted
            verb = "is" if is_excepted else "was"
            remark = f"; it {verb} excepted until {until}" if until else ""
            print(f"{name} {version} in {', '.join(files)}: {advisory}{remark}")
    date_of = ["git", "-C", str(database), "log", "-1", "--format=%as"]
    done = subprocess.run(date_of, capture_output=True, text=True, check=False)
    numbers = f"{len(locks)} locked versions, {known} known advisories, {excepted} of them excepted"
    print(f"{numbers}; the database is of {done.stdout.strip() or 'an unknown date'}")
    return 1 if known > excepted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
