"""The service at a port: slow clients, the page in a browser, and how a process of its own begins and ends."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from attnpred.cli import main
from attnpred.inference.serving.app import Service
from attnpred.inference.serving.options import Limits, Options
from tests.inference.serving.conftest import Fake, listening

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def service(*models, **limits):
    options = Options(served=[one.served for one in models], limits=Limits(**{"max_wait_ms": 1.0, **limits}))
    return Service(options, list(models), log=False)


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def everything(connection):
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    return found


def asked(port, value="abc"):
    body = json.dumps({"input": value}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/predict", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["answers"][0]["answer"]


def test_clients_that_send_too_slowly_are_sent_away_and_others_served():
    with listening(service(Fake(), slow_seconds=0.3)) as (port, _):
        silent, head, body, later = (connected(port) for _ in range(4))
        head.sendall(b"POST /v1/pre")
        body.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        later.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        told = b""
        while not told.endswith(b"}"):
            told += later.recv(65536)
        later.sendall(b"GET /he")  # a second request on the same connection
        assert asked(port) == "cba"
        assert everything(silent) == everything(head) == everything(later) == b""
        assert b"408" in everything(body).splitlines()[0]


def test_a_client_that_reads_nothing_is_sent_away():
    class Long(Fake):
        def work(self, values, explainer, attention):
            return [{"answer": "x" * 2**24} for _ in values]

    with listening(service(Long(), slow_seconds=0.3)) as (port, server):
        client = connected(port)
        client.sendall(HEAD + b'Content-Length: 16\r\n\r\n{"input": "abc"}')
        until = time.monotonic() + 30
        while not server.server_state.connections:
            assert time.monotonic() < until
            time.sleep(0.01)
        while server.server_state.connections:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_stopping_answers_what_was_taken():
    fake = Fake()
    with listening(service(fake, max_batch=2)) as (port, server):
        fake.free.clear()
        answers = []
        threads = [threading.Thread(target=lambda n=n: answers.append(asked(port, f"a{n}"))) for n in range(6)]
        for one in threads:
            one.start()
        until = time.monotonic() + 30
        while len(server.server_state.tasks) < 6:
            assert time.monotonic() < until
            time.sleep(0.01)
        server.should_exit = True
        while server.servers[0].is_serving():
            assert time.monotonic() < until
            time.sleep(0.01)
        fake.free.set()
        for one in threads:
            one.join(30)
    assert sorted(answers) == [f"{n}a" for n in range(6)]


@pytest.mark.slow
def test_a_process_serves_a_run_loads_it_anew_and_ends_by_a_signal(text_run, tmp_path):
    key = "secret-key-of-alice-0123456789"
    command = [sys.executable, "-m", "attnpred", "serve", f"films={text_run.path}", "--port", "0"]
    environment = {**os.environ, "ATTNPRED_API_KEYS": f"alice:{key}"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as child:
        said = []
        for line in child.stderr:
            said.append(line)
            if line.startswith("listens at "):
                break
        port = int(line.rpartition(":")[2])
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/predict?key={key}",
            b'{"input": "a lovely film"}',
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        for _ in range(100):
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    assert "label" in json.load(response)["answers"][0]
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
            except urllib.error.URLError:
                time.sleep(0.05)
        child.send_signal(signal.SIGHUP)
        for line in child.stderr:
            said.append(line)
            if line.startswith("loaded anew: films 1"):
                break
        child.send_signal(signal.SIGTERM)
        said += child.stderr.readlines()
    assert child.returncode == 0
    assert said[-1] == "stopped: all that was taken is answered\n"
    assert key not in "".join(said)


def started(run, *more):
    """A service in a process of its own, and its port."""
    command = [sys.executable, "-m", "attnpred", "serve", f"films={run}", "--port", "0", "--no-access-log", *more]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = next(line for line in child.stderr if line.startswith("listens at "))
    return child, int(line.rpartition(":")[2])


def answered(port):
    """Whether there was an answer; what a client cannot miss is raised."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/predict", b'{"input": "a lovely film"}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return "label" in json.load(response)["answers"][0]


@pytest.mark.slow
def test_a_killed_service_leaves_no_client_waiting_and_begins_anew(text_run, tmp_path):
    log = tmp_path / "log"
    child, port = started(text_run.path, "--log", str(log))
    counts, missed, begun = [0] * 8, [None] * 8, threading.Event()

    def ask(number):
        while missed[number] is None:
            try:
                counts[number] += answered(port)
                begun.set()
            except (OSError, http.client.HTTPException) as error:  # refused, cut off, or half an answer
                if begun.is_set():
                    missed[number] = error

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for one in threads:
        one.start()
    assert begun.wait(60)
    while sum(counts) < 50:
        time.sleep(0.01)
    child.kill()
    for one in threads:
        one.join(30)
    assert not any(one.is_alive() for one in threads)
    assert all(missed)
    assert child.wait(30) == -signal.SIGKILL
    child.stderr.close()
    again, port = started(text_run.path, "--log", str(log))
    with again:
        for _ in range(100):
            with contextlib.suppress(ConnectionError, urllib.error.URLError):
                assert answered(port)
                break
            time.sleep(0.05)
        again.send_signal(signal.SIGTERM)
    assert again.returncode == 0
    rows = [line for file in log.glob("*.jsonl") for line in file.read_bytes().splitlines()]
    assert sum(counts) < len(rows) + 1 <= sum(counts) + 8 + 2  # of each client one may have been on its way


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing"], "no such directory"),
        (["{run}", "--max-batch", "0"], "--max-batch 0: must be at least 1"),
        (["{run}", "--precision", "int8"], "attnpred export"),
        (["{run}", "--port", "70000"], "is no port"),
        (["{run}", "--keys", "{keys}"], "line 2 is no NAME:KEY"),
        (["{run}", "--log-inputs"], "give --log DIR"),
        (["a=b=c"], "no name of a model"),
    ],
)
def test_mistakes_are_one_line(text_run, tmp_path, capsys, words, said):
    keys = tmp_path / "keys"
    keys.write_text("alice:0123456789abcdef\nbob:short\n")
    filled = [word.format(run=text_run.path, keys=keys) for word in words]
    assert main(["serve", *filled]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "short" not in err
