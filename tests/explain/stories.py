"""Small stories as the report of explanations takes them."""

import base64
import io

import numpy as np
from PIL import Image

EXPLAINERS = [
    {"name": "attention", "signed": False, "about": "what the pooling weighs"},
    {"name": "gradient", "signed": True, "about": "the slope at each part"},
    {"name": "occlusion", "signed": True, "about": "what leaving a part out costs"},
]
WORDS = ["a", "fine", "film", "that", "never", "drags"]


def text_example(number: int, label: str | None, predicted: str, sure: float, words=WORDS, names=None, **more):
    names = names or [explainer["name"] for explainer in EXPLAINERS]
    ramp = np.arange(1.0, len(words) + 1)
    maps = {name: (ramp if i == 0 else ramp * (-1.0) ** np.arange(len(words))).tolist() for i, name in enumerate(names)}
    other = "negative" if predicted == "positive" else "positive"
    probabilities = {predicted: sure, other: 1 - sure}
    given = {"id": number, "label": label, "predicted": predicted, "explained": predicted}
    given |= {"wrong": label not in (None, predicted), "confidence": sure, "order": sure}
    return {**given, "probabilities": probabilities, "words": list(words), "maps": maps, **more}


def text_story(examples, **more):
    return {
        "title": "transformer on sst2, test accuracy 0.831",
        "run": "2026-11-21/03-12-44-transformer-sst2-a2e9",
        "model": "transformer",
        "data": "sst2",
        "split": "val",
        "modality": "text",
        "scored": "the probability of the explained class",
        "classes": ["negative", "positive"],
        "explainers": EXPLAINERS,
        "faithfulness": None,
        "examples": examples,
        **more,
    }


def mixed_examples():
    """Two mistakes among five, in another order than the page's."""
    return [
        text_example(1, "positive", "positive", 0.6),
        text_example(2, "negative", "positive", 0.7, words=["dull", "film"]),
        text_example(3, "negative", "negative", 0.99),
        text_example(4, "positive", "negative", 0.9),
        text_example(5, None, "positive", 0.8),
    ]


def faithfulness():
    def around(mean):
        return [mean, mean - 0.05, mean + 0.05]

    def differs(by, p):
        return {"difference": by, "low": by - 0.05, "high": by + 0.05, "p": p, "examples": 200}

    fractions = [i / 10 for i in range(11)]
    falling = {"attention": 3, "gradient": 1.2, "random": 1}
    return {
        "removal": "mask",
        "examples": 200,
        "fractions": fractions,
        "scores": {
            "attention": {"comprehensiveness": around(0.5), "sufficiency": around(0.1), "deletion": around(0.4)},
            "gradient": {"comprehensiveness": around(0.14), "sufficiency": [0.3, 0.25, float("nan")]},
            "random": {"comprehensiveness": around(0.1), "sufficiency": around(0.35), "deletion": around(0.42)},
        },
        "tests": {
            "attention": {
                "comprehensiveness": differs(0.4, 1e-9),
                "sufficiency": differs(-0.25, 1e-6),
                "deletion": differs(-0.02, 0.21),
            },
            "gradient": {"comprehensiveness": differs(0.04, None), "sufficiency": differs(0.1, 0.004)},
        },
        "curves": {name: {"deletion": [0.9 * (1 - f) ** p for f in fractions]} for name, p in falling.items()},
        "sanity": {"attention": 0.1, "gradient": 0.8},
    }


def image_story(side=32, grid=(4, 4), **more):
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    regions = grid[0] * grid[1]
    ramp = [float(i) for i in range(regions)]
    example = {
        "id": 7,
        "label": "cat",
        "predicted": "dog",
        "explained": "cat",
        "wrong": True,
        "confidence": 0.7,
        "order": 0.7,
        "probabilities": {"cat": 0.3, "dog": 0.7},
        "image": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        "size": [side, side],
        "grid": list(grid),
        "maps": {"attention": ramp, "gradient": [value - 5 for value in ramp]},
        "evidence": [int(i in (5, 6)) for i in range(regions)],
        "heads": [[ramp, ramp[::-1]]] * 3,
        **more,
    }
    return {**text_story([example]), "modality": "image", "data": "cifar10", "classes": ["cat", "dog"]}


def several_story(side=32, grid=(2, 2), **more):
    """A question of three words beside an image of four regions, which attend to one another."""
    image = image_story(side, grid)["examples"][0]
    words = ["which", "shape", "left"]
    parts = len(words) + 4
    cross = np.zeros((parts, parts))
    cross[2, 3:] = (0.1, 0.0, 0.8, 0.0)  # left reads the third region most
    cross[5, :3] = (0.0, 0.2, 0.6)  # which reads left most
    given = {"id": 7, "label": "yes", "predicted": "no", "explained": "no", "wrong": True, "order": 0.7}
    example = {
        **given,
        "confidence": 0.7,
        "probabilities": {"no": 0.7, "yes": 0.3},
        "inputs": [
            {"name": "question", "words": words},
            {"name": "image", **{key: image[key] for key in ("image", "size", "grid")}},
        ],
        "cross": cross.tolist(),
        "maps": {"attention": [0.0, 0.0, 0.25, 0.0, 0.0, 0.75, 0.0], "gradient": [0.0, 1.0, 0.0, -2.0, 0.0, 0.0, 1.0]},
        "evidence": [0, 0, 1, 0, 0, 1, 0],
        **more,
    }
    return {**text_story([example]), "modality": "several", "data": "evidence_pair", "classes": ["no", "yes"]}


def answers_story():
    """A text with two answers, each with maps of its own."""
    one = text_example(3, "negative", "positive", 0.8)
    keys = ("label", "predicted", "explained", "wrong", "confidence", "probabilities", "maps")
    first = {"name": "mood", **{key: one[key] for key in keys}}
    number = {"label": "3.5", "predicted": "4.25", "explained": "stars above its mean", "probabilities": {}}
    maps = {name: values[::-1] for name, values in one["maps"].items()}
    second = {**first, "name": "stars", **number, "wrong": False, "confidence": None, "maps": maps}
    measured = faithfulness()
    both = {**measured, "answers": {"mood": {**measured, "scored": "how glad"}, "stars": measured}}
    return text_story([{**one, "answers": [first, second]}], faithfulness=both, classes=[])
