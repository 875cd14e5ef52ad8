"""How texts that are read together share the room of one sequence."""

from types import SimpleNamespace

import numpy as np
import pytest

from attnpred.modalities.text.reader import TextReader
from tests.models.made import PAIR


@pytest.mark.parametrize(
    ("counts", "kept"),
    [((0, 100), (0, 21)), ((100, 0), (21, 0)), ((3, 100), (3, 18)), ((100, 100), (10, 11)), ((10, 11), (10, 11))],
)
def test_a_short_text_leaves_its_room_to_the_other(counts, kept):
    reader = TextReader(PAIR, SimpleNamespace(spelled={}), strip_html=False, truncate="both")
    found = reader.collate([[np.full(count, 40) for count in counts]])
    assert PAIR.room == 21
    assert tuple((found.segments == number).sum().item() for number in range(2)) == kept
    assert found.tokens[0, found.lengths[0] - 1] == PAIR.suffix[0]
