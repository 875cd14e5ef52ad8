"""How many bytes of tensors are alive after each operator, whether they hold numbers or only shapes."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from attnpred.training.heap import Heap

aten = torch.ops.aten
KEPT_OF_LSTM = 3  # which of its results a step back needs, and nobody else looks at


class Live(TorchDispatchMode):
    """Counts what is made while it lasts, and what is met, but not the tensors that were `there` before.

    Tensors without numbers cannot say how long a result is that depends on them: it counts as long as it can be.
    """

    def __init__(self, there: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.bytes: list[int] = []  # alive after each operator
        self.heap: list[int] = []  # and how large a heap is that holds them
        self._alive = 0
        self._heap = Heap()
        storages = [tensor.untyped_storage() for tensor in there]
        self._known = {storage._cdata: weakref.ref(storage) for storage in storages}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            result = func(*args, **(kwargs or {}))
        except (DataDependentOutputException, DynamicOutputShapeException):
            result = widest(func.overloadpacket, args)
        if func.overloadpacket is aten.mkldnn_rnn_layer and not result[KEPT_OF_LSTM].numel():
            kept = result[KEPT_OF_LSTM].new_empty(lstm_workspace(*args))
            result = (*result[:KEPT_OF_LSTM], kept)
        for one in tree_iter(result):
            if isinstance(one, Tensor):
                self._count(one.untyped_storage())
        self.bytes.append(self._alive)
        self.heap.append(self._heap.top)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        known = self._known.get(key)
        if known is not None and known() is storage:
            return

        begin = self._heap.take(size)

        def gone(_: Any) -> None:
            self._alive -= size
            self._heap.free(begin)

        self._known[key] = weakref.ref(storage, gone)
        self._alive += size


def lstm_workspace(x: Tensor, *others: Any) -> int:
    """Bytes that oneDNN keeps of an LSTM's layer, of which tensors without numbers say nothing: about what it took.

    x: (length, batch, width)
    """
    hidden, is_trained = others[9], others[14]
    length, batch, width = x.shape
    own, wider = (8.6, 6.7) if x.dtype == torch.float32 else (5.1, 5.7)
    return int(4 * length * batch * (own * hidden + wider * max(width, hidden))) if is_trained else 0


def widest(operator: Any, args: Any) -> Any:
    """The longest result that an operator can have, of tensors without numbers."""
    x = args[0]
    long = {"dtype": torch.int64}
    if operator is aten._local_scalar_dense:
        return True if x.dtype == torch.bool else 1.0 if x.is_floating_point() else 1
    if operator in (aten._unique2, aten.unique_dim):
        count = x.numel() if operator is aten._unique2 else x.shape[args[1]]
        values = x.new_empty(count) if operator is aten._unique2 else torch.empty_like(x)
        return (
            values,
            x.new_empty(x.shape if operator is aten._unique2 else (count,), **long),
            x.new_empty(count, **long),
        )
    if operator is aten.nonzero:
        return x.new_empty((x.numel(), x.ndim), **long)
    if operator is aten.masked_select:
        return x.new_empty(x.numel())
    if operator is aten.index and len(args[1]) == 1:
        (mask,) = args[1]
        return x.new_empty((mask.numel(), *x.shape[mask.ndim :]))
    raise NotImplementedError(str(operator))
