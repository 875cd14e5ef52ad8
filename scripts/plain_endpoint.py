"""The endpoint that one writes first: FastAPI, and the model called once a request. What `serve_speed` compares with.

ATTNPRED_RUN=RUN uvicorn scripts.plain_endpoint:app --port 8001
"""

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

import attnpred

app = FastAPI()
model = attnpred.load(os.environ["ATTNPRED_RUN"])
model.predict("a first one loads the model")


class Ask(BaseModel):
    input: str
    attention: bool = True


@app.post("/v1/predict")
def predict(asked: Ask) -> dict[str, Any]:
    [answer] = model.predict(asked.input, attention=asked.attention)
    return answer
