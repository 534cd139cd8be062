"""``score --explain`` and ``--map``: rows that say what photos look like, and maps of photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.shared import FOLDER, flags_for, option_group
from shamisa_cli.commands.sinks import tell
from shamisa_cli.errors import ShamisaError

if TYPE_CHECKING:
    from shamisa_cli.explaining import Explainer, Explanation
    from shamisa_cli.scoring import Score, Scorer


@dataclass(frozen=True)
class ExplainRequest:
    """What ``score`` explains: with ``explain`` what photos look like, with ``map`` where."""

    explain: bool
    map: Path | None

    def __bool__(self) -> bool:
        return self.explain or self.map is not None


explain_options = option_group(
    "asked",
    ExplainRequest,
    click.option("--explain", is_flag=True, help="Fill the column looks_like."),
    click.option("--map", type=FOLDER, help="Draw where each photo looks bad, into this folder."),
)


class Explained:
    """The rows of a run, with what was asked of their explanation.

    State: the maps' files, and how many of them ``failed``, as they could not be written.

    Parameters
    ----------
    scorer : was loaded from ``model``.
    asked : what is explained; nothing is as :meth:`Scorer.score_many`.
    photos : all of the run.
    earlier : rows that stay as they are; that photos among them are not explained is told.
    replace : whether maps of an earlier run may be replaced.

    Raises
    ------
    UsageError
        if the model cannot explain, or the folder of maps is not ours. So it comes before files of
        rows that begin anew.
    """

    def __init__(
        self,
        scorer: Scorer,
        model: str,
        asked: ExplainRequest,
        photos: Sequence[str],
        earlier: Sequence[Score],
        *,
        replace: bool,
    ) -> None:
        from shamisa_cli.explaining import explain_scorer
        from shamisa_cli.explaining.files import open_map_folder
        from shamisa_cli.scoring.resume import remaining

        self._scorer = scorer
        self._explainer: Explainer | None = None
        self._maps: dict[str, Path] = {}
        self.failed = 0
        if not asked:
            return
        with flags_for("native", "crops", "head"):
            self._explainer = explain_scorer(scorer, model)
        if asked.map:
            others = [row.path for row in earlier]
            with flags_for("overwrite", path=asked.map):
                self._maps = open_map_folder(asked.map, photos, others, replace=replace)
        if stay := len(photos) - len(remaining(photos, earlier)):
            tell(f"{stay} rows stay as they are; --overwrite, not --resume, explains all photos")

    def map_of(self, path: str) -> Path | None:
        """The map of the photo at ``path``, if there is one."""
        file = self._maps.get(path)
        return file if file and file.is_file() else None

    def rows(self, photos: Iterable[str]) -> Iterator[Score]:
        """The rows of ``photos``, in order; their maps are written on the way."""
        if self._explainer is None:
            yield from self._scorer.score_many(photos)
            return
        for explanation in self._explainer.explain_many(photos):
            self._draw(explanation)
            yield explanation.score

    def _draw(self, explanation: Explanation) -> None:
        from shamisa_cli.explaining.draw import save_map
        from shamisa_cli.files import writing

        file = self._maps.get(explanation.score.path)
        if not file or explanation.score.failed:
            return
        try:
            with writing(file):
                save_map(explanation, file)
        except ShamisaError as error:
            self.failed += 1
            tell(str(error))
