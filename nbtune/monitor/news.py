"""What must change in an idle kernel to be worth a message."""

from __future__ import annotations

from typing import Any

# Its own memory by this much, or that this share is crossed, from which on views.ts warns.
# What others hold changes all the time, and two idle kernels would keep each other talking.
_OWN_CHANGE_BYTES, _NEARLY_FULL = 2**20, 0.9


def is_news(message: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether an idle kernel should say it."""
    if message.get("jobs"):
        return True
    volatile = {"sequence", "devices", "forecast"}  # a forecast moves with the device it is of
    if any(message[key] != before.get(key) for key in message.keys() - volatile):
        return True
    known = {device["name"]: device for device in before.get("devices", ())}
    return any(_has_changed(device, known.get(device["name"])) for device in message.get("devices", ()))


def _has_changed(device: dict[str, Any], before: dict[str, Any] | None) -> bool:
    if before is None or before["limit_bytes"] != device["limit_bytes"]:
        return True
    own = max(abs(device[name] - before[name]) for name in ("now_bytes", "peak_bytes"))
    return bool(own >= _OWN_CHANGE_BYTES) or _is_nearly_full(device) != _is_nearly_full(before)


def _is_nearly_full(device: dict[str, Any]) -> bool:
    return bool(device["now_bytes"] + device["others_bytes"] >= _NEARLY_FULL * device["limit_bytes"])
