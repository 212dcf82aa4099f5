"""The options of one run are listed in three places, which must name the same options.

The Makefile and deploy/compose/stack cannot import the list in `core/run_options.py`.
"""

import re
from pathlib import Path

from core.run_options import RUN_OPTIONS


def test_the_makefile_exports_every_run_option_but_the_mode_which_its_verbs_set():
    (line,) = re.findall(r"(?m)^OPTIONS := (.+)$", Path("Makefile").read_text(encoding="utf-8"))
    assert set(line.split()) == RUN_OPTIONS - {"MODE"} | {"STACK", "ARGS"}


def test_the_compose_stack_passes_every_run_option_but_the_files_which_it_mounts():
    text = Path("deploy/compose/stack").read_text(encoding="utf-8")
    (words,) = re.findall(r"(?m)^RUN_OPTIONS=\(([^)]+)\)$", text)
    assert set(words.split()) == RUN_OPTIONS - {"FILE", "TRACE"}
