"""Keys and values of the tokens that were generated so far, so that each is worked out once."""

from torch import Tensor

ROOM = 16  # tokens that a cache has room for at first


class KeyValueCache:
    """Of one layer. Its room doubles when it is full, so that a step writes what is new and copies nothing."""

    def __init__(self) -> None:
        self.length = 0
        self._held: Tensor | None = None  # (2, rows, heads, room, head_dim)

    def extended(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Takes in new places, (rows, heads, new, head_dim) each, and gives all that there are."""
        start, self.length = self.length, self.length + key.shape[2]
        if self._held is None or self.length > self._held.shape[3]:
            room = max(ROOM, 2 * self.length)
            grown = key.new_empty(2, *key.shape[:2], room, key.shape[3])
            if self._held is not None:
                grown[:, :, :, :start] = self._held[:, :, :, :start]
            self._held = grown
        self._held[0, :, :, start : self.length] = key
        self._held[1, :, :, start : self.length] = value
        return self._held[0, :, :, : self.length], self._held[1, :, :, : self.length]

    def keep(self, rows: Tensor) -> None:
        """Takes these rows in place of those that it has: in another order, some twice, others no more."""
        if self._held is None:
            return
        held = self._held
        self._held = held.new_empty(2, len(rows), *held.shape[2:])
        self._held[:, :, :, : self.length] = held[:, rows, :, : self.length]
