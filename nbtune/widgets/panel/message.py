"""What a browser sends, looked at before anything is done: whatever does not have this form is dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_TEXT = 2000
"""Of a field. Nobody types more, and every page that shows the widget would be sent it."""


LARGEST_NUMBER = 2**53
"""Of what was clicked at: a place or a batch size. Not a number compares as larger."""


@dataclass(frozen=True, slots=True)
class Message:
    """What was asked for.

    Attributes:
        type: "start", "stop", "set" or another one that the panel or its tool knows; any other is nobody's.
        values: What stands in the fields, as text.
        mode: The one chosen, "" where nothing is said of it.
        name, value: What was clicked at in the stage: the block's name, and text, a number or None.
    """

    type: str
    values: dict[str, str] = field(default_factory=dict)
    mode: str = ""
    name: str = ""
    value: str | int | float | None = None

    @classmethod
    def read(cls, content: Any) -> Message | None:
        """The message; None for what is none. Of one that is, parts of a wrong form are left out."""
        if not isinstance(content, Mapping) or not isinstance(content.get("type"), str):
            return None
        values, value = content.get("values"), content.get("value")
        return cls(
            content["type"],
            _texts(values) if isinstance(values, Mapping) else {},
            _text(content.get("mode")),
            _text(content.get("name")),
            value if _is_plain(value) else None,
        )


def fitting(values: Mapping[str, str], fields: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Those of ``values`` that one of the fields can hold. What is typed may be anything: Start says what is wrong."""
    known = {field["name"]: field for field in fields}
    return {name: text for name, text in values.items() if name in known and _fits(text, known[name])}


def _fits(text: str, field: Mapping[str, Any]) -> bool:
    if field["kind"] == "switch":
        return text in ("", "on")
    if field["kind"] in ("choice", "segments") and not field.get("other"):
        return text in [value for value, _ in field["options"]]
    return True


def _texts(values: Mapping[Any, Any]) -> dict[str, str]:
    return {name: text for name, text in values.items() if _is_text(name) and _is_text(text)}


def _text(value: Any) -> str:
    return value if _is_text(value) else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def _is_plain(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER)
