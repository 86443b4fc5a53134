"""The browser's side of a widget as text: anywidget takes one module and one style sheet, these have shared parts."""

from __future__ import annotations

import re
from pathlib import Path

from ...plots.base.tokens import TOKENS

_WIDGETS = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(r'^import \{\s*\w+(?:,\s*\w+)*,?\s*\} from "(\.[^"]*)";\n', re.MULTILINE)  # no "a as b"
_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


def script(*names: str) -> str:
    """The widget's module: these files, by their paths below ``widgets``, each below those that it imports.

    As one text they see each other's names without imports, so that no two may give the same name at their top level.
    """
    texts: dict[Path, str] = {}
    for name in names:
        _add(_WIDGETS / name, texts)
    return "".join(texts.values())


def style(*names: str) -> str:
    """The widget's style sheet: these files, with ``plots.base.tokens`` as ``--nbtune-…`` variables above them."""
    themes = [
        f'.nbtune[data-nbtune-theme="{theme}"] {{ '
        + " ".join(f"--nbtune-{token.replace('_', '-')}: {colour};" for token, colour in tokens.items())
        + " }\n"
        for theme, tokens in TOKENS.items()
    ]
    return "".join([*themes, *((_WIDGETS / name).read_text(encoding="utf-8") for name in names)])


def _add(path: Path, texts: dict[Path, str]) -> None:
    """Add a file's text without its imports and exports, unless it is there, below those of the files it imports."""
    if path in texts:
        return
    text = path.read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _add((path.parent / imported).resolve(), texts)
    texts[path] = _EXPORT.sub("", _IMPORT.sub("", text))
