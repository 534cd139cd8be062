"""Two processes with half of the tiny-batches each have the loss and gradients of one with all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import timm
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from test_loop import Line

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig, ProjectorConfig
from shamisa_cli.pretraining.model import global_order
from shamisa_cli.pretraining.start import plan_start
from shamisa_cli.settings import to_mapping
from shamisa_cli.training.config import OptimizerConfig, TrainingConfig
from shamisa_cli.training.loop import Trainer
from shamisa_cli.training.parallel import (
    Ranks,
    distributed,
    is_first_process,
    join_ranks,
    leave_ranks,
    synchronized,
)

LAYOUT = BatchLayout(tiny_batches=4, views=2, references=2, groups=2, levels=2)
CONFIG = PretrainConfig(
    backbone="test_convnext",
    init="random",
    batch=LAYOUT,
    projector=ProjectorConfig(hidden=32, out=16),
)


def loss_and_gradients(ranks: Ranks) -> dict[str, torch.Tensor]:
    """One step on crops that are a pure function of the node, on this rank's share of them."""
    crops = torch.rand(LAYOUT.n, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    own = crops[global_order(LAYOUT, ranks.world).chunk(ranks.world)[ranks.rank]]
    model = plan_start(to_mapping(CONFIG), Path("nowhere"), print, preset="shamisa").model
    model.train()
    shared = distributed(model, ranks)
    loss = shared(own, step_metadata(CONFIG, 0), ranks)
    loss.total.backward()
    seen = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.total.detach(), **seen}


def work(rank: int, world: int, out: str) -> None:
    """One process of the group, as ``torchrun`` would start it."""
    group = f"file://{out}/group"
    patience = timedelta(minutes=2)  # with a process that never comes
    options = {"rank": rank, "world_size": world, "timeout": patience}
    dist.init_process_group("gloo", init_method=group, **options)
    ranks = Ranks(rank, world)
    torch.save((loss_and_gradients(ranks), weights(ranks, Path(out))), Path(out) / f"{rank}.pt")
    leave_ranks()


def weights(ranks: Ranks, out: Path) -> torch.Tensor:
    """Those of a whole run of a small task, each of its steps over two mini-batches."""
    task = Line(ranks)
    config = TrainingConfig(steps=3, accumulate=2, optimizer=OptimizerConfig(lr=0.5))
    Trainer(task, config, out, ranks).run()
    return task.model.weight.detach()


@pytest.mark.filterwarnings("ignore:Grad strides do not match")
def test_two_processes_make_the_step_and_the_run_of_one(tmp_path: Path) -> None:
    alone = loss_and_gradients(Ranks())
    assert sum(float(g.abs().sum()) > 0 for g in alone.values()) > len(alone) / 2
    expected = weights(Ranks(), tmp_path / "alone")
    assert not torch.allclose(expected, Line().model.weight, atol=1e-2)
    other = mp.get_context("spawn").Process(target=work, args=(1, 2, str(tmp_path)))
    other.start()
    work(0, 2, str(tmp_path))
    other.join()
    assert other.exitcode == 0
    for rank in range(2):
        together, trained = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(trained, expected, rtol=1e-4, atol=1e-6)
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_each_rank_has_the_crops_of_its_share(world: int) -> None:
    order = global_order(LAYOUT, world)
    for rank, own in enumerate(LAYOUT.coordinates[order, 0].chunk(world)):
        assert set(own.tolist()) == set(Ranks(rank, world).share(LAYOUT.tiny_batches))
    assert sorted(order.tolist()) == list(range(LAYOUT.n))


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 3"):
        Ranks(0, 3).share(4)


@pytest.mark.parametrize("own", [0, 1])
def test_every_process_has_a_cuda_device_of_its_own(
    monkeypatch: pytest.MonkeyPatch, own: int
) -> None:
    for name, value in (("WORLD_SIZE", 2), ("RANK", own), ("LOCAL_RANK", own)):
        monkeypatch.setenv(name, str(value))
    taken: list[object] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(dist, "init_process_group", taken.append)
    monkeypatch.setattr(dist, "get_rank", lambda: own)
    assert join_ranks("cuda") == Ranks(own, 2)
    assert taken == [own, "nccl"]
    assert is_first_process() == (own == 0)


def test_more_processes_than_cuda_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="--nproc-per-node=1"):
        join_ranks("cuda")


def test_synchronized_batch_norm_keeps_the_activations_inside_it() -> None:
    crops = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = timm.create_model("mobilenetv4_conv_small_035", num_classes=0)
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics below are those of one batch
    with torch.no_grad():
        plain.train()(crops)
        expected = plain.eval()(crops)
        made = synchronized(plain)
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in made.modules())
        assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in made.modules())
        torch.testing.assert_close(made(crops), expected)


def test_alone_there_is_no_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join_ranks("cpu") == Ranks()
    assert not dist.is_initialized()
