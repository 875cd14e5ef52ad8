import numpy as np
import pytest
from PIL import ImageFont

from attnpred.pages import pictures
from attnpred.pages.colours import GLOW, shade
from attnpred.pages.page import assets
from attnpred.pages.pictures import Caption, confusion_matrix, image_grid, text_examples

RIGHT, WRONG = Caption("cat", "cat", 0.97, False), Caption("cat", "dog", 0.51, True)


@pytest.fixture(params=["installed", "bundled"], autouse=True)
def fonts(request, monkeypatch):
    """Once with whatever font this machine has, once with the one that comes with Pillow."""
    if request.param == "bundled":
        real = ImageFont.truetype

        def without_system(font, *args, **kwargs):
            if isinstance(font, str):
                raise OSError("no such font")
            return real(font, *args, **kwargs)

        monkeypatch.setattr(ImageFont, "truetype", without_system)
    pictures.font_of.cache_clear()
    yield
    pictures.font_of.cache_clear()


def is_picture(array):
    return array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3


def red(picture):
    r, g, b = (picture[..., c].astype(int) for c in range(3))
    return int(((r > 180) & (g < 90) & (b < 90)).sum())


def has_color(picture, color):
    return bool((picture == np.asarray(color, np.uint8)).all(-1).any())


def test_confusion_is_dark_where_a_row_has_its_examples():
    # every true b was called a, and the column order must not be the row order
    picture = confusion_matrix(np.array([[0, 100], [50, 50]]), ["a", "b"])
    assert is_picture(picture)
    rows, columns = np.nonzero((picture == pictures.BLUES[255]).all(-1))
    all_shades = (picture != 255).any(-1)
    assert rows.mean() < picture.shape[0] / 2  # upper row, that of true a
    assert columns.mean() > np.nonzero(all_shades)[1].mean()  # right column, predicted b
    assert has_color(picture, pictures.BLUES[round(255 * 0.5**0.5)])  # shaded by share, not by count
    assert has_color(picture, pictures.BLUES[0])


def test_confusion_of_a_class_without_examples():
    assert is_picture(confusion_matrix(np.zeros((3, 3), int), ["a", "b", "c"]))


@pytest.mark.parametrize("n", [1, 2, 25, 26, 100, 1000])
def test_confusion_stays_of_bearable_size(n):
    picture = confusion_matrix(np.eye(n, dtype=int) * 12500, [f"a class with quite a long name {i}" for i in range(n)])
    assert is_picture(picture)
    assert max(picture.shape) <= 1300


def test_confusion_prints_counts_only_where_they_can_be_read():
    def inks(n, count):
        names = [""] * n
        return confusion_matrix(np.full((n, n), count), names)

    assert not np.array_equal(inks(25, 1), inks(25, 2))
    assert np.array_equal(inks(26, 1), inks(26, 2))


def test_images_show_the_pixels_and_the_place_of_attention():
    pixels = np.full((1, 3, 8, 8), 40, np.uint8)
    pixels[0, :, 0, 0] = (10, 200, 30)
    importance = np.zeros((1, 16))
    importance[0, 7] = 1.0  # second row, last column of 4 x 4
    picture = image_grid(pixels, importance, (4, 4), [RIGHT])
    assert is_picture(picture)
    assert int((picture == (10, 200, 30)).all(-1).sum()) == 16 * 16  # nearest: one pixel became a square
    overlay = picture[16 : 16 + 128, 16 + 128 + 3 :][:, :128].astype(int)
    y, x = np.unravel_index((overlay[..., 0]).argmax(), overlay.shape[:2])
    assert (y // 32, x // 32) == (1, 3)
    assert overlay[100, 10].tolist() == [30, 30, 30]  # no attention: grey


def test_wrong_ones_are_red():
    pixels, importance = np.full((1, 3, 8, 8), 40, np.uint8), np.zeros((1, 4))
    assert red(image_grid(pixels, importance, (2, 2), [WRONG])) > 0
    assert red(image_grid(pixels, importance, (2, 2), [RIGHT])) == 0
    assert red(text_examples([["a"]], [[0.0]], [WRONG])) > 0
    assert red(text_examples([["a"]], [[0.0]], [RIGHT])) == 0
    assert red(text_examples([["a"]], [[0.0]], [Caption(None, "dog", 0.5, False)])) == 0


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (3, 3, 32, 48), (2, 4, 300, 200), (1, 3, 1, 1), (0, 3, 8, 8)])
def test_images_of_every_shape(shape):
    picture = image_grid(np.zeros(shape, np.uint8), np.full((shape[0], 6), 1 / 6), (2, 3), [RIGHT] * shape[0])
    assert is_picture(picture)


def test_attention_of_a_diverged_model_is_drawn_as_none():
    pixels = np.full((1, 3, 8, 8), 40, np.uint8)
    broken = image_grid(pixels, np.full((1, 4), np.nan), (2, 2), [RIGHT])
    assert np.array_equal(broken, image_grid(pixels, np.zeros((1, 4)), (2, 2), [RIGHT]))
    assert np.array_equal(text_examples([["a"]], [[np.nan]], [RIGHT]), text_examples([["a"]], [[0.0]], [RIGHT]))


def test_words_are_shaded_to_the_rows_maximum():
    picture = text_examples([["weak", "strong"], ["half", "whole"]], [[0.0, 0.01], [0.25, 0.5]], [RIGHT, RIGHT])
    rows = [y for y in range(picture.shape[0]) if (picture[y] == shade(1.0, signed=False)).all(-1).any()]
    assert max(rows) - min(rows) > 40  # both texts have a word of full strength
    assert has_color(picture, shade(0.5, signed=False))


def test_signs_have_the_colours_of_the_pages():
    picture = text_examples([["for", "against"]], [[0.5, -1.0]], [RIGHT])
    assert has_color(picture, shade(0.5, signed=True))
    assert has_color(picture, shade(-1.0, signed=True))
    pixels = np.full((1, 3, 8, 8), 40, np.uint8)
    overlay = image_grid(pixels, np.array([[1.0, 0.0, 0.0, -1.0]]), (2, 2), [RIGHT])[16:144, 147:].astype(int)
    assert overlay[5, 5, 2] > overlay[5, 5, 0]  # blue for
    assert overlay[120, 120, 0] > overlay[120, 120, 2]  # orange against
    script = assets("attnpred.explain", "maps.js")
    assert all(f"{hue}: {list(color)}" in script for hue, color in GLOW.items())


def test_long_text_is_cut_around_its_strongest_words():
    strength = np.zeros(300)
    strength[[150, 190]] = 1.0, 0.5
    shown = pictures._strongest([str(i) for i in range(300)], strength)
    words = [word for word, _ in shown]
    assert words[0] == words[-1] == "…"
    assert {"150", "190"} <= set(words)
    assert len(words) == pictures.MOST_WORDS + 2
    at_start = pictures._strongest([str(i) for i in range(300)], np.eye(300)[0])
    assert at_start[0] == ("0", 1.0)
    assert at_start[-1][0] == "…"


def test_words_wrap_and_stay_inside():
    picture = text_examples([["word"] * 50 + ["x" * 5000]], [[1.0] * 51], [RIGHT], width=300)
    assert picture.shape[1] == 300
    assert (picture[:, :8] == 255).all()
    assert (picture[:, -8:] == 255).all()


@pytest.mark.parametrize(
    "strange", ["日本語", "naïve → 5€", "\ud800", "a\0b\nc\td", "👩‍👩‍👧", "שלום", "", " ", "e\u0301"]
)
def test_any_character_can_be_drawn(strange):
    caption = Caption(strange, strange + "x", float("nan"), True)
    assert is_picture(text_examples([[strange, "a"], []], [[0.5, 0.5], []], [caption, caption]))
    assert is_picture(confusion_matrix(np.eye(2, dtype=int), [strange, strange * 50]))
    assert is_picture(image_grid(np.zeros((1, 3, 8, 8), np.uint8), np.ones((1, 4)), (2, 2), [caption]))


def test_accents_that_the_font_lacks_fall_off():
    bundled = ImageFont.load_default(14)
    assert pictures._drawable("café → naïve", bundled) == "cafe -> naive"


def test_certainty_survives_long_names():
    font = pictures.font_of(13)
    said = pictures.say(Caption("short", "an endless name " * 9, 0.42, True), font, 200)
    assert said.startswith("short ")
    assert said.endswith("… 0.42")
    assert font.getlength(said) <= 201
