"""What a gMAD competition shows: a table of the pairs, and a sheet of pictures a direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from shamisa_cli.errors import PhotoError
from shamisa_cli.evaluation.measures import Array
from shamisa_cli.evaluation.report import Cells
from shamisa_cli.experiments.gmad import Level, Pair
from shamisa_cli.experiments.gmad_pool import Picture, Pool
from shamisa_cli.imaging.resample import resize, scaled_size
from shamisa_cli.imaging.sheet import Row, contact_sheet
from shamisa_cli.ladders.extract import damage_of
from shamisa_cli.spelling import escape_name

LARGEST = 768
"""px; a picture is shrunk until neither side is longer, for the sheet alone."""

COLUMNS = [
    *("attacker", "defender", "level", "low", "high", "pictures", "gap", "deviations", "reference"),
    *("better", "better_distortion", "better_level", "better_attacker", "better_defender"),
    *("worse", "worse_distortion", "worse_level", "worse_attacker", "worse_defender"),
    *("better_mdsi", "worse_mdsi"),
]
"""Of pairs.csv, a line a level."""


@dataclass(frozen=True, eq=False)
class Attack:
    """One direction of the competition.

    Attributes
    ----------
    attacker, defender : names.
    attacks, defends : (n,) scores of the pictures of the pool.
    pictures : n pictures.
    levels : with the pairs.
    damage : MDSI of the better and the worse picture of each pair whose pictures show one photo,
        by the level's number.
    """

    attacker: str
    defender: str
    attacks: Array
    defends: Array
    pictures: Sequence[Picture]
    levels: Sequence[Level]
    damage: dict[int, tuple[float, float]]

    @property
    def mean_deviations(self) -> float:
        """The mean gap over the pairs, in standard deviations; NaN without a pair."""
        found = [level.pair.deviations for level in self.levels if level.pair]
        return sum(found) / len(found) if found else math.nan


def damage_of_pairs(
    pool: Pool, pictures: Sequence[Picture], levels: Sequence[Level]
) -> dict[int, tuple[float, float]]:
    """MDSI of the pictures of each pair from the photo that both show, by the level's number.

    A proxy that saw the reference photo, and no human. Pairs of two photos are left out, and so are
    pictures that can no longer be read, or have another size than the photo.
    """
    found = {}
    for level in levels:
        if level.pair is None:
            continue
        both = [pictures[at] for at in (level.pair.better, level.pair.worse)]
        if both[0].reference is None or both[0].reference != both[1].reference:
            continue
        try:
            photo = pool.see_reference(both[0])
            better, worse = damage_of(photo, [pool.see(each) for each in both]).tolist()
        except PhotoError:
            continue
        if math.isfinite(better) and math.isfinite(worse):
            found[level.number] = better, worse
    return found


def pair_lines(attack: Attack) -> list[list[object]]:
    """Lines of pairs.csv, one a level, in the order of :data:`COLUMNS`."""
    return [_line(attack, level) for level in attack.levels]


def _line(attack: Attack, level: Level) -> list[object]:
    facts = [attack.attacker, attack.defender, level.number, level.low, level.high, level.pictures]
    if level.pair is None:
        return [*facts, *[""] * (len(COLUMNS) - len(facts))]
    pair, values = level.pair, []
    both = [attack.pictures[at] for at in (pair.better, pair.worse)]
    for at, picture in zip((pair.better, pair.worse), both, strict=True):
        made = [picture.distortion, picture.level] if picture.distortion else [picture.done, ""]
        scores = [float(attack.attacks[at]), float(attack.defends[at])]
        values += [escape_name(str(picture.path)), *made, *scores]
    of_one = both[0].reference is not None and both[0].reference == both[1].reference
    reference = escape_name(str(both[0].reference)) if of_one else ""
    damage = attack.damage.get(level.number, ("", ""))
    return [*facts, pair.gap, pair.deviations, reference, *values, *damage]


def attack_cells(attacks: Sequence[Attack]) -> Cells:
    """The table for the terminal: a line a level."""
    header = ["attacker", "defender", "level", "its scores", "pictures", "gap", "deviations"]
    cells = [header]
    for attack in attacks:
        for level in attack.levels:
            pair = level.pair
            gap = [f"{pair.gap:.1f}", f"{pair.deviations:.2f}"] if pair else ["no pair", ""]
            scores = f"{level.low:.1f} to {level.high:.1f}"
            facts = [attack.attacker, attack.defender, str(level.number), scores]
            cells.append([*facts, str(level.pictures), *gap])
    return cells


def summary_lines(attacks: Sequence[Attack]) -> list[str]:
    """How strong each attack is, and what MDSI says of its pairs; who is right, people must say."""
    lines = []
    for attack in attacks:
        pairs = sum(level.pair is not None for level in attack.levels)
        line = f"{attack.attacker} attacks {attack.defender}: {pairs} pairs"
        if pairs:
            line += f", on average {attack.mean_deviations:.2f} standard deviations apart"
        if attack.damage:
            agreed = sum(better < worse for better, worse in attack.damage.values())
            line += (
                f"; MDSI, a proxy, sides with the attacker's order in {agreed} of the "
                f"{len(attack.damage)} that show one photo"
            )
        lines.append(line)
    return lines


def draw_attack(attack: Attack, pool: Pool) -> Image.Image:
    """The sheet: for each level the pair, the picture that the attacker prefers on the left.

    Pictures are at 1:1 unless a side is longer than :data:`LARGEST`. One that can no longer be read
    is a gray field.
    """
    title = (
        f"{attack.attacker} attacks {attack.defender}: in each pair {attack.defender} (defender) "
        f"calls both pictures equal, {attack.attacker} (attacker) calls the left one better. "
        "Who is right?"
    )
    rows = [Row(title, [], [])]
    for level in attack.levels:
        scores = f"{attack.defender} from {level.low:.1f} to {level.high:.1f}"
        name = f"Level {level.number} of {len(attack.levels)}, {scores}"
        if level.pair is None:
            rows.append(Row(f"{name}: no pair among {level.pictures} pictures", [], []))
            continue
        gap = f"{level.pair.deviations:.1f} standard deviations of {attack.attacker} apart"
        rows.append(Row(f"{name}: {gap}", *_shown(attack, level, level.pair, pool)))
    return contact_sheet(rows, 2)


def _shown(
    attack: Attack, level: Level, pair: Pair, pool: Pool
) -> tuple[list[Image.Image], list[str]]:
    """The two pictures of a pair, and the scores under them."""
    pictures, captions = [], []
    damage = attack.damage.get(level.number)
    for k, at in enumerate((pair.better, pair.worse)):
        picture = attack.pictures[at]
        image, note = _seen(pool, picture)
        pictures.append(image)
        made = f"{picture.path.name}: {picture.done}" if picture.done else picture.path.name
        caption = (
            f"{attack.attacker} (attacker) {attack.attacks[at]:.1f}\n"
            f"{attack.defender} (defender) {attack.defends[at]:.1f}\n{made}{note}"
        )
        if damage:
            caption += f"\nMDSI {damage[k]:.3f} (a proxy with the reference; 0 is no damage)"
        captions.append(caption)
    return pictures, captions


def _seen(pool: Pool, picture: Picture) -> tuple[Image.Image, str]:
    """A picture as the sheet shows it, and a note if that is not 1:1."""
    try:
        image = pool.see(picture)
    except PhotoError as error:
        return Image.new("RGB", (320, 240), (128, 128, 128)), f" ({error})"
    factor = min(1.0, LARGEST / max(image.size))
    shown = resize(image, scaled_size(image.size, factor))
    return shown, "" if factor == 1 else f", shown at {factor:.0%}"
