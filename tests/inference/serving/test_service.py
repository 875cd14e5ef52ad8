"""What a client asks and is told, model by model; reload, keys, limits, and hostile bodies."""

import base64
import hashlib
import io
import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.inference.predict import predict
from attnpred.inference.serving.models import Model, parse
from attnpred.inference.serving.options import Served
from tests.inference.serving.conftest import Fake


def post(client, path="/v1/predict", **body):
    return client.post(path, json=body)


@pytest.fixture(scope="module")
def text_model(text_run):
    return Model(Served(name="films", version="1", path=text_run.path), "auto")


@pytest.fixture(scope="module")
def image_model(image_run):
    return Model(Served(name="digits", version="1", path=image_run.path), "float32")


def test_answers_are_those_of_predict(client, text_model, text_run):
    texts = ["a lovely film", "dull", ""]
    found = post(client(text_model), inputs=texts).json()
    assert (found["model"], found["version"]) == ("films", "1")
    for told, alone in zip(found["answers"], predict(text_run, text_run.config(), texts), strict=True):
        assert told["label"] == told["answer"] == alone["label"]
        assert told["attention"] == pytest.approx(alone["attention"], abs=1e-5)
        assert "input" not in told


def test_an_explainer_takes_the_place_of_attention(client, text_model, text_run):
    own = client(text_model)
    told = post(own, input="a lovely film", explainer="integrated_gradients").json()["answers"][0]
    [alone] = predict(text_run, text_run.config(), ["a lovely film"], "integrated_gradients")
    assert told["attention"] == pytest.approx(alone["attention"], abs=1e-4)
    assert "attention" not in post(own, input="a lovely film", attention=False).json()["answers"][0]
    missing = post(own, input="a", explainer="gradcam")
    assert missing.status_code == 422
    assert "gradcam" in missing.json()["error"]["message"]


def test_several_models_and_versions_stand_side_by_side(client, text_model, image_model):
    own = client(text_model, image_model, Fake("films", "2", word="!"))
    listed = [(one["name"], one["version"], one["input"]) for one in own.get("/v1/models").json()["models"]]
    assert listed == [("films", "1", "text"), ("films", "2", "text"), ("digits", "1", "image")]
    assert post(own, input="abc", model="films").json()["answers"] == [{"answer": "cba!", "confidence": None}]
    assert "label" in post(own, input="abc", model="films", version="1").json()["answers"][0]
    for body in ({}, {"model": "other"}, {"model": "films", "version": "3"}):
        assert post(own, input="abc", **body).status_code == 404


def test_a_picture_is_sent_as_it_is(client, image_model, image_run, tmp_path):
    from PIL import Image

    file = tmp_path / "a.png"
    Image.linear_gradient("L").resize((8, 8)).save(file)
    sent = base64.b64encode(file.read_bytes()).decode()
    own = client(image_model)
    [alone] = predict(image_run, image_run.config(), [str(file)])
    for value in (sent, f"data:image/png;base64,{sent}"):
        told = post(own, input=value).json()["answers"][0]
        assert told["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)
        assert (told["size"], len(told["attention"])) == ([8, 8], 8)


def test_a_name_of_a_file_of_the_machine_is_no_picture(client, image_model, tmp_path):
    from PIL import Image

    file = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(file)
    found = post(client(image_model), input=str(file))
    assert found.status_code == 422
    assert "base64" in found.json()["error"]["message"]


def test_a_huge_picture_is_refused_by_its_head(client, image_model):
    from PIL import Image

    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    found = post(client(image_model), input=base64.b64encode(file.getvalue()).decode())
    assert found.status_code == 422
    assert "9,000 × 9,000 pixels" in found.json()["error"]["message"]


def test_a_bad_input_among_others_gets_its_error_and_they_their_answers(client):
    found = post(client(), inputs=["abc", 7, "bad", "xyz"])
    assert found.status_code == 200
    assert found.json()["answers"] == [
        {"answer": "cba", "confidence": None},
        {"error": "the model reads a text"},
        {"error": "unreadable"},
        {"answer": "zyx", "confidence": None},
    ]


BODIES = {
    "nothing": b"",
    "half": b'{"input": "a',
    "bytes": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "deep object": b'{"input": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
    "huge number": b'{"input": ' + b"9" * 10_000 + b"}",
    "no object": b"[1, 2]",
    "unknown": b'{"input": "a", "file": "/etc/passwd"}',
    "both": b'{"input": "a", "inputs": ["b"]}',
    "none": b'{"inputs": []}',
    "many": json.dumps({"inputs": ["a"] * 300}).encode(),
    "mistyped": b'{"input": "a", "attention": "yes"}',
    "lone surrogate": b'{"input": "a", "model": "\\ud800"}',
    "path": b'{"input": "a", "model": "../../etc"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_malformed_bodies_are_refused_in_one_form_and_the_service_goes_on(client, name):
    own = client()
    found = own.post("/v1/predict", content=BODIES[name], headers={"content-type": "application/json"})
    assert found.status_code in (400, 404, 422)
    assert set(found.json()["error"]) >= {"code", "message"}
    assert post(own, input="abc").json()["answers"] == [{"answer": "cba", "confidence": None}]


def test_a_body_that_is_too_large_or_no_json_is_not_read(client):
    own = client(max_body_bytes=1000)
    assert post(own, input="a" * 2000).json()["error"]["code"] == "too_large"

    def pieces():
        for _ in range(20):
            yield b" " * 100

    streamed = own.post("/v1/predict", content=pieces(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    assert own.post("/v1/predict", data={"input": "a"}).status_code == 415
    assert own.get("/v1/predict").status_code == 405
    assert own.get("/nowhere").json()["error"]["message"] == "Not Found"


def test_overload_is_told_with_when_to_come_again_and_what_was_taken_is_answered(client):
    fake = Fake()
    own = client(fake, max_queue=4, max_inputs=4, max_batch=2)
    [(_, batcher)] = own.service.models.every()
    fake.free.clear()
    answers, threads = [], []
    for waiting in (0, 2, 4):  # the first is at work, two wait
        threads.append(threading.Thread(target=lambda: answers.append(post(own, inputs=["ab"] * 2).json()["answers"])))
        threads[-1].start()
        while not fake.started.wait(0.01) or batcher.waiting < waiting:
            assert threads[-1].is_alive()
    refused = post(own, inputs=["b"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert refused.json()["error"]["retry_after_seconds"] > 0
    assert int(refused.headers["retry-after"]) >= 1
    fake.free.set()
    for one in threads:
        one.join(30)
    assert answers == [[{"answer": "ba", "confidence": None}] * 2] * 3


def test_a_request_that_takes_too_long_is_told_so(client):
    fake = Fake()
    own = client(fake, request_seconds=0.2)
    fake.free.clear()
    found = post(own, input="abc")
    fake.free.set()
    assert (found.status_code, found.json()["error"]["code"]) == (504, "timeout")


def test_keys_are_asked_for_and_never_told(client, capsys):
    key = "k" * 20
    keys = {"alice": hashlib.sha256(key.encode()).digest(), "admin": hashlib.sha256(b"a" * 20).digest()}
    own = client(keys=keys, log=True)
    assert post(own, input="abc").status_code == 401
    for headers in ({"Authorization": "Bearer " + "x" * 20}, {"X-API-Key": ""}):
        assert own.post("/v1/predict", json={"input": "abc"}, headers=headers).status_code == 401
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert own.post(f"/v1/predict?token={key}", json={"input": "abc"}, headers=headers).status_code == 200
    assert own.post("/v1/reload", headers={"X-API-Key": key}).status_code == 403
    assert own.get("/health").status_code == own.get("/metrics").status_code == 200
    said = capsys.readouterr().err
    assert "POST /v1/predict 200" in said
    assert "by alice" in said
    assert key not in said
    assert key not in repr(own.service.options)


def test_a_failure_is_told_without_what_the_client_sent(client, capsys):
    found = post(client(log=True), input="poison")
    assert (found.status_code, found.json()["error"]["code"]) == (500, "internal")
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert "conftest.py" in said
    assert "secret text" not in said + found.text


def test_metrics_tell_what_happened(client):
    own = client()
    post(own, inputs=["a", "b"])
    own.get("/nowhere")
    text = own.get("/metrics").text
    assert 'attnpred_requests_total{path="/v1/predict",status="200"} 1.0' in text
    assert 'attnpred_requests_total{path="other",status="404"} 1.0' in text
    assert 'attnpred_inputs{model="fake",outcome="answered",version="1"} 2.0' in text
    assert 'attnpred_batch_size_sum{model="fake",version="1"} 2.0' in text


def test_openapi_describes_the_request(client):
    paths = client().get("/openapi.json").json()["paths"]
    schema = paths["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"model", "version", "input", "inputs", "explainer", "attention"}


def test_reload_drops_no_request(client):
    """Clients ask without a pause while the model is exchanged again and again: each is answered by one of them."""
    own = client(Fake(word="-0"), keys={"admin": hashlib.sha256(b"a" * 20).digest()})
    made = []

    def load(served, precision):
        made.append(Fake(word=f"-{len(made) + 1}"))
        return made[-1]

    own.service.models._load = load
    headers, answers, ending = {"X-API-Key": "a" * 20}, [], threading.Event()

    def ask():
        while not ending.is_set():
            found = own.post("/v1/predict", json={"input": "abc"}, headers=headers)
            answers.append((found.status_code, found.json()["answers"][0]["answer"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for _ in range(5):
        before = len(answers)
        assert own.post("/v1/reload", headers=headers).json() == {"wrong": {}}
        while len(answers) < before + 8:
            assert any(one.is_alive() for one in threads)
    ending.set()
    for one in threads:
        one.join(30)
    assert {status for status, _ in answers} == {200}
    assert {word for _, word in answers} >= {"cba-1", "cba-5"}


def test_a_model_that_cannot_be_loaded_anew_stays(client):
    own = client(keys={"admin": hashlib.sha256(b"a" * 20).digest()})

    def load(served, precision):
        raise UserError("its weights are gone; restore them")

    own.service.models._load = load
    found = own.post("/v1/reload", headers={"X-API-Key": "a" * 20})
    assert (found.status_code, found.json()["wrong"]) == (409, {"fake 1": "its weights are gone; restore them"})
    assert own.post("/v1/predict", json={"input": "abc"}, headers={"X-API-Key": "a" * 20}).status_code == 200


def test_names_and_versions_of_what_is_served(tmp_path):
    (tmp_path / "one").mkdir()
    place = str(tmp_path / "one")
    found = [(one.name, one.version) for one in parse([place, f"a={place}", f"a={place}", f"b@next={place}"])]
    assert found == [("one", "1"), ("a", "1"), ("a", "2"), ("b", "next")]
    for words in ([f"a/b={place}"], [f"={place}"], [f"a@1={place}", f"a@1={place}"]):
        with pytest.raises(UserError):
            parse(words)


def test_an_export_is_served_like_its_run(client, text_model, text_run, capsys):
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    assert main(["export", str(text_run.path), "--examples", "20"]) == 0
    folder = json.loads(capsys.readouterr().out)["export"]
    own = client(text_model, Model(Served(name="exported", version="1", path=Path(folder)), "auto"))
    ours, theirs = (post(own, input="a lovely film", model=name).json()["answers"][0] for name in ("films", "exported"))
    assert theirs["label"] == ours["label"]
    assert theirs["attention"] == pytest.approx(ours["attention"], abs=1e-4)
    assert post(own, input="a", model="exported", explainer="integrated_gradients").status_code == 422
    with pytest.raises(UserError, match="attnpred export"):
        Model(Served(name="a", version="1", path=text_run.path), "int8")


def test_weights_in_half_the_digits_answer_as_before_and_explain_exactly(client, text_run):
    import torch

    served = Served(name="films", version="1", path=text_run.path)
    half, exact = Model(served, "bf16"), Model(served, "float32")
    inside = [p.dtype for layer in half.predictor.model.layers for p in layer.attention.parameters()]
    assert torch.bfloat16 in inside
    assert {p.dtype for p in half.predictor.exact.parameters()} == {torch.float32}
    texts = ["a lovely film", "dull"]
    for ours, theirs in zip(*(one.work(texts, "integrated_gradients", True) for one in (half, exact)), strict=True):
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=0.02)
        assert ours["attention"] == pytest.approx(theirs["attention"], abs=1e-4)
