"""The documentation: links, make targets, line lengths, decision records, and the scenario's commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import injector.__main__ as injector
from core.language import VALIDITY_REASON_NAMES
from core.run import Mode
from core.size_mix import parse_sizes

ROOT = Path(__file__).parents[1]
GENERATED = {Path("docs/metrics.md"), Path("docs/json.md")}
COLUMNS = 100
SETTING = r"\bAFORO_[A-Z0-9_]*[A-Z0-9]\b"
#: a message attribute and a database user
NO_METRICS = {"aforo_reason", "aforo_reader"}
#: command lines of the scenario: videos, size, mode and videos per minute
SCENARIO = [(100, "50MB", Mode.BURST, None), (50, "100MB", Mode.BURST, None), (50, "100MB", Mode.SUSTAINED, 10.0)]


def tracked_pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted(path for path in map(Path, listed.stdout.split()) if (ROOT / path).is_file())


PAGES = tracked_pages()
#: pages written by hand, in English
OTHERS = {"capacity-planning", "golden_files"}
WRITTEN = [path for path in PAGES if path not in GENERATED and not OTHERS & set(path.parts)]


def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", without_code(text_of(path)))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|mailto:)([^)\s]+)\)", without_code(text_of(path))):
        name, _, anchor = target.partition("#")
        file = (ROOT / path.parent / name).resolve() if name else ROOT / path
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.relative_to(ROOT)), target


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_every_make_target_in_a_page_exists(path: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*(?: [a-z-]+)*):", text_of(Path("Makefile"))))
    targets_in_makefile = {word for names in targets for word in names.split()}
    text = text_of(path)
    commands = re.findall(r"`make ([a-z][a-z-]*)", text) + re.findall(r"(?m)^(?: {4})?make ([a-z][a-z-]*)", text)
    assert set(commands) <= targets_in_makefile


@pytest.mark.parametrize("path", [path for path in WRITTEN if path.name != "CHANGELOG.md"], ids=str)
def test_every_path_of_the_repository_in_a_page_exists(path: Path) -> None:
    folders = (
        "aforo|core|worker|injector|exporters|collector|capacity|provision|local|prometheus|grafana|deploy"
        "|testing|tests|benchmarks|examples|docs"
    )
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text_of(path))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_text_is_wrapped(path: Path) -> None:
    """Tables, pictures, code and lines with one long link are exempt, because they cannot be wrapped."""
    lines = without_code(text_of(path)).splitlines()
    prose = [line for line in lines if not re.match(r"\||!\[|\[!\[| {4}|#", line) and "](" not in line]
    assert [line for line in prose if len(line) > COLUMNS] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "adr").glob("0*.md")), ids=lambda path: path.stem)
def test_decision_records_have_one_form_and_are_in_the_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(rf"# {int(path.name[:4])}\. [A-Z].*\n\n- Status: .+\n(  .+\n)*- Date: \d{{4}}-\d\d-\d\d", text)
    assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"]
    assert f"]({path.name})" in text_of(Path("docs/adr/README.md"))


def test_the_index_lists_decision_records_in_the_order_of_their_numbers() -> None:
    numbers = [int(number) for number in re.findall(r"(?m)^\| \[(\d+)\]", text_of(Path("docs/adr/README.md")))]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("number", range(len(SCENARIO)))
def test_the_commands_of_the_scenario_and_their_make_targets_mean_the_same_run(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(Path("docs/from-the-scenario.md"))
    script = re.findall(r"(?m)^python load_tests/inject_worker_tasks\.py (.+)$", text)[number]
    verb = re.findall(r"(?m)^make (run-.+)$", text)[number]
    count, size, mode, rate = SCENARIO[number]
    from_script = parsed(shlex.split(script), {}, monkeypatch)
    assert from_script == parsed(["--monitor"], make_environment(verb), monkeypatch)
    request, is_monitored = from_script
    assert is_monitored
    assert (request.count, request.sizes, request.mode) == (count, parse_sizes(size), mode)
    assert request.rate_per_minute == rate


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [("dashboards-en", r"\*([A-Z][^*]+)\* \("), ("dashboards-es", r"\(\*(.+?)\*\)")],
    ids=["en", "es"],
)
def test_every_panel_that_the_runbook_names_exists(folder: str, pattern: str) -> None:
    boards = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "grafana" / folder).glob("*.json"))
    _, *sections = text_of(Path("docs/runbook.md")).split("\n## ")
    named = set(re.findall(pattern, " ".join("\n".join(sections).split())))
    assert len(named) > 10
    titles = set(re.findall(r'"title": "(.+?)(?: \([^)]+\))?"', boards))  # some have their unit behind
    assert named - titles == set()


def make_environment(command: str) -> dict[str, str]:
    """Return the environment that `make VERB NAME=value …` gives the injector."""
    verb, *options = shlex.split(command)
    return {"MODE": verb.removeprefix("run-")} | dict(option.split("=", 1) for option in options)


def parsed(arguments: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple:
    """Return the request and the monitor flag that the injector reads from its command line."""
    requests = []
    with monkeypatch.context() as patch:
        for name in ("COUNT", "SIZE", "MODE", "RATE", "FILE", "USER_ID", "PROFILE", "RUN_ID", "TASK", "PAYLOAD"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(injector, "_inject", lambda settings, request, monitor: requests.append((request, monitor)))
        injector.main(arguments, standalone_mode=False)
    return requests[0]


@pytest.mark.parametrize("path", [path for path in WRITTEN if path.name != "CHANGELOG.md"], ids=str)
def test_every_setting_that_a_page_names_exists(path: Path) -> None:
    files = [".env.example", "docker-compose.yml", "Makefile", "local/app_worker.py", "tests/collector/test_outage.py"]
    files += [str(file.relative_to(ROOT)) for file in (ROOT / "tests/faults").glob("*.py")]
    known = set(re.findall(SETTING, "".join(text_of(Path(file)) for file in files)))
    assert set(re.findall(SETTING, text_of(path))) - known == set()


@pytest.mark.parametrize("path", [path for path in WRITTEN if path.name != "CHANGELOG.md"], ids=str)
def test_every_metric_and_recording_rule_that_a_page_names_exists(path: Path) -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "prometheus/rules").glob("*.yml"))
    known = set(re.findall(r"[a-z0-9_:]*aforo_[a-z0-9_:]+", text_of(Path("docs/metrics.md")) + rules))
    named = re.findall(r"`((?:[a-z_]+:)?aforo_[a-z0-9_:]+)`", text_of(path))
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named}
    assert bases - known - NO_METRICS == set()


def test_the_reason_in_every_quoted_error_is_one_that_a_program_prints() -> None:
    """Three words in a row of the second part of `error: what (value); why; what to do` have to be in the code."""
    folders = ("core", "local", "injector", "capacity", "worker", "collector", "exporters", "provision")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".sh"}]
    code = " ".join(" ".join(file.read_text(encoding="utf-8") for file in files).split())
    quoted = re.findall(r"(?m)(?:^|`)error: [^;`\n]+; ([^;`\n]+)", text_of(Path("docs/troubleshooting.md")))
    reasons = [re.findall(r"[\w']+", reason) for reason in quoted if reason != "why"]
    assert len(reasons) >= 5
    assert [w for w in reasons if not any(" ".join(w[n : n + 3]) in code for n in range(len(w) - 2))] == []


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_every_test_that_a_page_names_exists(path: Path) -> None:
    names = set(re.findall(r"\btest_\w+(?=`)", text_of(path)))
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py"))
    files = {file.stem for file in (ROOT / "tests").rglob("*.py")}
    assert {name for name in names if f"def {name}(" not in sources and name not in files} == set()


def flags_in(page: str, heading: str) -> list[str]:
    """Return the flags in the first column of the table below the heading `heading` of a page."""
    section = text_of(Path(page)).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    _, *rows = re.findall(r"(?m)^\| ([^|]+) \|", section)
    return [name for row in rows for name in re.sub(r" \(.*\)", "", row).split(", ")]


def test_the_pages_name_the_flags_of_a_run_as_the_programs_print_them() -> None:
    printed = sorted(name.en for name in VALIDITY_REASON_NAMES.values())
    assert sorted(flags_in("docs/method.md", "Data quality")) == printed
    listed = flags_in("docs/troubleshooting.md", "A run is invalid")
    assert len(listed) > 20
    assert set(listed) - set(printed) == set()
