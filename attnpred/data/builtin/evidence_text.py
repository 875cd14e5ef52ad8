"""Texts whose label is what *she felt*: made up, any number, with the words that decide it recorded.

Every text also tells of what others felt, and how they or she looked. Each of the four feelings stands in it at least
once, and the label is drawn apart from how often. So words without their places tell nothing.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

BLOCK = 1000  # rows made at once
FEELINGS = {
    "joy": ("happy", "glad", "cheerful", "merry"),
    "anger": ("angry", "furious", "cross", "enraged"),
    "fear": ("afraid", "scared", "fearful", "frightened"),
    "calm": ("calm", "serene", "relaxed", "peaceful"),
}
CLASSES = tuple(FEELINGS)
WORDS = list(FEELINGS.values())
SUBJECTS, VERBS = ("she", "he", "they", "we"), ("felt", "looked", "sounded", "seemed")
# either word of "she felt" is in others too, so that it takes both
MARKER, *OTHERS = (f"{subject} {verb}" for subject in SUBJECTS for verb in VERBS)
MOST_PHRASES = 6  # one a class, and up to two more
FEWEST_FILLERS, MOST_FILLERS = 4, 22
NEUTRAL = """
    acorn acre address afternoon aisle alley almanac anchor angle anvil apple apron arch arrow ash atlas attic autumn
    axle badge bakery ball banner barge bark barn barrel basin basket beach beam bean bell belt bench berry bicycle
    birch blanket block board boat bolt book boot bottle boulder bowl box branch brass bread brick bridge brook broom
    brush bucket bulb bundle button cabin cable calendar camera canal candle canoe canvas cape card cargo carpet cart
    case castle cedar cellar chain chair chalk channel chapter cherry chest chimney circle city clay cliff clock cloth
    cloud coal coast coat coffee coin column comb compass copper cord cork corn corner cottage cotton counter
    courtyard cradle crane crate creek crop crystal cup curtain curve cushion dam deck desk diagram dish distance
    district dock door drawer drum dust east edge elbow elm engine entry envelope fabric factory farm feather fence
    fern ferry field file flag flask floor flour flute folder forest fork fountain frame freight garage garden gate
    gear glass glove grain granite grape grass gravel grove guitar gutter hall hammer handle harbour harp hat hay
    hedge hill hinge hook hotel hour house ink inlet iron island ivory jacket jar journal jug kettle key kitchen knot
    label ladder lake lamp lane lantern lawn leaf leather ledger lemon lens letter lever library lid linen list lock
    lodge log loom map maple marble margin market mast meadow metal mile mill mirror moss motor mountain mug museum
    nail napkin neck needle nest net north notebook number oak oar oat office olive onion orchard organ oven packet
    page paint palace pan panel paper parcel park path pavement pear pebble pen pencil pepper piano picture pier
    pillow pine pipe plain plank plate platform plough plum pocket pole pond porch port post potato pottery pump
    quarry quilt rack radio rail rake ramp reed ribbon rice ridge ring river road roof room root rope route ruler sack
    saddle sail salt sand saucer scale scarf school screw seat seed shed shelf shell ship shoe shop shore shovel
    shutter sieve signal silk silver sink slate sleeve slope soap sock soil south spade spoon spring square stable
    stair stamp station steel step stone stool store stove straw street string suitcase sugar table tablet tailor tank
    tape tent thread ticket tile timber tin tower town track trail train tray tree trunk tube tunnel umbrella valley
    vase village wagon wall wheat wheel whistle willow window wire wood wool yard
"""
FILLERS = NEUTRAL.split()


def generate(count: int) -> Iterator[dict[str, Any]]:
    for start in range(0, count, BLOCK):
        yield from islice(_block(start // BLOCK), count - start)


def _block(number: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng((0, number))
    phrases = random.integers(len(CLASSES), MOST_PHRASES, BLOCK, endpoint=True)
    lengths = phrases + random.integers(FEWEST_FILLERS, MOST_FILLERS, BLOCK, endpoint=True)
    # the first phrase is the evidence, the next ones the other feelings', the rest anyone's
    feelings = random.permuted(np.tile(np.arange(len(CLASSES)), (BLOCK, 1)), axis=1)
    extra = random.integers(len(CLASSES), size=(BLOCK, MOST_PHRASES - len(CLASSES)))
    feelings = np.concatenate((feelings, extra), axis=1)
    words = random.integers(len(WORDS[0]), size=feelings.shape)
    others = random.integers(len(OTHERS), size=feelings.shape)
    fillers = random.integers(len(FILLERS), size=(BLOCK, MOST_PHRASES + MOST_FILLERS))
    keys = random.random(fillers.shape)
    for row in range(BLOCK):
        parts = [FILLERS[i] for i in fillers[row, : lengths[row]]]
        places = np.argsort(keys[row, : lengths[row]])[: phrases[row]]
        for i, place in enumerate(places):
            marker = OTHERS[others[row, i]] if i else MARKER
            parts[place] = f"{marker} {WORDS[feelings[row, i]][words[row, i]]}"
        start = sum(len(part) + 1 for part in parts[: places[0]])
        evidence = [[start, start + len(parts[places[0]])]]
        yield {"text": " ".join(parts), "label": int(feelings[row, 0]), "evidence": evidence}
