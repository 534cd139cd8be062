"""The options that limit which rows are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.shared import flags_for, option_group

if TYPE_CHECKING:
    from shamisa_cli.scoring.limits import Limits


def _limits(**values: Any) -> Limits:
    from shamisa_cli.scoring.limits import Limits

    with flags_for("top", "below", "above"):
        return Limits(**values)


limit_options = option_group(
    "limits",
    _limits,
    click.option("--top", type=click.IntRange(1), metavar="N", help="Show the best N only."),
    click.option("--below", type=float, metavar="X", help="Show scores below X only."),
    click.option("--above", type=float, metavar="X", help="Show scores above X only."),
)
