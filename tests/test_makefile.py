"""Make options are data: they are not executed, and an empty option stays empty."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROBE = "\nprobe:\n\t@printf '%s|' \"$$SIZE\"\nwords:\n\t@set -f; printf '%s|' $$ARGS\n"


def outside(**variables):
    """Return this environment without the variables of a `make` that runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))} | variables


def make(tmp_path, *arguments, verb="probe"):
    makefile = tmp_path / "Makefile"
    makefile.write_text(Path("Makefile").read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "SIZE"}
    command = ["make", "-f", str(makefile), verb, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout


@pytest.mark.parametrize(
    "size", ["50MB; touch pwned", "`touch pwned`", "$(shell touch pwned)", "$(touch pwned)", "a'b\"c"]
)
def test_an_option_reaches_the_program_unchanged_and_is_not_executed(tmp_path, size):
    pwned = Path("pwned")
    assert make(tmp_path, f"SIZE={size}") == f"{size}|"
    assert not pwned.exists()


@pytest.mark.parametrize("name", ["SIZE", "STACK", "ARGS", "FILE"])
def test_no_verb_executes_an_option_from_the_command_line_or_the_environment(tmp_path, name):
    value = "$(shell touch pwned)`touch pwned`; touch pwned"
    for arguments, environment in (([f"{name}={value}"], {}), ([], {name: value})):
        command = ["make", "-n", "run-burst", "run-sustained", "up", "logs", "table", "clean", "plan", *arguments]
        shown = subprocess.run(command, capture_output=True, text=True, env=outside(**environment), check=True).stdout
        assert "touch pwned" not in shown
    assert not Path("pwned").exists()


def test_the_app_file_is_handed_on_under_a_name_that_celery_does_not_read(tmp_path):
    path = "../my app/$(shell touch pwned).toml"
    wanted = ("AFORO_APP_FILE", "APP", "LOADER", "CONFIG_MODULE")
    lines = [f"\t@printf '%s|' \"$${{{name}-}}\"" for name in wanted]
    makefile = tmp_path / "Makefile"
    text = Path("Makefile").read_text(encoding="utf-8")
    makefile.write_text("\n".join([text, "names:", *lines, ""]), encoding="utf-8")
    theirs = outside(APP="app.main", LOADER="x", CONFIG_MODULE="y")
    for arguments, expected in (([f"APP={path}"], f"{path}||||"), ([], "||||")):
        command = ["make", "-f", str(makefile), "names", *arguments]
        shown = subprocess.run(command, capture_output=True, text=True, env=theirs, check=True).stdout
        assert shown == expected
    assert not Path("pwned").exists()


def test_words_in_args_are_plain_arguments(tmp_path):
    shown = make(tmp_path, "ARGS=$(shell touch pwned) `touch pwned` ; touch pwned", verb="words")
    assert shown == "$(shell|touch|pwned)|`touch|pwned`|;|touch|pwned|"
    assert not Path("pwned").exists()


def test_the_option_stack_selects_the_programs():
    def shown(*arguments):
        return subprocess.run(
            ["make", "-n", "up", *arguments], capture_output=True, text=True, env=outside(), check=True
        ).stdout

    assert "deploy/compose/stack up" in shown("STACK=compose")
    assert ".venv/bin/python -m local up" in shown("STACK=aws")
    assert ".venv/bin/python -m local up" in shown("STACK=unknown")


def test_the_bundle_accepts_args():
    command = ["make", "-n", "bundle", "ARGS=--runbook https://wiki.example/aforo"]
    shown = subprocess.run(command, capture_output=True, text=True, env=outside(), check=True).stdout
    assert "-m grafana bundle $ARGS" in shown


def test_every_scrape_configuration_is_checked():
    shown = subprocess.run(["make", "-n", "lint-prometheus"], capture_output=True, text=True, env=outside(), check=True)
    for file in Path("prometheus").glob("prometheus*.yml"):
        assert re.search(rf"promtool check config .*\b{re.escape(str(file))}", shown.stdout), file


def test_an_empty_option_arrives_empty(tmp_path):
    assert make(tmp_path, "SIZE=") == "|"


def test_make_without_a_verb_prints_the_help():
    shown = subprocess.run(["make"], capture_output=True, text=True, check=True).stdout
    assert "run-burst" in shown
    assert "run-sustained" in shown


def test_the_help_fits_80_columns():
    shown = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in shown if len(line) > 80] == []
    assert "  RATE             videos per minute of a sustained run (10)" in shown


@pytest.mark.parametrize(
    ("verb", "word", "remedy"),
    [
        ("run", "run", "use make run-burst, make run-sustained; write an option"),
        ("$(shell touch x)", "$(shell", "write an option as NAME=value, see `make help`\n"),
        ("table flx", "flx", "write an option as NAME=value, see `make help`\n"),
    ],
)
def test_an_unknown_verb_is_refused_with_the_similar_ones(verb, word, remedy):
    refused = subprocess.run(["make", verb], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: verb ({word}); there is none of that name; {remedy}")
    assert not Path("x").exists()


def ask(tmp_path, *words, **variables):
    """Run the verbs with programs that only print their words."""
    text = Path("Makefile").read_text(encoding="utf-8").replace("local/setup.sh", "echo setup")
    text = re.sub(r"^(PY|RUN|LOCAL) := .*$", r"\1 := echo started", text, flags=re.MULTILINE)
    makefile = tmp_path / "Makefile"
    makefile.write_text(text, encoding="utf-8")
    command = ["make", "-f", str(makefile), *words]
    return subprocess.run(command, capture_output=True, text=True, env=outside(**variables), check=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "run-burst size=5MB",
            "option (size); it is neither an option of `make run-burst` nor a setting; did you mean SIZE?",
        ),
        ("run-burst CONCURENCY=4", "did you mean CONCURRENCY?"),
        ("run-burst COUTN=4", "did you mean COUNT?"),
        ("run-burst WORKERS=3", "option (WORKERS); only STACK=compose or an APP has several workers"),
        ("up WORKERS=3 STACK=aws", "option (WORKERS); only STACK=compose or an APP has several workers"),
        ("run-burst SIZES=5MB", "option (SIZES); `make run-burst` does not use it; leave it out"),
        ("run-burst MODE=sustained", "option (MODE); it is neither an option"),
        ("run-burst ARGS=5MB", "option (ARGS); `make run-burst` does not use it"),
        ("matrix SIZE=5MB", "option (SIZE); `make matrix` does not use it"),
        (
            "search SHAPE=poisson",
            "option (SHAPE); the highest stable rate is the same for every load shape; leave it out,",
        ),
        (
            "matrix TRACE=t.csv",
            "option (TRACE); a trace has the arrivals of one run, not those of every rate; leave it",
        ),
        ("matrix WORKERS=1,2", "option (WORKERS); only STACK=compose or an APP has several workers"),
        ("history up WORKERS=2", "option (WORKERS); only STACK=compose or an APP has several workers"),
        ("table COUNT=4", "option (COUNT); `make table` does not use it"),
        ("test CONCURRENCY=4", "option (CONCURRENCY); `make test` does not use it"),
        ("run-burst AFORO_WORKER_THREDS=1", "option (AFORO_WORKER_THREDS); it is neither"),
        ("run-burst 5MB", "verb (5MB); there is none of that name"),
    ],
)
def test_an_unknown_or_useless_option_is_refused_before_anything_starts(tmp_path, words, line):
    answer = ask(tmp_path, *words.split())
    assert answer.returncode == 2
    assert answer.stdout == ""
    error = answer.stderr.splitlines()[0]
    assert error.startswith("error: ")
    assert line in error


@pytest.mark.parametrize("name", ["a b=3", "run-burst x=1", "-x y=1", "=3"])
def test_a_name_with_a_blank_is_refused_before_anything_starts(tmp_path, name):
    answer = ask(tmp_path, "run-burst", name)
    assert answer.returncode == 2
    assert "started" not in answer.stdout
    assert re.search(r"^(error: |make: |Usage: )", answer.stderr)


@pytest.mark.parametrize(
    "words",
    [
        "run-burst SIZE=5MB COUNT=4 CONCURRENCY=2 PROFILE=showcase USER_ID=ana RUN_ID=x WARMUP=1",
        "run-sustained SIZE=5MB RATE=10",
        "run-burst STACK=compose WORKERS=3",
        "run-burst AFORO_WORKER_THREADS=1 AWS_CA_BUNDLE=/ca.pem STORAGE_BACKEND=s3 AWS_S3_BUCKET=b",
        "up STACK=compose AFORO_COMPOSE_WORKER_CPUS=1 COMPOSE_PROFILES=emulator",
        "matrix SIZES=5MB MODES=burst REPEATS=2 LEVELS=1 ADAPTIVE=1 ARRIVALS=60 COUNT=4 RATE=auto CONCURRENCY=1,2",
        "matrix SIZES=50MB:3+100MB:1 SHAPE=poisson SEED=7 STACK=compose WORKERS=1,2,3",
        "run-burst SIZE=50MB:3+100MB:1 COUNT=24 SEED=7",
        "search SIZE=5MB CONCURRENCY=2 ARGS=--refine",
        "history SIZE=5MB CONCURRENCY=2 WORKERS=2 RATE=10",
        "search APP=../x/aforo.toml SIZE=5MB:3+9MB:1 SEED=7 WORKERS=1,2,3",
        "report ARGS=x STACK=compose",
        "down status logs ARGS=-f",
        "run-burst APP=../x/aforo.toml WORKERS=2 YES=1 USER_ID=ana",
        "doctor APP=../x/aforo.toml USER_ID=7 YES=1 ARGS=--send",
        "import APP=../x/aforo.toml SIZE=5MB CONCURRENCY=2 WORKERS=2 RATE=10 ARGS=--ids",
        "clean APP=../x/aforo.toml YES=1 ARGS=--rows",
    ],
)
def test_the_options_of_a_verb_and_all_settings_are_accepted(tmp_path, words):
    answer = ask(tmp_path, *words.split())
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "started" in answer.stdout


@pytest.mark.parametrize(("name", "option"), [("size", "SIZE"), ("CONCURENCY", "CONCURRENCY"), ("COUTN", "COUNT")])
def test_a_misspelt_option_in_the_environment_is_pointed_out(tmp_path, name, option):
    answer = ask(tmp_path, "run-burst", **{name: "4"})
    assert answer.stderr == f"note: {name} of the environment is not used; did you mean {option}?\n"
    assert answer.returncode == 0


def test_variables_of_other_programs_in_the_environment_cause_no_note(tmp_path):
    other = {"FILES": "x", "WORKER_CLASS": "x", "PATHS": "x", "RATES": "x"}
    assert ask(tmp_path, "run-burst", **other).stderr == ""
    assert ask(tmp_path, "table", size="5MB").stderr == ""


def test_every_verb_of_the_makefile_checks_its_options(tmp_path):
    makefile = Path("Makefile").read_text(encoding="utf-8")
    verbs = re.findall(r"^([a-z-]+):.* ## ", makefile, flags=re.MULTILINE)
    assert len(verbs) > 20
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, flags=re.MULTILINE).group(1)
    assert {*verbs} - {*phony.split()} == set(), "a file of that name would silence the verb"
    for verb in sorted({*verbs} - {"help"}):
        answer = ask(tmp_path, "-k", verb, "NONSENSE=1")
        assert "error: option (NONSENSE)" in answer.stderr, verb
        assert "started" not in answer.stdout, verb
