"""What an exported file says of itself, so that its crops can be made without this program."""

from __future__ import annotations

from typing import Any

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.settings import to_mapping


def describe(model: str, head: HeadInfo, protocol: ViewingProtocol) -> dict[str, Any]:
    """Facts as JSON takes them.

    Parameters
    ----------
    model : name and fingerprint, as in the rows of ``shamisa score``.
    """
    return {
        "model": model,
        "head": to_mapping(head),
        "protocol": to_mapping(protocol),
        "input": "crops: uint8 RGB (photos, places, scales, 3, crop, crop)",
        "output": "score: 0-100, higher is better; raw: in the units of the head's dataset",
    }
