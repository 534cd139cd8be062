"""What Ray and Dask share, on a cluster of our own that does one task after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shamisa_cli.engines import worker
from shamisa_cli.engines.cluster import run_on
from shamisa_cli.engines.engine import Prepare
from shamisa_cli.engines.worker import DIED, Outcome, attempt
from shamisa_cli.errors import PhotoError, ShamisaError


class InTurn:
    """Attempts the task that was given last; ``rooms`` says how many it can be given each time."""

    def __init__(self, rooms: Callable[[], int] = lambda: 3) -> None:
        self.room = rooms
        self.outcomes: dict[int, Callable[[], Outcome]] = {}
        self.waiting: list[int] = []
        self.most = 0
        self.canceled: list[Any] = []

    def give(self, run: str, prepare: Prepare, task: Any) -> int:
        handle = len(self.outcomes)
        died = task == "dies"
        self.outcomes[handle] = lambda: DIED if died else attempt(run, prepare, task)
        self.waiting.append(handle)
        self.most = max(self.most, len(self.waiting))
        return handle

    def ended(self, handles: list[Any]) -> list[Any]:
        assert handles
        assert sorted(handles) == self.waiting
        return [self.waiting.pop()]

    def outcome(self, handle: Any) -> Outcome:
        return self.outcomes[handle]()

    def cancel(self, handles: list[Any]) -> None:
        self.canceled = handles


def reciprocal() -> Callable[[Any], Any]:
    return lambda n: 1 / n


def test_tasks_are_taken_as_there_is_room() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for n in range(1, 8):
            taken.append(n)
            yield n

    cluster = InTurn()
    ended = run_on(cluster, reciprocal, tasks())
    first = next(ended)
    assert (first.task, first.result, taken) == (3, 1 / 3, [1, 2, 3])
    assert sorted(each.task for each in ended) == [1, 2, 4, 5, 6, 7]
    assert cluster.most == 3
    assert not cluster.canceled


def test_a_cluster_without_workers_is_given_one_task_to_begin_with() -> None:
    cluster = InTurn(iter([0, 0, 5, 5, 5, 5, 5]).__next__)
    assert len(list(run_on(cluster, reciprocal, range(1, 6)))) == 5
    assert cluster.most == 3


def test_errors_and_deaths_are_those_of_their_tasks() -> None:
    tasks = [2, 0, "dies", 4]
    by_task = {each.task: each for each in run_on(InTurn(), reciprocal, tasks)}
    assert [by_task[task].result for task in tasks] == [1 / 2, None, None, 1 / 4]
    assert by_task[0].error == "ZeroDivisionError: division by zero"
    assert "its worker died" in by_task["dies"].error


def test_closing_cancels_what_is_given() -> None:
    cluster = InTurn()
    ended = run_on(cluster, reciprocal, range(1, 100))
    next(ended)
    ended.close()  # type: ignore[attr-defined]
    assert cluster.canceled == [0, 1]


def test_a_first_worker_that_cannot_get_ready_ends_the_run_and_a_later_one_its_task() -> None:
    def no_model() -> Any:
        raise PhotoError("no such model")

    with pytest.raises(ShamisaError, match="could not be made ready: no such model"):
        list(run_on(InTurn(), no_model, [1]))

    prepared = iter([reciprocal, no_model, reciprocal])
    ended = []
    for each in run_on(InTurn(lambda: 1), lambda: next(prepared)(), [1, 2, 4]):
        ended.append((each.result, each.error))
        worker._kept.run = None  # the next task meets another worker
    assert ended == [(1.0, ""), (None, "no such model"), (0.25, "")]


def test_a_worker_keeps_what_it_has_made_ready_until_another_run() -> None:
    made: list[str] = []

    def prepare() -> Callable[[Any], Any]:
        made.append("ready")
        return lambda n: n

    for run, times in (("a", 1), ("a", 1), ("b", 2), ("a", 3)):
        assert attempt(run, prepare, 5) == Outcome(5)
        assert len(made) == times
