"""The graph as a file, ONNX or torch.export: written, read back, compared, then put in place.

Sources: https://onnx.ai/onnx, https://docs.pytorch.org/docs/stable/export.html.
"""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.errors import ShamisaError, UsageError, first_line
from shamisa_cli.files import MARK, writing
from shamisa_cli.models.export_graph import OUTPUTS, ScoreGraph
from shamisa_cli.models.head import HeadInfo
from shamisa_cli.settings import to_mapping

TOLERANCE = 1e-2
"""The largest difference of a score (0-100) or raw prediction between the graph and torch. Sums in
another order differ by 0.004 where thousands of features of whole photos are weighed."""

EXTERNAL_BYTES = 1_900_000_000
"""Weights above this lie in a file beside the ONNX file, which can hold 2 GB."""

FACTS = "shamisa"
"""Key under which a file says what it is, as JSON."""

Run = Callable[[Tensor], Sequence[Any]]
"""The graph's input to (score, raw)."""


def trace(graph: ScoreGraph, example: Tensor) -> ExportedProgram:
    """The graph by torch.export, for any number of photos, and of places or whole photos' sizes.

    Parameters
    ----------
    example : of at least two photos, at two places (one of either would be taken for fixed).
    """
    dynamic: dict[int, Any] = {0: Dim("photos"), 1: Dim("places")}
    if graph.whole:
        dynamic = {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}  # a backbone has a least size of its own
    with _explained("torch.export cannot follow this model"):
        with torch.no_grad():
            graph(example)  # what is computed once and kept becomes a constant of the graph
        return torch.export.export(graph, (example,), dynamic_shapes=(dynamic,))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Raise as one ShamisaError what compilers and writers raise: dozens of kinds."""
    try:
        yield
    except (OSError, ShamisaError):
        raise
    except Exception as error:
        raise ShamisaError(f"{what}: {first_line(error)}") from error


def describe(model: str, head: HeadInfo, protocol: ViewingProtocol) -> dict[str, Any]:
    """What a file says of itself, so that its input can be made without this program.

    ``model`` is name and fingerprint, as in the rows of ``shamisa score``.
    """
    crops = "crops: uint8 RGB (photos, places, scales, 3, crop, crop)"
    whole = "photos: uint8 RGB (photos, 3, height, width)"
    return {
        "software": MARK,
        "model": model,
        "head": to_mapping(head),
        "protocol": to_mapping(protocol),
        "input": whole if protocol.crops == "whole" else crops,
        "output": "score: 0-100, higher is better; raw: in the units of the head's dataset",
    }


def check_onnx_installed() -> None:
    """Refuse to export to ONNX without its packages."""
    needed = ("onnx", "onnxscript", "onnxruntime")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f'an ONNX file needs {", ".join(missing)}: pip install "shamisa[export]"')


def save_onnx(
    program: ExportedProgram, input_name: str, facts: Mapping[str, Any], path: Path
) -> Run:
    """Write an ONNX file, weights inside unless they are too large, and open it in onnxruntime."""
    import onnxruntime

    names: dict[str, Any] = {"input_names": [input_name], "output_names": list(OUTPUTS)}
    with _explained("this model cannot be converted to ONNX"):
        made = torch.onnx.export(program, dynamo=True, verbose=False, **names)
    assert made is not None  # with dynamo it is a program
    made.model.metadata_props[FACTS] = json.dumps(facts)
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    made.save(str(path), external_data=size > EXTERNAL_BYTES)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(list(OUTPUTS), {input_name: pixels.numpy()})


def save_torch_export(program: ExportedProgram, facts: Mapping[str, Any], path: Path) -> Run:
    """Write a .pt2 file, and load it back."""
    content = io.BytesIO()  # torch's own writer ends the whole process where there is no room
    torch.export.save(program, content, extra_files={f"{FACTS}.json": json.dumps(facts)})
    path.write_bytes(content.getbuffer())
    return torch.export.load(path).module()


def place_verified(
    path: Path, save: Callable[[Path], Run], graph: ScoreGraph, inputs: Sequence[Tensor]
) -> float:
    """Write ``path`` by ``save``, if what was written computes what ``graph`` does.

    Parameters
    ----------
    inputs : what is compared.

    Returns
    -------
    The largest difference of any output, at most :data:`TOLERANCE`.

    Raises
    ------
    ShamisaError
        if it differs by more, or cannot be written; then no file is there, nor half of one.
    """
    with writing(path), TemporaryDirectory(prefix=".shamisa-", dir=path.parent) as folder:
        with _explained(f"{path.name} cannot be written and read back"):
            run = save(Path(folder) / path.name)
        difference = _difference(run, graph, inputs)
        if not difference <= TOLERANCE:
            raise ShamisaError(
                f"{path}: not written, since it differs from torch by {difference:.2g}, more "
                f"than {TOLERANCE:g}"
            )
        _place(Path(folder), path)
    return difference


def _place(folder: Path, path: Path) -> None:
    """Move ``path.name`` and its weights, if they lie beside, from ``folder`` to beside ``path``.

    What is in the way of the weights is theirs only if the file that they belong to is there.
    """
    made = {file: path.parent / file.name for file in folder.iterdir()}
    for place in made.values():
        if place.exists() and not path.exists():
            raise UsageError(f"{place}: is in the way of the weights of {path.name}; move it away")
    for file, place in made.items():
        file.replace(place)


@torch.inference_mode()
def _difference(run: Run, graph: ScoreGraph, inputs: Sequence[Tensor]) -> float:
    """The largest over the inputs, outputs and photos; nan if any is."""
    differences = [
        (torch.as_tensor(got) - wanted).abs().max()
        for pixels in inputs
        for got, wanted in zip(run(pixels), graph(pixels), strict=True)
    ]
    return float(torch.stack(differences).max())
