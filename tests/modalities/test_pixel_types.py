"""Pixels of more than a byte are scaled by their type's range, in training and prediction alike, or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from attnpred.data.places import Reach
from attnpred.modalities.image.batch import ImageSpec
from attnpred.modalities.image.decoding import decode
from attnpred.modalities.image.reader import ImageReader

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
BYTES = np.rint(RAMP * 255).astype(np.uint8)
GOOD = {
    "uint16 png": (np.rint(RAMP * 65_535).astype(np.uint16), "png"),
    "uint16 tiff": (np.rint(RAMP * 65_535).astype(np.uint16), "tiff"),
    "big-endian tiff": (np.rint(RAMP * 65_535).astype(">u2"), "tiff"),
    "int32 tiff": (np.rint(RAMP * 65_535).astype(np.int32), "tiff"),
    "float of 0 to 1": (RAMP.astype(np.float32), "tiff"),
    "float of 0 to 255": ((RAMP * 255).astype(np.float32), "tiff"),
    "bytes": (BYTES, "png"),
}
BAD = {
    "int32 of more": (np.rint(RAMP * 70_000).astype(np.int32), "bring them into 16 bits"),
    "int32 below 0": (np.rint(RAMP * 100 - 5).astype(np.int32), "bring them into 16 bits"),
    "float of more": ((RAMP * 256).astype(np.float32), "bring them into 0 to 1, or 0 to 255"),
    "float below 0": ((RAMP - 0.1).astype(np.float32), "bring them into 0 to 1, or 0 to 255"),
    "infinite": (np.where(RAMP > 0.5, np.inf, 0).astype(np.float32), "NaN or infinite"),
}


def saved(values: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def predicted(content: bytes, directory) -> object:
    (directory / "picture").write_bytes(content)
    reader = ImageReader(ImageSpec(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,)))
    return reader._read(str(directory / "picture"))


@pytest.mark.parametrize("name", GOOD)
def test_they_are_scaled_alike_in_training_and_prediction(name, tmp_path):
    content = saved(*GOOD[name])
    trained = decode({"bytes": content, "path": None}, Reach(()))
    assert trained.shape == (1, 8, 8)
    assert np.abs(trained[0].astype(int) - BYTES).max() <= 1
    assert np.array_equal(trained, predicted(content, tmp_path))


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_such_range_is_refused(name, tmp_path):
    values, said = BAD[name]
    content = saved(values, "tiff")
    with pytest.raises(ValueError, match=said):
        decode({"bytes": content, "path": None}, Reach(()))
    assert said in str(predicted(content, tmp_path))


def test_arrays_of_built_in_sources_stay_as_they_are():
    assert np.array_equal(decode(BYTES, Reach(None))[0], BYTES)
