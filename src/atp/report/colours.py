"""The colours of the report, in light and in dark, and which one each outcome has.

Owns the palette. Charts are drawn in stand-ins, colours that nothing else has, and each of them
becomes a variable of the page's style, so that one drawing serves both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PALETTE: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#14171c"),
    "card": ("#f5f6f8", "#1d2229"),
    "ink": ("#1b1f24", "#e6e9ee"),
    "quiet": ("#5d6673", "#9aa4b2"),
    "line": ("#d9dde3", "#333b46"),
    "good": ("#1a7f4b", "#3fbf7f"),
    "partly": ("#6bb38c", "#2c7d58"),
    "short": ("#8b95a5", "#6c7686"),
    "cap": ("#d9822b", "#f0a04b"),
    "wrong": ("#7a4fbf", "#a583e0"),
    "lost": ("#c9302c", "#f0625d"),
    "blue": ("#2763c4", "#6ea0f5"),
    "teal": ("#1595a3", "#45c4d1"),
    "pink": ("#b83280", "#e57fb8"),
    "fault": ("#c9302c", "#f0625d"),
}
"""Each colour, in light and in dark."""
SERIES = ("blue", "cap", "teal", "pink", "wrong", "good", "short", "lost")
"""For what has no colour of its own, in this order."""
OF_OUTCOME = {
    "GRANTED": "good",
    "GRANTED_PARTIALLY": "partly",
    "STOCK_SHORT": "short",
    "CAP_REACHED": "cap",
    "UNAVAILABLE": "lost",
    "DEADLINE_EXCEEDED": "pink",
    "UNANSWERED": "ink",
}
_STAND_INS = {name: f"#a1b2{number:02x}" for number, name in enumerate(PALETTE)}
_STAND_IN = re.compile("|".join(_STAND_INS.values()), re.IGNORECASE)
_NAMES = {stand_in: name for name, stand_in in _STAND_INS.items()}


def stand_in(name: str) -> str:
    """The colour in which a chart is drawn."""
    return _STAND_INS[name]


def with_variables(svg: str) -> str:
    """The drawing with variables of the style instead of stand-ins."""
    return _STAND_IN.sub(lambda found: f"var(--{_NAMES[found[0].lower()]})", svg)


def of_outcomes(words: Iterable[str]) -> dict[str, str]:
    """A colour for each outcome; those that have none of their own get one each."""
    spare = iter(SERIES * 8)
    return {word: OF_OUTCOME.get(word) or next(spare) for word in words}


def style() -> str:
    """The variables, for a style sheet: light, and dark where dark is wanted."""
    light, dark = (
        "".join(f"--{name}:{both[place]};" for name, both in PALETTE.items()) for place in (0, 1)
    )
    return f":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
