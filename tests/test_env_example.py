"""`.env.example` is the list of settings a user reads; it must be the list the programs read."""

from pathlib import Path

from pipeline.settings import declared


def test_env_example_names_every_setting_with_its_default_and_meaning():
    shown = Path(".env.example").read_text(encoding="utf-8")
    for setting in declared():
        assert f"# {setting['meaning']}\n#{setting['name']}={setting['default']}\n" in shown
    assert shown.count("\n#") == 2 * len(declared())
