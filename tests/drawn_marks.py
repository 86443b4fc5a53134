"""What either canvas says it drew: colours as (red, green, blue, alpha), lengths in px, and every place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bokeh.models import GlyphRenderer

from nbtune.plots.base import picture

colors = pytest.importorskip("matplotlib.colors")

Drawn = dict[str, Any]


def rgba(colour: Any, alpha: float = 1.0) -> tuple[float, ...] | None:
    """None for a colour that is not there."""
    if colour is None or len(colour) == 0 or (isinstance(colour, str) and colour == "none"):
        return None
    *rgb, own = colors.to_rgba(colour)
    return tuple(round(float(part), 3) for part in (*rgb, own * alpha)) if own * alpha else None


def split(points: Any) -> list[Any]:
    """At NaN, without it."""
    gaps = np.flatnonzero(np.isnan(points[:, 0]))
    parts = [part[~np.isnan(part[:, 0])] for part in np.split(points, gaps)]
    return [part for part in parts if len(part)]


def corners(left: Any, right: Any, bottom: Any, top: Any) -> list[Any]:
    edges = zip(left, right, bottom, top, strict=True)
    return [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, x1, y0, y1 in edges]


def said_by_bokeh(renderer: GlyphRenderer) -> Drawn:
    """Of one mark."""
    glyph, kind = renderer.glyph, type(renderer.glyph).__name__
    assert renderer.visible
    if kind == "Text":
        return {"texts": texts_of_bokeh(renderer)}
    drawn: Drawn = {"line": None, "fill": None, "hatch": None, "shapes": shapes_of_bokeh(renderer, kind)}
    if scales_of(glyph):
        return by_colour(renderer, drawn, kind)
    if kind != "VArea":
        drawn["line"] = rgba(glyph.line_color, glyph.line_alpha)
        drawn["width"], drawn["dash"] = glyph.line_width, tuple(glyph.line_dash) if glyph.line_dash != "solid" else ()
    if hasattr(glyph, "fill_color"):
        drawn["fill"] = rgba(glyph.fill_color, glyph.fill_alpha)
    if getattr(glyph, "hatch_pattern", None):
        drawn["hatch"] = glyph.hatch_pattern, rgba(glyph.hatch_color)
    if kind == "Scatter":
        drawn |= {"marker": glyph.marker, "size": glyph.size}
    return drawn


def scales_of(glyph: Any) -> dict[str, Any]:
    """Property → the field and the mapper that colour it row by row."""
    found = {name: getattr(glyph, f"{name}_color", None) for name in ("line", "fill")}
    return {name: spec for name, spec in found.items() if hasattr(spec, "transform")}


def mapped(spec: Any, data: Any) -> list[str]:
    """As BokehJS maps: even bins in the logarithm, what lies beyond an end in that end's."""
    mapper = spec.transform
    low, high = np.log(mapper.low), np.log(mapper.high)
    bins = np.floor((np.log(np.asarray(data[spec.field], dtype=float)) - low) / (high - low) * len(mapper.palette))
    return [mapper.palette[int(i)] for i in np.clip(bins, 0, len(mapper.palette) - 1)]


def by_colour(renderer: GlyphRenderer, drawn: Drawn, kind: str) -> Drawn:
    """Of a mark whose rows have colours of their own: all of each colour together, the first seen first."""
    glyph, data = renderer.glyph, renderer.data_source.data
    ((name, spec),) = scales_of(glyph).items()
    colours = mapped(spec, data)
    if not colours:
        return {"shapes": []}
    other = "fill" if name == "line" else "line"
    groups = {colour: [i for i, c in enumerate(colours) if c == colour] for colour in dict.fromkeys(colours)}
    plain = rgba(getattr(glyph, f"{other}_color", None), getattr(glyph, f"{other}_alpha", 1.0))
    drawn |= {name: [rgba(colour, getattr(glyph, f"{name}_alpha")) for colour in groups], other: [plain] * len(groups)}
    rows = drawn["shapes"][0] if kind == "Scatter" else drawn["shapes"]
    chosen = [[rows[i] for i in places] for places in groups.values()]
    drawn["shapes"] = (
        [np.array(part) for part in chosen] if kind == "Scatter" else [row for part in chosen for row in part]
    )
    if kind != "Quad":
        drawn |= {"width": glyph.line_width, "dash": tuple(glyph.line_dash) if glyph.line_dash != "solid" else ()}
    return drawn | ({"marker": glyph.marker, "size": glyph.size} if kind == "Scatter" else {})


def shapes_of_bokeh(renderer: GlyphRenderer, kind: str) -> list[Any]:
    data = {name: np.asarray(values, dtype=object) for name, values in renderer.data_source.data.items()}
    length = len(next(iter(data.values())))

    def column(name: str) -> Any:
        value = getattr(renderer.glyph, name)
        return (data[value] if isinstance(value, str) else np.full(length, value)).astype(float)

    if kind in ("Line", "Scatter", "Patch"):
        points = np.column_stack([column("x"), column("y")])
        return split(points) if kind == "Patch" else [points]
    if kind == "HSpan":
        return [np.array([(0, y), (1, y)]) for y in column("y")]
    if kind == "VArea":
        x, low, high = (column(name) for name in ("x", "y1", "y2"))
        outline = [*zip(x, low, strict=True), *zip(x[::-1], high[::-1], strict=True)]
        return [np.array(outline)] if outline else []
    if kind == "Segment":
        ends = (column(name) for name in ("x0", "y0", "x1", "y1"))
        return [np.array([(x0, y0), (x1, y1)]) for x0, y0, x1, y1 in zip(*ends, strict=True)]
    if kind == "VBar":
        x, half = column("x"), renderer.glyph.width / 2
        return corners(x - half, x + half, column("bottom"), column("top"))
    assert kind == "Quad"
    return corners(*(column(name) for name in ("left", "right", "bottom", "top")))


def texts_of_bokeh(renderer: GlyphRenderer) -> list[tuple[Any, ...]]:
    glyph, data = renderer.glyph, renderer.data_source.data
    found = []
    for i, (x, y) in enumerate(zip(data["x"], data["y"], strict=True)):
        text, align, weight, size, alpha = (
            data[value][i] if isinstance(value, str) and value in data else getattr(value, "value", value)
            for value in (
                glyph.text, glyph.text_align, glyph.text_font_style, glyph.text_font_size, glyph.background_fill_alpha
            )
        )  # fmt: skip
        look = (align, weight, round(float(size.removesuffix("px")), 3), rgba(glyph.text_color), round(float(alpha), 3))
        found.append((round(float(x), 6), round(float(y), 6), text, *look, (glyph.x_offset, glyph.y_offset)))
    return found


MARKERS = {shape: name for name, (shape, _) in picture.MARKERS.items()}


def said_by_matplotlib(artists: list[Any], *, is_scaled: bool = False) -> Drawn:
    """Of one mark, that may be several artists; where it is coloured by a scale, one for each colour."""
    if is_scaled:
        return _scaled([said_by_matplotlib([artist]) for artist in artists])
    if not artists or type(artists[0]).__name__ == "Text":
        return {"texts": [text_of_matplotlib(text) for text in artists]}
    drawn: Drawn = {"line": None, "fill": None, "hatch": None, "width": None, "dash": None}
    for artist in artists:
        kind = type(artist).__name__
        assert artist.get_visible()
        drawn |= _lines_of_matplotlib(artist) if kind == "Line2D" else _shapes_of_matplotlib(artist)
    return drawn


def _scaled(parts: list[Drawn]) -> Drawn:
    if not parts:
        return {"shapes": []}
    shapes = [shape for part in parts for shape in part["shapes"]]
    looks = {key: value for key, value in parts[0].items() if value is not None}
    return {
        **looks,
        "hatch": None,
        "shapes": shapes,
        **{key: [part[key] for part in parts] for key in ("line", "fill")},
    }


def _lines_of_matplotlib(line: Any) -> Drawn:
    shapes = [np.asarray(line.get_xydata(), dtype=float)]
    marker = line.get_marker()
    if marker == "None":
        return {"line": rgba(line.get_color()), "shapes": shapes, **_stroke(line.get_linewidth(), line._dash_pattern)}
    assert line.get_linestyle() == "None"
    width, size = line.get_markeredgewidth(), line.get_markersize() / picture.MARKERS[MARKERS[marker]][1]
    edge = rgba(line.get_markeredgecolor())
    return {
        "line": edge, "fill": rgba(line.get_markerfacecolor()), "shapes": shapes, "marker": MARKERS[marker],
        "size": size / picture.POINT, **_stroke(width, (0, None)),
    }  # fmt: skip


def _shapes_of_matplotlib(shapes: Any) -> Drawn:
    width, (edge, face) = shapes.get_linewidth()[0], (shapes.get_edgecolor(), shapes.get_facecolor())
    paths = [path.vertices for path in shapes.get_paths()]
    if type(shapes).__name__ == "LineCollection":
        return {"line": rgba(edge[0]), "shapes": paths, **_stroke(width, shapes._linestyles[0])}
    drawn: Drawn = {"shapes": [points[:-1] for points in paths]}  # closed
    if len(face):
        drawn["fill"] = rgba(face[0])
    if shapes.get_hatch():
        (*rgb, _) = edge[0]
        drawn["hatch"] = shapes.get_hatch()[0], rgba(rgb)
    if width:
        drawn |= {"line": rgba(edge[0]), **_stroke(width, shapes._linestyles[0])}
    return drawn


def _stroke(width: float, dash: tuple[float, Any]) -> Drawn:
    return {"width": width / picture.POINT, "dash": tuple(length / picture.POINT for length in dash[1] or ())}


def text_of_matplotlib(text: Any) -> tuple[Any, ...]:
    x, y = text.get_position()
    box = text.get_bbox_patch()
    alpha = 0.0 if box is None else round(float(box.get_facecolor()[3]), 3)
    right, up = (text.get_transform().transform((x, y)) - text.axes.transData.transform((x, y))) / 2
    look = (text.get_ha(), text.get_weight(), round(text.get_size() / picture.POINT, 3), rgba(text.get_color()), alpha)
    return (round(float(x), 6), round(float(y), 6), text.get_text(), *look, (round(right, 3), round(0.0 - up, 3)))


def assert_same(bokeh: Drawn, saved: Drawn) -> None:
    """Both drew the same; widths and dashes of a line that is not there do not count."""
    assert bokeh.keys() >= {"texts"} or "shapes" in saved, "the picture lacks a mark"
    shapes = bokeh.pop("shapes", []), saved.pop("shapes", [])
    assert [len(shape) for shape in shapes[0]] == [len(shape) for shape in shapes[1]]
    for one, other in zip(*shapes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    if not bokeh.get("line"):
        bokeh, saved = ({k: v for k, v in drawn.items() if k not in ("width", "dash")} for drawn in (bokeh, saved))
    assert saved == {k: pytest.approx(v) if k in ("width", "dash", "size") else v for k, v in bokeh.items()}
