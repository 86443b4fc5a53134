"""The colours of every plot: a meaning has one name and, per theme, one value."""

from __future__ import annotations

from typing import TypeVar

from bokeh.model import Model

from .shades import SCALES

# Parts of the memory are three families: blue grows with k, purple is the model, grey is overhead.
# heat0 … heat2 are the steps of one ramp, the last the farthest from the background.
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
        "part_context": "#767676",
        "part_parameters": "#6E2C57",
        "part_gradients": "#A2497D",
        "part_optimizer": "#CC79A7",
        "part_inputs": "#56B4E9",
        "part_activations": "#0072B2",
        "part_temporary": "#A6D4F2",
        "part_reserved": "#C4C4C4",
        "heat0": "#E4F0F8",
        "heat1": "#C9E1F0",
        "heat2": "#9CC9E4",
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
        "part_context": "#8C8C8C",
        "part_parameters": "#F0CDE0",
        "part_gradients": "#CC79A7",
        "part_optimizer": "#8F4E75",
        "part_inputs": "#2C7FB8",
        "part_activations": "#56B4E9",
        "part_temporary": "#1D4F73",
        "part_reserved": "#4A4A4A",
        "heat0": "#12303F",
        "heat1": "#1B4C66",
        "heat2": "#235D7F",
        "background": "#111111",
    },
}

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
"""JupyterLab's own, spelled out: a canvas cannot read CSS variables."""

THEMES = {theme: {**tokens, **SCALES[theme]} for theme, tokens in TOKENS.items()}
"""All that a browser recolours by: the tokens, and the scales with their shades."""

M = TypeVar("M", bound=Model)


def themed(model: M, **props: str) -> M:
    """Colour ``model`` for the light theme and note in its tags which token each property stands for.

    The browser reads the note to recolour each view for the theme it sits in.

    Args:
        model: Any Bokeh model; changed in place.
        props: Property name → token name, or of a palette that of a scale.
    Returns:
        ``model``.
    Raises:
        KeyError: For a token that does not exist.
    """
    for prop, token in props.items():
        setattr(model, prop, THEMES["light"][token])
    noted: dict[str, str] = next((tag["theme"] for tag in model.tags if isinstance(tag, dict) and "theme" in tag), {})
    others = [tag for tag in model.tags if not (isinstance(tag, dict) and "theme" in tag)]
    model.tags = [*others, {"theme": {**noted, **props}}]
    return model
