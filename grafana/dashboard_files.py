"""JSON files of the dashboards, in one folder per language.

Let a Grafana server load only one of the folders, because a dashboard has the same id (uid) in both languages.
"""

from __future__ import annotations

from pathlib import Path

from core.language import LANGUAGES, Language
from grafana.boards import BOARDS
from grafana.dashboard_json import board_json

FOLDERS: dict[Language, Path] = {
    "es": Path(__file__).parent / "dashboards-es",
    "en": Path(__file__).parent / "dashboards-en",
}


def generate(lang: Language) -> dict[Path, str]:
    """Return the JSON text of every dashboard in a language, by the path of its file."""
    return {FOLDERS[lang] / f"{board.uid}.json": board_json(board, lang) for board in BOARDS}


def stale(lang: Language) -> list[Path]:
    """Return the JSON files of a language that do not match the dashboards' source.

    Such a file is out of date, is missing, or belongs to a dashboard that no longer exists.
    """
    generated = generate(lang)
    committed = {path: path.read_text(encoding="utf-8") for path in FOLDERS[lang].glob("*.json")}
    return sorted(path for path in generated.keys() | committed.keys() if generated.get(path) != committed.get(path))


def write_all() -> list[Path]:
    """Write the JSON files of all dashboards in both languages. Return the paths of those that changed.

    The file of a dashboard that no longer exists is deleted.
    """
    changed = []
    for lang in LANGUAGES:
        FOLDERS[lang].mkdir(exist_ok=True)
        changed += [path for path in stale(lang) if _write(path, generate(lang).get(path))]
    return changed


def _write(path: Path, text: str | None) -> bool:
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    return True
