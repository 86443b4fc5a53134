"""The colours of every plot: a meaning has one name and, per theme, one value."""

from __future__ import annotations

from typing import TypeVar

from bokeh.model import Model

TOKENS: dict[str, dict[str, str]] = {
    "light": {
        "ink": "#212121",
        "muted": "#616161",
        "axis": "#8A8A8A",
        "grid": "#EEEEEE",
        "data": "#0072B2",
        "answer": "#009E73",
        "answer_text": "#00735A",
        "danger": "#D55E00",
        "danger_text": "#AD4B00",
        "series2": "#A2497D",
        "series3": "#8A6100",
        "action": "#1976D2",
        "background": "#FFFFFF",
    },
    "dark": {
        "ink": "#E0E0E0",
        "muted": "#BDBDBD",
        "axis": "#757575",
        "grid": "#2C2C2C",
        "data": "#56B4E9",
        "answer": "#1FBF92",
        "answer_text": "#35CFA3",
        "danger": "#F0803C",
        "danger_text": "#FF9A5C",
        "series2": "#DB93BC",
        "series3": "#E6B000",
        "action": "#1976D2",
        "background": "#111111",
    },
}

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
"""JupyterLab's own, spelled out: a canvas cannot read CSS variables."""

M = TypeVar("M", bound=Model)


def themed(model: M, **props: str) -> M:
    """Colour ``model`` for the light theme and note in its tags which token each property stands for.

    The browser reads the note to recolour each view for the theme it sits in.

    Args:
        model: Any Bokeh model; changed in place.
        props: Property name → token name.
    Returns:
        ``model``.
    Raises:
        KeyError: For a token that does not exist.
    """
    for prop, token in props.items():
        setattr(model, prop, TOKENS["light"][token])
    noted: dict[str, str] = next((tag["theme"] for tag in model.tags if isinstance(tag, dict) and "theme" in tag), {})
    others = [tag for tag in model.tags if not (isinstance(tag, dict) and "theme" in tag)]
    model.tags = [*others, {"theme": {**noted, **props}}]
    return model
