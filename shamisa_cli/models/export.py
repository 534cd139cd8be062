"""The graph as a file, ONNX or torch.export: written, read back, compared, then put in place.

Sources: https://onnx.ai/onnx, https://docs.pytorch.org/docs/stable/export.html.
"""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import ShamisaError, UsageError, first_line, system_reason
from shamisa_cli.models.export_graph import INPUT, OUTPUTS, ScoreGraph
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.settings import to_mapping

TOLERANCE = 1e-3
"""The largest difference of a score (0-100) or raw prediction between the graph and torch."""

EXTERNAL_BYTES = 1_900_000_000
"""Weights above this lie in a file beside the ONNX file, which can hold 2 GB."""

FACTS = "shamisa"
"""Key under which a file says what it is, as JSON."""

Run = Callable[[Tensor], Sequence[Any]]
"""Crops to (score, raw)."""


def trace(graph: ScoreGraph, example: Tensor) -> ExportedProgram:
    """The graph by torch.export, for any number of photos and places.

    Parameters
    ----------
    example : crops of at least two photos at two places (one of either would be taken for fixed).

    Raises
    ------
    ShamisaError
        for a model that torch.export cannot follow.
    """
    dynamic = {0: Dim("photos"), 1: Dim("places")}
    try:
        with torch.no_grad():
            graph(example)  # what is computed once and kept becomes a constant of the graph
        return torch.export.export(graph, (example,), dynamic_shapes=(dynamic,))
    except Exception as error:  # the compiler raises dozens of kinds
        raise _not_possible("torch.export cannot follow this model", error) from error


def describe(model: str, head: HeadInfo, protocol: ViewingProtocol) -> dict[str, Any]:
    """What a file says of itself, so that its crops can be made without this program.

    ``model`` is name and fingerprint, as in the rows of ``shamisa score``.
    """
    return {
        "model": model,
        "head": to_mapping(head),
        "protocol": to_mapping(protocol),
        "input": "crops: uint8 RGB (photos, places, scales, 3, crop, crop)",
        "output": "score: 0-100, higher is better; raw: in the units of the head's dataset",
    }


def check_onnx_installed() -> None:
    """Refuse to export to ONNX without its packages."""
    needed = ("onnx", "onnxscript", "onnxruntime")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f'an ONNX file needs {", ".join(missing)}: pip install "shamisa[export]"')


def save_onnx(program: ExportedProgram, facts: Mapping[str, Any], path: Path) -> Run:
    """Write an ONNX file, weights inside unless they are too large, and open it in onnxruntime."""
    import onnxruntime

    made = _to_onnx(program)
    made.model.metadata_props[FACTS] = json.dumps(facts)
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    made.save(str(path), external_data=size > EXTERNAL_BYTES)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda crops: session.run(list(OUTPUTS), {INPUT: crops.numpy()})


def _to_onnx(program: ExportedProgram) -> torch.onnx.ONNXProgram:
    try:
        made = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=list(OUTPUTS), verbose=False
        )
    except Exception as error:  # so does the converter
        raise _not_possible("this model cannot be converted to ONNX", error) from error
    if made is None:
        raise ShamisaError("torch.onnx made no program of this model")
    return made


def _not_possible(what: str, error: Exception) -> ShamisaError:
    return ShamisaError(f"{what}: {first_line(error)}")


def save_torch_export(program: ExportedProgram, facts: Mapping[str, Any], path: Path) -> Run:
    """Write a .pt2 file, and load it back."""
    content = io.BytesIO()  # torch's own writer ends the whole process where there is no room
    torch.export.save(program, content, extra_files={f"{FACTS}.json": json.dumps(facts)})
    path.write_bytes(content.getbuffer())
    return torch.export.load(path).module()


def place_verified(
    path: Path, save: Callable[[Path], Run], graph: ScoreGraph, crops: Tensor
) -> float:
    """Write ``path`` by ``save``, if what was written computes what ``graph`` does.

    Parameters
    ----------
    crops : (N, K, S, 3, side, side) uint8, what is compared; all of them, and the first place of
        the first photo alone.

    Returns
    -------
    The largest difference of any output, at most :data:`TOLERANCE`.

    Raises
    ------
    ShamisaError
        if it differs by more, or cannot be written; then no file is there, nor half of one.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".shamisa-", dir=path.parent) as folder:
            run = _saved(save, Path(folder) / path.name)
            difference = _difference(run, graph, (crops, crops[:1, :1]))
            if not difference <= TOLERANCE:
                raise ShamisaError(
                    f"{path}: not written, since it differs from torch by {difference:.2g}, more "
                    f"than {TOLERANCE:g}"
                )
            for file in Path(folder).iterdir():
                file.replace(path.parent / file.name)
    except OSError as error:
        raise ShamisaError(f"{path}: cannot be written: {system_reason(error)}") from error
    return difference


def _saved(save: Callable[[Path], Run], path: Path) -> Run:
    try:
        return save(path)
    except (OSError, ShamisaError):
        raise
    except Exception as error:  # torch's writer and onnxruntime have kinds of their own
        raise _not_possible(f"{path.name} cannot be written and read back", error) from error


@torch.inference_mode()
def _difference(run: Run, graph: ScoreGraph, inputs: Sequence[Tensor]) -> float:
    """The largest over the inputs, outputs and photos; nan if any is."""
    differences = [
        (torch.as_tensor(got) - wanted).abs().max()
        for crops in inputs
        for got, wanted in zip(run(crops), graph(crops), strict=True)
    ]
    return float(torch.stack(differences).max())
