"""The browser's side of a widget as text: anywidget takes one module and one style sheet, these have shared parts."""

from __future__ import annotations

from pathlib import Path

from ..plots.tokens import TOKENS

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """The widget's module, with the shared theme.js above it."""
    return _text("theme.js") + _text(name)


def style(name: str) -> str:
    """The widget's style sheet, with the tokens of ``plots.tokens`` as ``--nbtune-…`` variables above it."""
    themes = [
        f'.nbtune[data-nbtune-theme="{theme}"] {{ '
        + " ".join(f"--nbtune-{token.replace('_', '-')}: {colour};" for token, colour in tokens.items())
        + " }\n"
        for theme, tokens in TOKENS.items()
    ]
    return "".join(themes) + _text(name)


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
