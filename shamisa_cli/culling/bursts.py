"""Bursts and series: photos that were taken together of one scene.

In a burst one photo is as good as another, so all but the best can go. In a series (bracket,
panorama, focus stack) every photo is a part, and none can.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from shamisa_cli.culling.focus import is_focus_stack
from shamisa_cli.culling.frames import Frame, Look, feature_distance, shift_between
from shamisa_cli.culling.registration import Shift
from shamisa_cli.imaging.ahead import map_ahead
from shamisa_cli.imaging.paths import natural_key

Kind = Literal["burst", "bracket", "panorama", "focus stack"]
Looks = Callable[[str], Look | None]

GAP = 10.0
"""s; frames that are farther apart do not belong together."""

NEAR = 0.045
"""Cosine distance of the bundled models' features under which two photos show one scene."""

VERY_NEAR = 0.02
"""The same, where nothing else tells."""

ALIKE = 0.85
"""Correlation of detail over which two frames, small and gray, show one scene."""

OVERLAP = 0.7
"""The same of frames that may be parts of a panorama or of a bracket."""

LARGEST_SHIFT = 0.3
"""Of the picture's side, within a burst."""

PAN = 0.12
"""Of the picture's side: the least step of a panorama."""

STOPS = 0.55
"""The least step of a bracket: 2/3 of a stop, as rounded exposure times have it."""

_BACK = 3
"""A frame is compared with so many before it: one that differs does not end a burst."""


@dataclass(frozen=True)
class Group:
    """Photos that belong together; ``members`` are numbers of frames, in order of time."""

    kind: Kind
    members: tuple[int, ...]


def find_groups(
    frames: Sequence[Frame], looks: Looks, gap: float = GAP, workers: int = 0
) -> list[Group]:
    """The bursts and series among ``frames``, two photos or more each, in order of their first.

    Parameters
    ----------
    looks : of a path, its :class:`Look`; asked only for photos of :func:`runs_in_time`, and once a
        photo.
    gap : s between two frames, at most; how long an exposure takes does not count.
    workers : threads that call ``looks``.
    """
    found: list[Group] = []
    for run in runs_in_time(frames, gap):
        looked = map_ahead(looks, [frames[n].path for n in run], workers)
        pairs = zip(run, looked, strict=True)
        seen = {n: look for n, (_, look) in pairs if isinstance(look, Look)}
        found += _Run(frames, seen, [n for n in run if n in seen]).groups()
    found += _untimed(frames)
    return sorted(found, key=lambda group: min(group.members))


def runs_in_time(frames: Sequence[Frame], gap: float) -> Iterator[list[int]]:
    """Numbers of frames of one camera, each taken shortly after the one before it."""
    timed = [n for n, frame in enumerate(frames) if frame.capture.time is not None]
    timed.sort(
        key=lambda n: (
            frames[n].capture.camera,
            frames[n].capture.time or 0.0,
            natural_key(frames[n].path),
        )
    )
    run: list[int] = []
    for n in timed:
        if run and not _follows(frames[run[-1]], frames[n], gap):
            if len(run) > 1:
                yield run
            run = []
        run.append(n)
    if len(run) > 1:
        yield run


def _follows(before: Frame, after: Frame, gap: float) -> bool:
    then, now = before.capture, after.capture
    passed = (now.time or 0.0) - (then.time or 0.0) - then.seconds
    return then.camera == now.camera and passed <= gap


def _untimed(frames: Sequence[Frame]) -> Iterator[Group]:
    """Bursts of photos without a time: neighbors in a folder whose features are very near."""
    run: list[int] = []
    for n, frame in enumerate(frames):
        if frame.capture.time is not None:
            continue
        beside = run and os.path.dirname(frames[run[-1]].path) == os.path.dirname(frame.path)  # noqa: PTH120
        if not (beside and feature_distance(frames[run[-1]], frame) <= VERY_NEAR):
            if len(run) > 1:
                yield Group("burst", tuple(run))
            run = []
        run.append(n)
    if len(run) > 1:
        yield Group("burst", tuple(run))


class _Run:
    """Frames that were taken one after another. State: how each lies against those before it, and
    between which the camera was turning."""

    def __init__(self, frames: Sequence[Frame], looks: dict[int, Look], run: list[int]) -> None:
        self.frames, self.looks, self.run = frames, looks, run
        self.shifts: dict[tuple[int, int], Shift] = {
            (a, b): shift_between(looks[a], looks[b])
            for at, b in enumerate(run)
            for a in run[max(0, at - _BACK) : at]
        }
        turns = ((a, b) for a, b in pairwise(run) if self._turned(a, b))
        self.turning = {n for pair in turns for n in pair}

    def groups(self) -> list[Group]:
        """Series first; what is left are bursts, or focus stacks."""
        found = [Group("bracket", tuple(part)) for part in self._chains(self.run, self._bracket)]
        for part in self._chains(self._left(found), self._pan):
            if len(part) > 2 and self._moves_on(part):
                found.append(Group("panorama", tuple(part)))
        for part in self._scenes(self._left(found)):
            looks = [self.looks[n] for n in part]
            shifts = [self._shift(a, b) for a, b in pairwise(part)]
            stack = is_focus_stack([self.frames[n] for n in part], looks, shifts)
            found.append(Group("focus stack" if stack else "burst", tuple(part)))
        return found

    def _left(self, found: list[Group]) -> list[int]:
        taken = {n for group in found for n in group.members}
        return [n for n in self.run if n not in taken]

    def _chains(
        self, run: Sequence[int], joined: Callable[[int, int], bool]
    ) -> Iterator[list[int]]:
        """Parts of ``run``, two frames or more, of which each is ``joined`` to the one before."""
        part: list[int] = []
        for n in run:
            if part and not joined(part[-1], n):
                if len(part) > 1:
                    yield part
                part = []
            part.append(n)
        if len(part) > 1:
            yield part

    def _bracket(self, a: int, b: int) -> bool:
        """Whether the exposure differs, of one scene."""
        one, other = self.frames[a].capture, self.frames[b].capture
        differs = any(
            x is not None and y is not None and abs(x - y) >= STOPS
            for x, y in ((one.exposure, other.exposure), (one.bias, other.bias))
        )
        return differs and (self._shift(a, b).likeness >= OVERLAP or self._near(a, b))

    def _pan(self, a: int, b: int) -> bool:
        shift = self._shift(a, b)
        return shift.likeness >= OVERLAP and shift.moved >= PAN

    def _turned(self, a: int, b: int) -> bool:
        """Whether the camera surely turned between two frames, so that likeness says little."""
        shift = self._shift(a, b)
        return shift.likeness >= ALIKE and shift.moved > LARGEST_SHIFT

    def _moves_on(self, part: list[int]) -> bool:
        """Whether every frame shows another part of the scene than all before it."""
        places = [(0.0, 0.0)]
        for a, b in pairwise(part):
            shift = self._shift(a, b)
            down, right = places[-1][0] + shift.down, places[-1][1] + shift.right
            if any(max(abs(down - y), abs(right - x)) < PAN for y, x in places):
                return False
            places.append((down, right))
        return True

    def _scenes(self, run: Sequence[int]) -> Iterator[list[int]]:
        """Parts of ``run``, two frames or more, that show one scene; each in order."""
        scene: dict[int, list[int]] = {}
        for at, n in enumerate(run):
            scene[n] = [n]
            for before in run[max(0, at - _BACK) : at]:
                if scene[before] is not scene[n] and self._near(before, n):
                    scene[before] += scene[n]
                    for moved in scene[n]:
                        scene[moved] = scene[before]
        parts = {id(part): part for part in scene.values()}
        return (sorted(part, key=run.index) for part in parts.values() if len(part) > 1)

    def _near(self, a: int, b: int) -> bool:
        """Whether two frames show one scene from one place, by features or by their detail."""
        shift = self._shift(a, b)
        if shift.likeness >= ALIKE:
            return shift.moved <= LARGEST_SHIFT
        near = feature_distance(self.frames[a], self.frames[b]) <= NEAR
        return near and not (a in self.turning or b in self.turning)

    def _shift(self, a: int, b: int) -> Shift:
        if (a, b) not in self.shifts:
            self.shifts[a, b] = shift_between(self.looks[a], self.looks[b])
        return self.shifts[a, b]
