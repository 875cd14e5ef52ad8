"""Several inputs that a service is sent: no text among them is looked for among files, and a picture is its content."""

import pytest

from attnpred.errors import BadInput
from attnpred.modalities.several.reader import SeveralReader


def test_a_text_that_is_the_name_of_a_file_is_a_text(text_run, image_run):
    reader = SeveralReader({"text": text_run.reader(), "image": image_run.reader()})
    with pytest.raises(BadInput, match="is a file"):
        next(reader.readings(iter([{"text": __file__}]), 4))
    given = reader.received({"text": __file__}, 0)
    reading = next(reader.readings(iter([given]), 4))
    assert reading.inputs == [{"text": __file__}]
    for value in ({"image": __file__}, {"other": "a"}, {}, "a"):
        with pytest.raises(BadInput):
            reader.received(value, 0)
