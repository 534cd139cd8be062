"""Models on disk: a folder with config.json, model.safetensors (fp16) and heads/.

``weights/<name>/`` of the source tree is ``shamisa_cli/bundled/<name>/`` in the wheel.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from shamisa_cli.encoders.config import ModelConfig
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import WeightsError, near_matches

DEFAULT_MODEL = "fast"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def bundled_folder() -> Path:
    """Where the bundled models are: in the wheel, or ``weights/`` beside an editable install."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "bundled"
    return inside if inside.is_dir() else package.parent / "weights"


def bundled_models() -> list[str]:
    """Names of the bundled models."""
    return sorted(p.parent.name for p in bundled_folder().glob(f"*/{CONFIG_FILE}"))


def locate_model(name: str) -> Path:
    """The folder of a model: ``default``, a bundled name, or the path of a local folder."""
    asked = DEFAULT_MODEL if name == "default" else name
    bundled = bundled_folder() / asked
    if asked in bundled_models():
        return bundled
    folder = Path(name).expanduser()
    if (folder / CONFIG_FILE).is_file():
        return folder
    known = ["default", *bundled_models()]
    if folder.is_dir():
        raise WeightsError(f"{folder}: no {CONFIG_FILE} in this folder, so it holds no model")
    near = near_matches(name, known)
    guess = f" Did you mean {' or '.join(near)}?" if near else f" Bundled: {', '.join(known)}."
    raise WeightsError(f"unknown model {name!r}: neither bundled nor a folder.{guess}")


def load_encoder(folder: Path) -> tuple[Encoder, ModelConfig]:
    """The encoder of a model folder, in float32 and eval mode, and its config.

    Raises
    ------
    WeightsError
        if a file is missing, is not safetensors, or does not fit the backbone.
    """
    config = ModelConfig.load(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error
    with torch.random.fork_rng(devices=[]):  # timm draws weights, which are then replaced
        encoder = Encoder.from_name(config.backbone, config.preprocessing, config.pooling)
    try:
        encoder.backbone.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"{path}: does not fit backbone {config.backbone}: {first}") from error
    if encoder.feature_size != config.feature_size:
        raise WeightsError(
            f"{folder}: config.json says {config.feature_size} features, "
            f"{config.backbone} has {encoder.feature_size}"
        )
    return encoder.eval(), config


def save_encoder(folder: Path, encoder: Encoder, config: ModelConfig) -> None:
    """Write config.json and model.safetensors; floating-point weights are stored as fp16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        key: (value.to(torch.float16) if value.is_floating_point() else value).cpu().contiguous()
        for key, value in encoder.backbone.state_dict().items()
    }
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config.save(folder / CONFIG_FILE)
