"""The readings that explain a model's scores, on disk: explain.safetensors and explain.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.explaining.kinds import KindHeads
from shamisa_cli.explaining.places import PlaceHead
from shamisa_cli.explaining.reading import Readable
from shamisa_cli.explaining.tones import TONES
from shamisa_cli.explaining.traces import TRACES
from shamisa_cli.models.config import ModelConfig, load_stored
from shamisa_cli.models.names import EXPLAIN_FILES
from shamisa_cli.models.store import encoder_digest
from shamisa_cli.models.weights import read_tensors, write_files
from shamisa_cli.settings import read_json_object, to_mapping


@dataclass(frozen=True)
class ExplainInfo:
    """What the readings were fitted on.

    Attributes
    ----------
    kinds : names of the engine's distortions, one for each reading.
    threshold : probability from which a kind is named.
    head : the head whose scores the map tells.
    encoder : digest of the encoder whose features they read.
    photos : good photos that they were fitted on.
    damaged : damaged copies of these.
    metrics : figures on photos that took no part in the fit.
    ends : how many of the model's ends they read; 0 is all.
    """

    kinds: tuple[str, ...]
    threshold: float
    head: str
    encoder: str
    photos: int
    damaged: int
    metrics: dict[str, float] = field(default_factory=dict)
    ends: int = 0


@dataclass(frozen=True, eq=False)
class ExplainHeads:
    """Everything that explains a model's scores."""

    kinds: KindHeads
    places: PlaceHead
    info: ExplainInfo


def save_explain_heads(folder: Path, heads: ExplainHeads) -> Path:
    """Write both files into a model folder; returns the json's path. Weights are float16."""
    kinds, places = heads.kinds, heads.places
    tensors = {
        "detect": kinds.detect.half(),
        "severity": kinds.severity.half(),
        "places/center": places.center,
        "places/deviation": places.deviation,
        "places/hidden": places.hidden.half(),
        "places/output": places.output,
        "places/base": torch.tensor(places.base),
    }
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    info_file, tensors_file = (folder / name for name in EXPLAIN_FILES)
    info = json.dumps(to_mapping(heads.info), indent=2, allow_nan=False) + "\n"
    write_files({tensors_file: save(tensors), info_file: info.encode()})
    return info_file


def load_explain_heads(folder: Path, config: ModelConfig, head: str) -> ExplainHeads:
    """The readings of a model that was loaded.

    Raises
    ------
    UsageError
        if the model has none, or they tell the scores of another head than ``head``.
    WeightsError
        if they are damaged, or were fitted to other weights.

    That they fit what the model gives is for :func:`check_fits`.
    """
    info_file, tensors_file = (folder / name for name in EXPLAIN_FILES)
    if not info_file.is_file():
        raise UsageError(
            f"{folder}: this model cannot explain its scores yet; teach it with: "
            f"shamisa fit-explain PHOTOS --model {folder}"
        )
    info = load_stored(ExplainInfo, read_json_object(info_file, "explain"), str(info_file))
    if info.encoder != encoder_digest(folder, config):
        raise WeightsError(
            f"{info_file}: was fitted before the model's weights changed; fit it again with: "
            f"shamisa fit-explain PHOTOS --model {folder}"
        )
    if info.head != head:
        raise UsageError(
            f"{folder}: explains the scores of head {info.head!r} only; leave out head {head!r}"
        )
    tensors = read_tensors(tensors_file)
    return ExplainHeads(*_checked(tensors, info, tensors_file), info)


def _checked(
    tensors: dict[str, Tensor], info: ExplainInfo, path: Path
) -> tuple[KindHeads, PlaceHead]:
    """The heads in ``tensors``, or a WeightsError: they are damaged, or do not fit each other."""
    try:
        detect, severity = tensors["detect"].float(), tensors["severity"].float()
        kinds = KindHeads(info.kinds, detect, severity, info.threshold)
        parts = {
            name: tensors[f"places/{name}"].float()
            for name in ("center", "deviation", "hidden", "output")
        }
        places = PlaceHead(**parts, base=float(tensors["places/base"]))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path}: does not fit {path.stem}.json: {error}") from error
    if not all(bool(torch.isfinite(each).all()) for each in tensors.values()):
        raise WeightsError(f"{path}: damaged: not all values are finite; get the model again")
    return kinds, places


def check_fits(heads: ExplainHeads, readable: Readable, folder: Path) -> None:
    """A WeightsError unless the readings are as long as what they read of the model."""
    numbers = len(readable.maps) + TONES + TRACES
    if heads.kinds.detect.shape[1] - 1 != numbers or len(heads.places.center) != readable.cells:
        raise WeightsError(
            f"{folder / EXPLAIN_FILES[1]}: not of this model, or of an earlier shamisa; fit it "
            f"again with: shamisa fit-explain PHOTOS --model {folder} --overwrite"
        )
