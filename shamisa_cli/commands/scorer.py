"""The scorer that a command's options ask for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from shamisa_cli.commands.shared import flags_for
from shamisa_cli.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from shamisa_cli.scoring import Scorer


def load_scorer(
    options: dict[str, Any], quiet: bool, make: Callable[..., Scorer] | None = None
) -> Scorer:
    """The scorer that ``options`` ask for, by ``make`` or ``load``; what its head means is told."""
    from shamisa_cli.encoders.config import ViewingProtocol
    from shamisa_cli.scoring import load
    from shamisa_cli.scoring.loading import adapt_protocol
    from shamisa_cli.scoring.score import describe_head

    viewing = ("short_side", "max_side", "native", "crops")
    with flags_for(*viewing):  # refused here, where nothing of the user's can look like an option
        given = {name: options[name] for name in viewing if name in options}
        adapt_protocol(ViewingProtocol(), **given)
    # Pillow and libtiff warn of harmless oddities; what matters is in the rows.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        scorer = (make or load)(
            **{name: value for name, value in options.items() if value is not None}
        )
    except WeightsError as error:
        raise UsageError(str(error)) from error  # exit code 1 would say that photos failed
    if not quiet:
        info = scorer.head.info
        head = describe_head(info) if info.name else "no head: features alone"
        click.echo(f"model {scorer.model}, {head}", err=True)
    return scorer
