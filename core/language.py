"""The two languages in which people are told something, and the words that every program uses for the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.run import Mode, RunStatus
from core.video import Stage

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = ("es", "en")
DEFAULT_LANGUAGE: Language = "es"


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    es: str
    en: str

    def to(self, lang: Language) -> str:
        """Return the sentence in `lang`."""
        return self.es if lang == "es" else self.en


def same(word: str) -> Text:
    """Return a text that reads the same in both languages."""
    return Text(word, word)


MODE_NAMES: Mapping[str, Text] = {
    Mode.BURST: Text("ráfaga", "burst"),
    Mode.SUSTAINED: Text("sostenido", "sustained"),
}
STATUS_NAMES: Mapping[str, Text] = {
    RunStatus.PREPARING: Text("en preparación", "being prepared"),
    RunStatus.RUNNING: Text("en curso", "running"),
    RunStatus.FINISHED: Text("terminada", "finished"),
    RunStatus.INTERRUPTED: Text("interrumpida", "interrupted"),
    RunStatus.FAILED: Text("fallida", "failed"),
}
STAGE_NAMES: Mapping[str, Text] = {
    Stage.CLAIM: Text("reserva", "claim"),
    Stage.FETCH: Text("descarga", "fetch"),
    Stage.PROBE: Text("sondeo", "probe"),
    Stage.TRANSCODE: same("ffmpeg"),
    Stage.PUBLISH: Text("publicación", "publish"),
    Stage.FINISH: Text("cierre", "finish"),
}
