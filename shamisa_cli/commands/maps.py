"""``score --explain`` and ``--map``: rows that say what photos look like, and maps of photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shamisa_cli.commands.shared import FOLDER, flags_for, option_group

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
    """The rows of a run, with what was asked of their explanation. State: the maps' files.

    Parameters
    ----------
    scorer : was loaded from ``model``.
    asked : what is explained; nothing is as :meth:`Scorer.score_many`.
    photos : all of the run.
    replace : whether maps of an earlier run may be replaced.

    Raises
    ------
    UsageError
        if the model cannot explain, or the folder of maps is not ours.
    """

    def __init__(
        self,
        scorer: Scorer,
        model: str,
        asked: ExplainRequest,
        photos: Sequence[str],
        *,
        replace: bool,
    ) -> None:
        from shamisa_cli.explaining import explain_scorer
        from shamisa_cli.explaining.files import open_map_folder

        self._scorer = scorer
        self._explainer: Explainer | None = None
        self._maps: dict[str, Path] = {}
        with flags_for("native", "crops", "head", "overwrite"):
            if asked:
                self._explainer = explain_scorer(scorer, model)
            if asked.map:
                self._maps = open_map_folder(asked.map, photos, replace=replace)

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
        if file and not explanation.score.failed:
            with writing(file):
                save_map(explanation, file)
