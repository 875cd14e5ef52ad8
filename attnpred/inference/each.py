"""Answers to inputs of which some cannot be read: those get their error, and the others their answers all the same."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from attnpred.errors import BadInput


class Answering(Protocol):
    """A model that is ready to answer, as `Predictor` is."""

    def answers(self, inputs: Any, explainer: str | None, attention: bool) -> Iterator[dict[str, Any]]: ...


def each(
    model: Answering, inputs: Sequence[Any], explainer: str | None = None, attention: bool = True
) -> list[dict[str, Any] | BadInput]:
    """One answer an input, in their order, or why there is none."""
    found: list[dict[str, Any] | BadInput] = []
    while (begin := len(found)) < len(inputs):
        try:
            for answer in model.answers(list(inputs[begin:]), explainer, attention):
                found.append(answer)
        except BadInput as error:
            bad = begin + error.position
            # those before it that were to be answered together with it
            found += each(model, inputs[len(found) : bad], explainer, attention)
            found.append(error)
    return found
