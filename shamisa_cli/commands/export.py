"""``shamisa export``: a model and a head as one graph, for onnxruntime or torch.export."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from shamisa_cli.commands.completion import complete_model
from shamisa_cli.commands.shared import FILE, check_files, head_option, overwrite_option


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.option("--onnx", type=FILE, help="Write an ONNX file; needs: pip install 'shamisa[export]'")
@click.option("--torch-export", type=FILE, help="Write a torch.export file (.pt2).")
@head_option
@overwrite_option
def export(
    model: str, onnx: Path | None, torch_export: Path | None, head: str | None, overwrite: bool
) -> None:
    """Write encoder and head of MODEL as one graph: pixels in, scores from 0 to 100 out.

    MODEL is a name or a folder, as for --model elsewhere. The file is checked after writing: its
    scores must equal torch's to within 0.01. docs/export.md says how to make its input.

    \b
    shamisa export default --onnx default.onnx
    shamisa export ./runs/mine --head koniq --onnx mine.onnx --torch-export mine.pt2
    """
    from shamisa_cli.models.export import (
        describe,
        place_verified,
        save_onnx,
        save_torch_export,
        trace,
    )
    from shamisa_cli.models.export_graph import make_graph, sample_inputs
    from shamisa_cli.scoring import load

    _check_files(onnx, torch_export, overwrite)
    scorer = load(model, head, device="cpu", precision="fp32")
    graph = make_graph(scorer.extractor, scorer.head)
    inputs = sample_inputs(scorer.extractor)
    program = trace(graph, inputs[0][:2])
    facts = describe(scorer.model, scorer.head.info, scorer.extractor.protocol)
    click.echo(f"model {scorer.model}, head {scorer.head.info.name}")
    savers = (
        (onnx, partial(save_onnx, program, graph.input_name, facts)),
        (torch_export, partial(save_torch_export, program, facts)),
    )
    for path, save in savers:
        if path is not None:
            difference = place_verified(path, save, graph, inputs)
            click.echo(f"{path}: written; differs from torch by at most {difference:.1g}")


def _check_files(onnx: Path | None, torch_export: Path | None, overwrite: bool) -> None:
    """Refuse what cannot be written, before anything is computed."""
    from shamisa_cli.errors import UsageError
    from shamisa_cli.models.export import check_onnx_installed

    if onnx is None and torch_export is None:
        raise UsageError("nothing to make: give --onnx FILE, --torch-export FILE, or both")
    check_files(onnx, torch_export, overwrite=overwrite)
    if torch_export and torch_export.suffix != ".pt2":
        raise UsageError(f"{torch_export}: torch.export files end in .pt2")
    if onnx:
        check_onnx_installed()
