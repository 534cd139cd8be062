"""Another viewing size, or other crops."""

from __future__ import annotations

from typing import Any

import pytest

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import UsageError
from shamisa_cli.scoring.loading import adapt_protocol


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ViewingProtocol()),
        ({"short_side": 384}, ViewingProtocol(short_side=384)),
        ({"max_side": 1024}, ViewingProtocol(short_side=None, max_side=1024)),
        ({"native": True}, ViewingProtocol(short_side=None, crops="tiles")),
        ({"crops": "whole"}, ViewingProtocol(crops="whole")),
        ({"crops": "whole", "max_side": 700}, ViewingProtocol(None, 700, crops="whole")),
    ],
)
def test_what_is_asked_is_changed_and_nothing_else(
    options: dict[str, Any], expected: ViewingProtocol
) -> None:
    assert adapt_protocol(ViewingProtocol(), **options) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"short_side": 1, "max_side": 1}, "short_side and max_side exclude each other"),
        ({"short_side": 1, "native": True}, "short_side and native exclude each other"),
        ({"native": True, "crops": "five"}, "leave crops out"),
        ({"crops": "ten"}, "'ten'"),
        ({"short_side": 0}, "at least 1 px"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        adapt_protocol(ViewingProtocol(), **options)
