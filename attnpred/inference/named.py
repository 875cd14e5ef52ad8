"""Examples of several inputs as they are typed: --input question=… --input image=x.png."""

import json
from collections.abc import Sequence

from attnpred.errors import UserError


def by_name(pairs: Sequence[str]) -> list[str]:
    """Each example as a JSON object; a name that was given before begins another example."""
    examples: list[dict[str, str]] = []
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(f"--input {pair}: must be NAME=VALUE, such as question='what is it'")
        if not examples or name in examples[-1]:
            examples.append({})
        examples[-1][name] = value
    return [json.dumps(example, ensure_ascii=False) for example in examples]
