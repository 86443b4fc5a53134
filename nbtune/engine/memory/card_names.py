"""Which card somebody means: "rtx4090", "A100-80G", "NVIDIA GeForce RTX 3080 Laptop GPU", "colab", "M2 Max 64GB"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from ..checks import shown
from .card_table import TABLE, Card

HOSTED = {
    "Colab T4": "T4", "Colab L4": "L4", "Colab A100": "A100 40", "Kaggle P100": "P100 16", "Kaggle T4 x2": "T4",
}  # fmt: skip
"""What the notebooks of two hosts have."""
NEAR = 0.1
"""A size within this share of a card's is that card's: people write 16, 15 and 14.7 GB for a T4."""

_HOSTS = {
    "colab": ("t4", "Colab's usual card is a T4."),
    "kaggle": ("t4", "Kaggle lends a P100 or two T4: one T4 is judged."),
}
_SYNONYMS = {
    "jetsonagxorin": "jetsonorin32", "agxorin": "jetsonorin32", "jetsonagxxavier": "jetsonxavier32",
    "agxxavier": "jetsonxavier32", "orin": "jetsonorin", "xavier": "jetsonxavier", "thor": "jetsonthor",
    "agxthor": "jetsonthor", "jetsonagxthor": "jetsonthor", "tx2": "jetsontx2", "gb10": "dgxspark",
    "mi300": "mi300x", "h100nvl": "h10094", "rtxtitan": "titanrtx",
}  # fmt: skip
_FILLERS = re.compile(
    r"\b(nvidia|geforce|tesla|amd|radeon|instinct|apple|silicon|gpus?|graphics|card|generation|edition|blackwell"
    r"|workstation|server|founders|tensor|core|superchip|sxm\d?|pcie|hbm\d?e?|vram|ram|memory|with|max-?q|design"
    r"|imac|mac ?(book)? ?(pro|air|mini|studio)?)\b"
)
_JETSON = re.compile(r"\b(?:nano|nx) (orin|xavier)\b|\b(orin|xavier) (?:nano|nx)(?: super)?\b")
_SIZE = r"(\d+(?:[.,]\d+)?)\s*(?:gi?b?|gigs?|gigas?|gigabytes?|go)"
_SIZE_BEHIND = re.compile(rf"(?P<model>.*?)[\s-]*\(?{_SIZE}\)?")
_SIZE_BEFORE = re.compile(rf"{_SIZE}[\s-]+(?P<model>.*)")
_NUMBER_BEHIND = re.compile(r"(?P<model>.*[a-z0-9])[\s-]+(\d{1,3})")
_TIMES_BEFORE = re.compile(r"(\d{1,3})\s*(?:[x×*]\s*(?=\d{4}|.*[a-z])|\s(?=[a-z]))(.*)")
_TIMES_BEHIND = re.compile(r"(.*[\s\d)])[x×*]\s*(\d{1,3})")


class UnknownCardError(ValueError):
    """No card is called so."""


def of_host(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without the name of a host of notebooks, and what its usual card is where nothing else is said.

    Examples:
        >>> of_host("Colab L4"), of_host("kaggle")[0]
        (('L4', ()), 't4')
    """
    for host, (usual, note) in _HOSTS.items():
        if re.search(rf"\b{host}\b", text, re.IGNORECASE):
            words = rf"\b(google|{host}|free|tier|notebooks?|runtime|pro\b\+?)(?!\w)"
            rest = re.sub(words, "", text, flags=re.IGNORECASE).strip(" -:,'")
            return (rest, ()) if rest else (usual, (note,))
    return text, ()


def several(text: str) -> tuple[int, str]:
    """How many cards, and the rest of the text.

    Examples:
        >>> several("2x A100"), several("T4 ×2"), several("dual 3090"), several("RX 7900 XTX")
        ((2, 'A100'), (2, 'T4'), (2, '3090'), (1, 'RX 7900 XTX'))
    """
    text = " ".join(text.split())
    if text.casefold().startswith("dual "):
        return 2, text[5:]
    before, behind = _TIMES_BEFORE.fullmatch(text.casefold()), _TIMES_BEHIND.fullmatch(text.casefold())
    if before is not None:
        return int(before[1]), text[before.start(2) :].strip()
    return (1, text) if behind is None else (int(behind[2]), text[: behind.end(1)].strip())


def find_card(text: str) -> tuple[Card, tuple[str, ...]]:
    """The card that is meant, and what had to be assumed, in sentences.

    Args:
        text: For one card, in any case and with or without the maker's words.
    Raises:
        UnknownCardError: With the nearest names, or with the sizes a card is sold in.

    Examples:
        >>> [find_card(text)[0].name for text in ("rtx4090", "a100-80g", "4060 ti 16gb", "M2 Max 64GB")]
        ['RTX 4090', 'A100 80', 'RTX 4060 Ti 16', 'M2 Max 64']
    """
    plain = _plain(text)
    for found in _readings(plain):
        if found:
            return found[0], _assumed(found)
    raise UnknownCardError(
        f"capacity {shown(text)} is no size such as '8 GB' and no known card{_nearest(plain)}, or write its size, such "
        "as '8 GB'"
    )


def _readings(plain: str) -> Iterator[list[Card]]:
    """Cards that fit, from the strictest reading on."""
    yield [card for card in TABLE if _key(card.name) == _key(plain)]
    yield _of_model(plain)
    for shape in (_SIZE_BEHIND, _SIZE_BEFORE, _NUMBER_BEHIND):
        found = shape.fullmatch(plain)
        if found is not None and (models := _of_model(found["model"])):
            size = next(group for group in found.groups() if group != found["model"])
            yield [_of_size(models, size)]


def _of_model(text: str) -> list[Card]:
    key = _key(text)
    models = {card.model for card in TABLE if key in (_key(card.model), _key(card.name))}
    if not models and key.endswith("laptop"):  # most are sold with the same memory as for the desk
        return _of_model(key.removesuffix("laptop"))
    if not models:  # one that is only sold in laptops needs no such word
        models = {card.model for card in TABLE if _key(card.model) == f"{key}laptop"}
    return [card for card in TABLE if card.model in models]


def _of_size(models: list[Card], written: str) -> Card:
    size = float(written.replace(",", "."))
    best = min(models, key=lambda card: abs(card.sold_gib - size))
    if min(abs(best.sold_gib - size) / best.sold_gib, abs(best.seen_gib - size) / best.seen_gib) <= NEAR:
        return best
    raise UnknownCardError(
        f"capacity: a card called {best.model} has {_sizes(models)} GB, not {written}: write one of these, or its "
        f"size, such as '{written} GB'"
    )


def _plain(text: str) -> str:
    plain = _FILLERS.sub(" ", re.sub(r"\b(laptop|mobile|notebook)\b", "laptop", text.casefold().replace("_", " ")))
    return _JETSON.sub(r"\1\2", " ".join(plain.split()).strip(" -"))


def _key(text: str) -> str:
    """A name without the words and signs that tell no two cards apart."""
    packed = re.sub(r"[\s\-()/,]+", "", _plain(text))
    return re.sub(r"^(rtx|gtx|rx)(?=.)", "", _SYNONYMS.get(packed, packed))


def _assumed(found: list[Card]) -> tuple[str, ...]:
    card = found[0]
    choice = f"{card.model} is sold with {_sizes(found)} GB: {card.sold_gib} GB is taken."
    derived = f"{card.name}: {card.seen_gib:.4g} GiB is derived from the size sold, no report of it was found."
    return (*((choice,) if len(found) > 1 else ()), *((derived,) if card.is_derived else ()))


def _nearest(plain: str) -> str:
    models = {_plain(card.model): card.name for card in reversed(TABLE)}
    names = models | {_plain(card.name): card.name for card in TABLE}
    with_all_words = [name for name in names if set(plain.split()) <= set(name.split())]
    alike = [*with_all_words, *get_close_matches(plain, names, n=6, cutoff=0.6)]
    near = list(dict.fromkeys(names[name] for name in alike))[:3]
    return f": nearest are {_listed(near)}" if len(near) > 1 else f": nearest is {near[0]}" if near else (
        ": write one such as RTX 4090, T4 or A100 80"
    )  # fmt: skip


def _sizes(cards: list[Card]) -> str:
    return _listed([str(size) for size in sorted({card.sold_gib for card in cards})])


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
