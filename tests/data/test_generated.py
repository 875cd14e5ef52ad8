"""Made-up data: always the same, of any number, decided by the recorded evidence and by nothing simpler."""

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from attnpred.data.builtin import evidence_image, evidence_text
from attnpred.errors import UserError
from tests.data.made import image_config, image_data, text_config, text_data

TEXT = {"test_split": None, "evidence_column": "evidence", "max_length": 200, "rows": 300}
IMAGE = {**TEXT, "image_column": "image"}
del IMAGE["max_length"]
CHANCE = 0.25


@pytest.fixture(scope="module")
def texts():
    return list(evidence_text.generate(6000))


@pytest.fixture(scope="module")
def images():
    return list(evidence_image.generate(4000))


def labels(rows):
    return np.array([row["label"] for row in rows])


def accuracy(model, inputs, wanted):
    """On the second half, of what learned from the first."""
    half = len(wanted) // 2
    return model.fit(inputs[:half], wanted[:half]).score(inputs[half:], wanted[half:])


@pytest.mark.parametrize("module", [evidence_text, evidence_image])
def test_rows_are_the_same_whatever_their_number(module):
    few, many = (list(module.generate(count)) for count in (10, module.BLOCK + 7))
    assert (len(few), len(many)) == (10, module.BLOCK + 7)
    for one, other in zip(few, many, strict=False):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    inputs = [np.array(next(v for k, v in row.items() if k in ("text", "image"))).tobytes() for row in many]
    assert len(set(inputs)) == len(inputs)


@pytest.mark.parametrize("module", [evidence_text, evidence_image])
def test_rows_are_made_as_they_are_read(module):
    assert len(list(islice(module.generate(10**12), 3))) == 3


@pytest.mark.parametrize("module", [evidence_text, evidence_image])
def test_classes_are_as_frequent(module):
    counts = np.bincount(labels(module.generate(2000)))
    assert len(counts) == len(module.CLASSES) == 4
    assert np.abs(counts - 500).max() < 80


def test_what_she_felt_decides_a_text(texts):
    feelings = {word: number for number, words in enumerate(evidence_text.WORDS) for word in words}
    assert len(feelings) == 16
    assert not set(feelings) & set(evidence_text.FILLERS)
    for row in texts:
        [match] = re.finditer(r"\bshe felt (\w+)\b", row["text"])
        assert feelings[match[1]] == row["label"]
        assert row["evidence"] == [list(match.span())]
        assert 12 <= len(row["text"].split()) <= 40
        told = [feelings[word] for word in row["text"].split() if word in feelings]
        assert set(told) == {0, 1, 2, 3}
        assert 4 <= len(told) <= 6


def test_evidence_is_anywhere_in_a_text(texts):
    share = [row["evidence"][0][0] / (len(row["text"]) - np.diff(row["evidence"][0])[0]) for row in texts]
    assert np.histogram(share, 5, (0, 1))[0].min() > 0.15 * len(texts)


def test_words_without_their_places_tell_nothing_of_a_text(texts):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    def learned(phrase):
        counts = CountVectorizer(ngram_range=(phrase, phrase)).fit_transform(row["text"] for row in texts)
        return accuracy(LogisticRegression(max_iter=300), counts, labels(texts))

    assert learned(1) < CHANCE + 0.04
    assert learned(3) > 0.95, "three words together do tell"


def bright(image):
    """Where a sign or a frame is."""
    return image.max(2) > 170


def patches(row):
    """Of a row's image: the corner (top, left) of each patch, and which of its pixels are bright."""
    lit, side = bright(row["image"]), evidence_image.PATCH
    places = range(0, evidence_image.SIDE - side + 1, evidence_image.STEP)
    windows = {(top, left): lit[top : top + side, left : left + side] for top in places for left in places}
    signs = {place: window for place, window in windows.items() if window[2:5, 2:5].sum() == 5}
    return {p: w for p, w in signs.items() if w[1:-1, 1:-1].sum() == 5 and w.sum() == 25}


def closed(patch):
    return all(edge[1:-1].all() for edge in (patch[0], patch[-1], patch[:, 0], patch[:, -1]))


def sign(patch):
    shapes = [np.array([[c == "#" for c in line] for line in lines]) for lines in evidence_image.SIGNS.values()]
    [number] = [number for number, shape in enumerate(shapes) if np.array_equal(shape, patch[2:5, 2:5])]
    return number


def test_the_sign_in_the_closed_frame_decides_an_image(images):
    extra = []
    for row in images:
        found = patches(row)
        assert len(found) in (4, 5)
        assert bright(row["image"]).sum() == 25 * len(found), "patches are whole, and alike in size"
        [(place, patch)] = [(place, patch) for place, patch in found.items() if closed(patch)]
        assert sign(patch) == row["label"]
        top, left = place
        assert row["evidence"] == [[left, top, left + 7, top + 7]]
        signs = np.bincount([sign(patch) for patch in found.values()], minlength=4)
        assert signs.min() == 1
        if len(found) == 5:
            extra.append(int(signs[row["label"]] == 2))
    assert abs(np.mean(extra) - CHANCE) < 0.04, "a sign more often there is no sign of the label"
    colours = np.array([row["image"][bright(row["image"])].mean(0) for row in images])
    assert np.ptp([colours[labels(images) == number].mean(0) for number in range(4)], axis=0).max() < 4


def test_evidence_is_anywhere_in_an_image(images):
    corners = np.array([row["evidence"][0][:2] for row in images])
    counts = np.histogram2d(*corners.T, bins=7, range=[[0, 28]] * 2)[0]
    assert counts.min() > 0.4 * len(images) / 49


def test_pixels_each_for_itself_tell_nothing_of_an_image(images):
    from sklearn.linear_model import RidgeClassifier

    def learned(inputs):
        return accuracy(RidgeClassifier(10.0), np.array([i.ravel() for i in inputs], float), labels(images))

    boxes = [row["evidence"][0] for row in images]
    assert learned([row["image"] for row in images]) < CHANCE + 0.04
    shown = [bright(row["image"])[slice(*box[1::2]), slice(*box[::2])] for row, box in zip(images, boxes, strict=True)]
    assert learned(shown) == 1, "those of the evidence do tell"


def test_as_many_texts_as_asked_for_and_their_evidence(cache_dir):
    data = text_data(text_config("builtin:evidence_text", cache_dir, **TEXT))
    assert data.target_spec.classes == evidence_text.CLASSES
    rows, seen = list(evidence_text.generate(300)), 0
    for split in ("val", "test"):
        for batch in data.loader(split):
            for row, tokens, marks in zip(batch.ids.tolist(), batch.input.tokens, batch.input.evidence, strict=True):
                start, end = rows[row]["evidence"][0]
                assert tokens[marks].tolist() == data.reader.vocabulary.ids([rows[row]["text"][start:end]])[0]
                seen += 1
    assert seen == 60
    assert len(data._store("train").targets.values) == 300


def test_as_many_images_as_asked_for_and_their_evidence(cache_dir):
    data = image_data(image_config("builtin:evidence_image", cache_dir, **IMAGE))
    batch = next(iter(data.loader("val")))
    assert batch.input.evidence.sum((1, 2)).tolist() == [49] * len(batch)
    assert (batch.input.pixels.amax(1)[batch.input.evidence] > 170).sum() == 25 * len(batch)
    assert len(data._store("train").targets.values) == 300


def test_another_number_is_prepared_anew(tmp_path):
    for rows, size in ((50, 5), (80, 8), (50, 5)):
        data = image_data(image_config("builtin:evidence_image", tmp_path, **{**IMAGE, "rows": rows}))
        assert sum(len(batch) for batch in data.loader("test")) == size
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("pixels") and path.is_dir()]) == 2


@pytest.mark.parametrize(
    ("source", "rows", "said"),
    [
        ("builtin:evidence_image", None, r"data\.rows=null: builtin:evidence_image is generated; say how many rows"),
        ("builtin:digits", 100, r"data\.rows=100: builtin:digits is not generated; set data\.rows=null"),
        ("made", 100, r"data\.rows=100: .*made is not generated; set data\.rows=null"),
    ],
)
def test_rows_are_of_generated_data_alone(tmp_path, source, rows, said):
    if source == "made":
        Path(tmp_path / "made").mkdir()
        source = str(tmp_path / "made")
    with pytest.raises(UserError, match=f"^{said}") as caught:
        image_data(image_config(source, tmp_path / "c", **{**IMAGE, "rows": rows})).loader("train")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "c").exists()
