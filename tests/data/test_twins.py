"""Equal rows, and nearly equal ones, are found among others."""

import numpy as np

from attnpred.data import twins

WORDS = [f"w{i}" for i in range(500)]


def texts(count, seed=0, length=60):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, length)) for _ in range(count)]


def test_equal_rows_are_paired_with_the_first():
    assert sorted(twins.equal(np.array([5, 7, 5, 9, 7, 5], np.uint64))) == [(0, 2), (0, 5), (1, 4)]


def test_texts_that_share_most_words_are_near_and_others_are_not():
    rows = texts(300)
    rows.append(rows[7] + " one more word")
    rows.append(rows[9].upper().replace(" ", ", "))
    found = list(twins.near_by_shares(np.stack(list(map(twins.signature_of, rows)))))
    assert sorted(found) == [(7, 300), (9, 301)]


def test_the_share_of_common_shingles_is_estimated():
    (row,) = texts(1, length=400)
    words = row.split()
    half = " ".join(words[:200] + texts(1, seed=3, length=200)[0].split())
    agree = (twins.signature_of(row) == twins.signature_of(half)).mean()
    assert abs(agree - 1 / 3) < 0.2


def test_a_text_of_few_words_or_none_has_a_signature():
    assert all(twins.signature_of(text).shape == (twins.HASHES,) for text in ("", "one", "one two", "!?"))


def test_numbers_that_differ_in_few_bits_are_near():
    random = np.random.default_rng(0)
    numbers = random.integers(1, 2**63, 200, np.uint64)
    numbers = np.append(
        numbers, [numbers[3] ^ np.uint64(0b1011), numbers[4] ^ np.uint64(0b11111), np.uint64(0), np.uint64(0)]
    )
    assert list(twins.near_by_bits(numbers)) == [(3, 200)]
