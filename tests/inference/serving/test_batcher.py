"""Inputs of many requests are answered together, each its own, and none is lost."""

import asyncio
import threading

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from attnpred.inference.serving.batcher import Batcher, Overloaded, Stopping
from attnpred.inference.serving.options import Limits


class Work:
    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, values, explainer, attention):
        self.free.wait(30)
        self.batches.append((list(values), explainer, attention))
        if "poison" in values:
            raise RuntimeError("no")
        return [{"answer": one.upper()} for one in values]


def during(test, **limits):
    """Runs a test with a batcher, and ends it."""

    async def whole():
        work = Work()
        batcher = Batcher(work, Limits(**{"max_wait_ms": 20.0, **limits}))
        batcher.start()
        try:
            await asyncio.wait_for(test(batcher, work), 30)
        finally:
            work.free.set()
            await batcher.close()

    asyncio.run(whole())


def test_requests_share_a_batch_and_get_their_own_answers():
    async def test(batcher, work):
        found = await asyncio.gather(*(batcher.ask([f"a{i}", f"b{i}"], None, True) for i in range(5)))
        assert found == [[{"answer": f"A{i}"}, {"answer": f"B{i}"}] for i in range(5)]
        assert [len(values) for values, _, _ in work.batches] == [10]
        assert batcher.counts.answered == 10

    during(test)


def test_no_batch_is_larger_than_allowed():
    async def test(batcher, work):
        await asyncio.gather(*(batcher.ask([str(i)], None, True) for i in range(10)))
        assert [len(values) for values, _, _ in work.batches] == [4, 4, 2]

    during(test, max_batch=4)


def test_what_asks_for_something_else_keeps_its_turn():
    async def test(batcher, work):
        asked = [("a", None), ("b", "rollout"), ("c", None), ("d", "rollout")]
        found = await asyncio.gather(*(batcher.ask([value], explainer, True) for value, explainer in asked))
        assert [one["answer"] for [one] in found] == ["A", "B", "C", "D"]
        assert work.batches == [(["a", "c"], None, True), (["b", "d"], "rollout", True)]

    during(test)


def test_one_poisoned_input_takes_no_other_with_it():
    async def test(batcher, work):
        asked = [batcher.ask([value], None, True) for value in ("a", "poison", "c")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found[0] == [{"answer": "A"}]
        assert isinstance(found[1], RuntimeError)
        assert found[2] == [{"answer": "C"}]
        assert (batcher.counts.answered, batcher.counts.failed) == (2, 1)

    during(test)


def test_a_full_queue_refuses_whole_requests_and_answers_what_it_took():
    async def test(batcher, work):
        work.free.clear()
        first = asyncio.create_task(batcher.ask(["a"], None, True))
        await asyncio.sleep(0.1)  # the worker has it
        second = asyncio.create_task(batcher.ask(["b", "c"], None, True))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as error:
            await batcher.ask(["d", "e"], None, True)
        assert error.value.seconds > 0
        assert batcher.counts.refused == 2
        work.free.set()
        assert await first == [{"answer": "A"}]
        assert await second == [{"answer": "B"}, {"answer": "C"}]

    during(test, max_queue=3, max_wait_ms=0.0)


def test_who_gave_up_costs_the_model_nothing():
    async def test(batcher, work):
        work.free.clear()
        first = asyncio.create_task(batcher.ask(["a"], None, True))
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher.ask(["late"], None, True), 0.05)
        work.free.set()
        await first
        await batcher.ask(["b"], None, True)
        assert [values for values, _, _ in work.batches] == [["a"], ["b"]]
        assert batcher.counts.left == 1

    during(test, max_wait_ms=0.0)


def test_closing_answers_what_was_taken_and_takes_no_more():
    async def test(batcher, work):
        work.free.clear()
        taken = [asyncio.create_task(batcher.ask([str(i)], None, True)) for i in range(6)]
        await asyncio.sleep(0.05)
        ending = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Stopping):
            await batcher.ask(["x"], None, True)
        work.free.set()
        await ending
        assert [one["answer"] for task in taken for one in await task] == list("012345")

    during(test, max_batch=2)
