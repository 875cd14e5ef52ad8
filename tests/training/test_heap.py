"""Where blocks would lie in a C library's heap."""

from attnpred.training.heap import ALIGNED, HEAD, Heap

BLOCK = 10 * ALIGNED - HEAD  # that takes 640 bytes


def test_blocks_follow_one_another_and_holes_are_taken_again():
    heap = Heap()
    first, second, third = (heap.take(BLOCK) for _ in range(3))
    assert (first, second, third, heap.top) == (0, 640, 1280, 1920)
    heap.free(second)
    assert heap.take(BLOCK // 2) == 640
    assert heap.take(BLOCK) == 1920, "what is left of the hole is too small"
    assert heap.top == 2560


def test_the_smallest_hole_that_is_large_enough_is_taken():
    heap = Heap()
    large, _, small, _ = (heap.take(size) for size in (4 * BLOCK, BLOCK, 2 * BLOCK, BLOCK))
    heap.free(large)
    heap.free(small)
    assert heap.take(BLOCK) == small


def test_neighbouring_holes_become_one():
    heap = Heap()
    first, second, third, _ = (heap.take(BLOCK) for _ in range(4))
    for one in (first, third, second):
        heap.free(one)
    top = heap.top
    assert heap.take(3 * 640 - HEAD) == 0
    assert heap.top == top


def test_what_is_free_at_the_end_grows():
    heap = Heap()
    heap.take(BLOCK)
    heap.free(heap.take(BLOCK))
    assert heap.take(2 * 640 - HEAD) == 640
    assert heap.top == 1920
