"""Reads a tokenizer from standard input and encodes some texts, within limits; says on standard output what is wrong.

A program of its own that imports nothing of attnpred, so that it starts quickly and cannot take anything with it.
"""

import json
import resource
import sys

TEXTS = [
    "",
    "a",
    "It's a plain sentence, with 12 numbers: 3.14 & more!\n\tAnd a second line…",
    "Ünïcödé ﷺ 漢字 かな 한국어 العربية עברית हिन्दी ไทย 🙂👩‍👩‍👧 \u0000 \u200b \ufeff",
    " " * 200,
    *(letter * 500 + "!" for letter in "a1.é漢"),
]


def main() -> int:
    given = json.load(sys.stdin.buffer)
    resource.setrlimit(resource.RLIMIT_AS, (given["memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(given["tokenizer"])
        tokenizer.no_truncation()
        tokenizer.no_padding()
        for text in (*TEXTS, *given["literals"]):
            tokenizer.encode(text)
    except BaseException as error:  # a panic is no Exception
        print(" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
