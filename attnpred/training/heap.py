"""Where a C library's heap would put what is asked of it: how far it grows is what a process takes, holes included."""

from bisect import bisect_left, insort

ALIGNED = 64  # bytes, as torch asks on a CPU
HEAD = 16  # bytes that the library keeps before each block


class Heap:
    """Takes the smallest hole that is large enough, and joins neighbouring holes, as glibc does with large blocks."""

    def __init__(self) -> None:
        self.top = 0  # bytes from the heap's beginning to its end
        self._sizes: dict[int, int] = {}  # of blocks in use, by where they begin
        self._holes: list[tuple[int, int]] = []  # size and beginning, by size
        self._begins: dict[int, int] = {}  # of holes: beginning → end
        self._ends: dict[int, int] = {}  # of holes: end → beginning

    def take(self, size: int) -> int:
        """Where a block of so many bytes begins."""
        size = -(-(size + HEAD) // ALIGNED) * ALIGNED
        place = bisect_left(self._holes, (size, 0))
        if place < len(self._holes):
            _, begin = self._holes[place]
            end = self._close(begin)
            if begin + size < end:
                self._open(begin + size, end)
        elif self.top in self._ends:  # what is free at the end grows by what is missing
            begin = self._ends[self.top]
            self._close(begin)
            self.top = begin + size
        else:
            begin = self.top
            self.top += size
        self._sizes[begin] = size
        return begin

    def free(self, begin: int) -> None:
        end = begin + self._sizes.pop(begin)
        if begin in self._ends:
            before = self._ends[begin]
            self._close(before)
            begin = before
        if end in self._begins:
            end = self._close(end)
        self._open(begin, end)

    def _open(self, begin: int, end: int) -> None:
        self._begins[begin], self._ends[end] = end, begin
        insort(self._holes, (end - begin, begin))

    def _close(self, begin: int) -> int:
        """Takes a hole out of the books, and returns where it ends."""
        end = self._begins.pop(begin)
        del self._ends[end]
        del self._holes[bisect_left(self._holes, (end - begin, begin))]
        return end
