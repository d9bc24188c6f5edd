"""How values look in documents: times and texts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rooms.programme import Words

Names = Mapping[str, str]
"""The people table: id → what is known."""


def words(texts: Words, lang: str) -> str:
    """The text in this language, else in the first one there is."""
    return texts.get(lang) or next(iter(texts.values()), "")


def iso(ms: int) -> str:
    """Milliseconds since the epoch → ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
