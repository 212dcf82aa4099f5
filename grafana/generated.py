"""Where the generated JSON lives: one folder a language, since one Grafana must not see a uid twice."""

from __future__ import annotations

from pathlib import Path

from core.language import LANGUAGES, Language
from grafana.boards import BOARDS
from grafana.render import board_json

FOLDERS: dict[Language, Path] = {
    "es": Path(__file__).parent / "dashboards-es",
    "en": Path(__file__).parent / "dashboards-en",
}


def generate(lang: Language) -> dict[Path, str]:
    """Return path and text of every dashboard in `lang`."""
    return {FOLDERS[lang] / f"{board.uid}.json": board_json(board, lang) for board in BOARDS}


def stale(lang: Language) -> list[Path]:
    """Return the files that differ from what the source makes, missing and left-over ones among them."""
    wanted = generate(lang)
    found = {path: path.read_text(encoding="utf-8") for path in FOLDERS[lang].glob("*.json")}
    return sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))


def write_all() -> list[Path]:
    """Write every dashboard in both languages; return the files that changed."""
    changed = []
    for lang in LANGUAGES:
        FOLDERS[lang].mkdir(exist_ok=True)
        changed += [path for path in stale(lang) if _settle(path, generate(lang).get(path))]
    return changed


def _settle(path: Path, text: str | None) -> bool:
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    return True
