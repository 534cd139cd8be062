"""``--xmp``: scores as ratings that photo tools read, in sidecars beside the photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shamisa_cli.commands.shared import flags_for, option_group
from shamisa_cli.commands.sinks import tell
from shamisa_cli.errors import ShamisaError, UsageError

if TYPE_CHECKING:
    from shamisa_cli.commands.sinks import Sink
    from shamisa_cli.scoring import Score
    from shamisa_cli.scoring.sidecars import Ratings


def _ratings(xmp: bool, stars: str, sidecar: Any, reject_below: float | None) -> Ratings | None:
    """What is asked for; None without --xmp."""
    context = click.get_current_context()
    for name in ("stars", "sidecar", "reject_below") if not xmp else ():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')} has no effect without --xmp")
    if not xmp:
        return None
    from shamisa_cli.scoring.sidecars import Ratings

    try:
        thresholds = tuple(float(each) for each in stars.split(","))
    except ValueError:
        raise UsageError(f"--stars {stars}: expected four scores, such as 20,40,60,80") from None
    with flags_for("stars", "reject_below"):
        return Ratings(thresholds, reject_below, sidecar)


rating_options = option_group(
    "ratings",
    _ratings,
    click.option("--xmp", is_flag=True, help="Also write ratings into sidecars, for photo tools."),
    click.option(
        "--stars",
        default="20,40,60,80",
        show_default=True,
        metavar="A,B,C,D",
        help="Scores from which on there are 2, 3, 4 and 5 stars.",
    ),
    click.option("--reject-below", type=float, metavar="X", help="Rate scores below X rejected."),
    click.option(
        "--sidecar",
        type=click.Choice(["digikam", "adobe"]),
        default="digikam",
        show_default=True,
        help="a.jpg.xmp (darktable has it too), or a.xmp.",
    ),
)


class Sidecars:
    """Rows into a sink, then their ratings into sidecars.

    State: which photo each sidecar is of, and how many were written or failed.

    Parameters
    ----------
    sink : takes the rows.
    ratings : see :class:`Ratings`.
    photos : of the run.
    earlier : rows that stay; those of ``photos`` get their sidecars too.
    """

    def __init__(
        self, sink: Sink, ratings: Ratings, photos: Sequence[str], earlier: Iterable[Score] = ()
    ) -> None:
        from shamisa_cli.scoring.resume import photo_key
        from shamisa_cli.scoring.sidecars import owners

        self._sink, self._ratings = sink, ratings
        self._written = self._failed = 0
        keys = {photo_key(photo): photo for photo in photos}
        self._owners: dict[Path, str] = owners(keys, ratings.naming)
        self._earlier = [row for row in earlier if photo_key(row.path) in keys]
        sharing = [photo for key, photo in keys.items() if not self._is_owner(key)]
        if sharing:
            tell(
                "no sidecar, since a RAW photo or an earlier one of that name has it: "
                f"{sharing[0]} ({len(sharing)})"
            )

    def watch(self, photos: Iterable[str]) -> Iterable[str]:
        """``photos``, as the sink has them; before the first, rows that stay are rated."""
        self.rate_earlier()
        return self._sink.watch(photos)

    def rate_earlier(self) -> None:
        """Write what the sidecars of rows that stay lack: an earlier run may have been stopped."""
        rows, self._earlier = self._earlier, []
        for row in rows:
            if Path(row.path).exists():
                self._rate(row)

    def expect(self, photos: Sequence[str]) -> None:
        """The photos of the run are these now."""
        from shamisa_cli.scoring.resume import photo_key
        from shamisa_cli.scoring.sidecars import owners

        self._owners = owners(map(photo_key, photos), self._ratings.naming)

    def write(self, row: Score) -> None:
        """Hand on a row, then rate its photo; why that cannot be is told, and the run goes on."""
        self._sink.write(row)
        self._rate(row)

    def close(self, *, finished: bool) -> None:
        """Close the sink."""
        self._sink.close(finished=finished)

    def tell_summary(self, *, quiet: bool) -> int:
        """Say how many sidecars were written; returns how many could not be."""
        failed = f", {self._failed} could not be" if self._failed else ""
        if failed or not quiet:
            tell(f"{self._written} sidecars written{failed}")
        return self._failed

    def _rate(self, row: Score) -> None:
        from shamisa_cli.scoring.resume import photo_key
        from shamisa_cli.scoring.sidecars import write_sidecar

        if row.failed or not self._is_owner(photo_key(row.path)):
            return
        try:
            self._written += write_sidecar(row, self._ratings)
        except ShamisaError as error:
            self._failed += 1
            tell(str(error))

    def _is_owner(self, key: str) -> bool:
        from shamisa_cli.scoring.sidecars import sidecar_path

        return self._owners.get(sidecar_path(key, self._ratings.naming)) == key
