"""The browser's side of a widget as text: anywidget takes one module and one style sheet, these have shared parts."""

from __future__ import annotations

from pathlib import Path

from ...plots.base.tokens import TOKENS

_WIDGETS = Path(__file__).parents[1]


def script(*names: str) -> str:
    """The widget's module: these files, by their paths below ``widgets``, with the shared theme.js above them."""
    return "".join(map(_text, ("panel/theme.js", *names)))


def style(*names: str) -> str:
    """The widget's style sheet: these files, with ``plots.base.tokens`` as ``--nbtune-…`` variables above them."""
    themes = [
        f'.nbtune[data-nbtune-theme="{theme}"] {{ '
        + " ".join(f"--nbtune-{token.replace('_', '-')}: {colour};" for token, colour in tokens.items())
        + " }\n"
        for theme, tokens in TOKENS.items()
    ]
    return "".join([*themes, *map(_text, names)])


def _text(name: str) -> str:
    return (_WIDGETS / name).read_text(encoding="utf-8")
