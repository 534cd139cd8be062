"""What a pre-training step costs, measured in one run on this machine.

    python benchmarks/pretrain.py --photos DIR [--backbone resnet50] [--crop 224] [--seconds 20]

Prints crops per second of the model alone, of the engine alone and of both together, the shares of
a step that graphs and loss take and that the dynamics take (a measurement, spread over the steps to
the next), and how crops per second and memory grow with the tiny-batches.
"""

from __future__ import annotations

import argparse
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from shamisa_cli.encoders.precision import choose_device
from shamisa_cli.graphs.source import engine_inputs
from shamisa_cli.imaging.pool import PhotoPool
from shamisa_cli.pretraining.batches import MiniBatch, ReferenceBatches, distorted
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.dynamics import gradient_norms, measure
from shamisa_cli.pretraining.objective import ObjectiveInputs
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.pretraining.start import plan_start
from shamisa_cli.pretraining.task import Pretraining
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.loop import Trainer


def per_second(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Calls per second of ``work`` over at least ``seconds``, after one call to warm up."""
    work()
    _wait(device)
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        work()
        calls += 1
        _wait(device)
    return calls / (time.perf_counter() - started)


def model_alone(trainer: Trainer, batch: MiniBatch) -> Callable[[], object]:
    """Steps on one mini-batch that is there already."""

    def feed() -> Iterator[MiniBatch]:
        while True:
            yield batch

    forever = feed()
    return lambda: trainer.train_step(forever)


def engine_alone(task: Pretraining) -> Callable[[], object]:
    """Mini-batches, references included, made where the run makes them, and thrown away."""
    on_device = task.device.type == "cuda"
    share = range(task.config.batch.tiny_batches)
    dataset = ReferenceBatches(task.pool, task.config, share, distort=not on_device)
    numbers = iter(range(10**9))

    def make() -> None:
        batch = dataset[(next(numbers), int(task.config.crop))]
        if on_device:
            distorted(replace(batch, crops=batch.crops.to(task.device)), task.config)

    return make


def graphs_and_loss(task: Pretraining, batch: MiniBatch) -> Callable[[], object]:
    """Projector, graphs and objective, forward and backward, on representations that are there."""
    config, device = task.config, task.device
    generator = torch.Generator().manual_seed(0)
    size = task.model.encoder.feature_size
    h = torch.nn.functional.normalize(torch.randn(config.batch.n, size, generator=generator))
    h = h.to(device).requires_grad_()

    def step() -> None:
        z = task.model.projector(h)
        inputs = engine_inputs(config.batch, batch.metadata, h.detach(), z.detach())
        combined = task.model.graphs(inputs)
        auxiliary = task.model.graphs.auxiliary_losses(h, inputs)
        graph, repulsion = combined.graph, combined.repulsion
        seen = ObjectiveInputs(z, inputs, graph, repulsion, auxiliary, graph)
        task.model.objective(seen).total.backward()

    return step


def dynamics(task: Pretraining, batch: MiniBatch) -> Callable[[], object]:
    """A measurement of the dynamics, on representations and a loss that are there."""
    model, layout = task.model, task.config.batch
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(layout.n, model.encoder.feature_size, generator=generator)
    h = torch.nn.functional.normalize(h).to(task.device).requires_grad_()
    z = model.projector(h)
    inputs = engine_inputs(layout, batch.metadata, h.detach(), z.detach())
    combined = model.graphs(inputs)
    auxiliary = model.graphs.auxiliary_losses(h, inputs)
    seen = ObjectiveInputs(z, inputs, combined.graph, combined.repulsion, auxiliary, combined.graph)
    loss = model.objective(seen)
    graphs = dict(zip(combined.names, combined.graphs, strict=True))

    def step() -> None:
        gradient_norms(loss.total, loss.terms, z)
        measure(h, z, graphs)

    return step


def prepared(config: PretrainConfig, pool: PhotoPool, device: torch.device, out: Path) -> Trainer:
    """A run that has not begun."""
    start = plan_start(to_mapping(config), out, print, preset="scratch")
    task = Pretraining(start.config, start.model, pool, device)
    return Trainer(task, start.config, out, save_every=10**9)


def together(config: PretrainConfig, pool: PhotoPool, device: torch.device, steps: int) -> float:
    """Crops per second of a run, the first two steps (start of the feed) left out."""
    with tempfile.TemporaryDirectory() as out:
        trainer = prepared(replace(config, steps=steps + 2), pool, device, Path(out))
        times: list[float] = []
        trainer.run(lambda record: times.append(time.perf_counter()))
    return config.batch.n * steps / (times[-1] - times[1])


def peak_memory(device: torch.device) -> float:
    """GB: of the device on CUDA, else the largest that this process has ever been."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--crop", default="224")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiny-batches", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--steps", type=int, default=6)
    given = parser.parse_args()
    device = choose_device(given.device)
    pool = PhotoPool(given.photos)
    config = resolve(
        "scratch",
        options={
            "backbone": given.backbone,
            "crop": given.crop,
            "precision": given.precision,
            "steps": 1,
        },
    )
    print(
        f"{given.backbone}, {given.crop} px, {device.type}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {platform.processor() or platform.machine()}"
    )
    head = ("tiny-batches", "crops", "model/s", "engine/s", "together/s", "graphs+loss", "dynamics")
    head += ("peak GB",)
    print("".join(f"{text:>13}" for text in head))
    for count in given.tiny_batches:
        one = replace(config, batch=replace(config.batch, tiny_batches=count))
        with tempfile.TemporaryDirectory() as out:
            trainer = prepared(one, pool, device, Path(out))
            task: Pretraining = trainer.task
            references = ReferenceBatches(pool, one, range(count), distort=device.type != "cuda")
            batch = replace(references[(0, int(given.crop))], number=1)  # which is not measured
            n = one.batch.n
            model = per_second(model_alone(trainer, batch), given.seconds, device)
            engine = per_second(engine_alone(task), given.seconds, device)
            graphs = per_second(graphs_and_loss(task, batch), given.seconds / 4, device)
            measured = per_second(dynamics(task, batch), given.seconds / 4, device)
            measured *= one.dynamics_every
        both = together(one, pool, device, given.steps)
        print(
            f"{count:>13}{n:>13}{model * n:>13.1f}{engine * n:>13.1f}{both:>13.1f}"
            f"{model / graphs:>12.1%} {model / measured:>12.2%} {peak_memory(device):>12.2f}"
        )


if __name__ == "__main__":
    main()
