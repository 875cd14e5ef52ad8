"""What a client may ask, in JSON: checked before anything is done for it."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attnpred.files import plain_json
from attnpred.inference.serving.guard import Refused

DEEPEST = 32  # lists and objects in one another


class Ask(BaseModel):
    """One input or many."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(default=None, description="Name of a model; may be left out where one is served.")
    version: str | None = Field(default=None, description="Its version; the newest where none is given.")
    input: Any = Field(
        default=None,
        description="A text; a list of words; an object of several texts; a picture's file in base64; rows of numbers.",
    )
    inputs: list[Any] | None = Field(default=None, description="Several of them, in place of input.")
    explainer: str | None = Field(default=None, description="Whose map to give in place of the model's own attention.")
    attention: bool = Field(default=True, description="Whether parts and their attention are told.")

    def values(self) -> list[Any]:
        return [self.input] if self.inputs is None else self.inputs


def parse(body: bytes, most: int) -> Ask:
    """The request; Refused where it is none. `most` inputs are taken at once."""
    try:
        content = plain_json(body)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it is nested or written in no usual way"
        raise Refused(400, "malformed", f"the body is no JSON: {reason}") from None
    if _deeper(content, DEEPEST):
        raise Refused(400, "malformed", f"the body holds lists or objects more than {DEEPEST} deep in one another")
    try:
        asked = Ask.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise Refused(422, "invalid", f"{place}: {first['msg']}") from None
    if (asked.input is None) == (asked.inputs is None):
        raise Refused(422, "invalid", "give input, or inputs for several")
    if not 0 < len(asked.values()) <= most:
        raise Refused(422, "invalid", f"inputs: give 1 to {most} of them", most_inputs=most)
    return asked


def _deeper(value: Any, left: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(left == 0 or _deeper(one, left - 1) for one in inner if isinstance(one, dict | list))


def schema() -> dict[str, Any]:
    """How OpenAPI describes the body, which the service reads itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": Ask.model_json_schema()}}}}
