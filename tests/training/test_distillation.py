"""A model that learns what another answers, and where it looks."""

import json

import numpy as np
import pytest
import torch

from attnpred.cli import main
from attnpred.contracts import AnswerSpec
from attnpred.data import cache
from attnpred.training import distillation
from attnpred.training.distillation import imitation
from attnpred.training.learner import Learner
from attnpred.training.word_shares import shares_on_words
from tests.data.made import make_text_source
from tests.died import Died, check_same, dies_at, the_run, train
from tests.training.test_masked import SMALL as OFTEN

SMALL = [*OFTEN, "data=imdb", "data.max_length=24", "data.batch_size=8", "data.val_split=test"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    place = tmp_path_factory.mktemp("source")
    source = make_text_source(place / "imdb")
    return [*SMALL, f"data.source={source}", f"data.cache_dir={place / 'cache'}"]


@pytest.fixture(scope="module")
def teacher(own, tmp_path_factory):
    return train(tmp_path_factory.mktemp("teacher"), [*own, "data.tokenizer.vocab_size=200", "trainer.max_epochs=3"])


@pytest.fixture(scope="module")
def words(own, teacher):
    """A student with another vocabulary, that learns from the teacher alone."""
    taught = [f"model.teacher={teacher.path}", "model.teacher_weight=1", "model.teacher_attention=1"]
    return [*own, "data.tokenizer.vocab_size=90", "trainer.max_epochs=2", *taught]


@pytest.fixture(scope="module")
def student(words, tmp_path_factory):
    return train(tmp_path_factory.mktemp("student"), words)


def test_its_answers_are_made_once_and_training_goes_on_to_the_last_bit(words, student, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(distillation, "_ask", lambda *given: asked.append(given))
    with monkeypatch.context() as patched:
        dies_at(patched, Learner, "training_step", 5)
        with pytest.raises(Died):
            main(["train", *words, f"output_dir={tmp_path / 'died'}"])
    assert main(["train", *words, f"output_dir={tmp_path / 'died'}"]) == 0
    assert asked == []
    check_same(the_run(tmp_path / "died"), student)


def test_the_student_says_what_the_teacher_says(teacher, student, capsys):
    texts = [
        "The film was great and quite lovely.",
        "A dull plot and the worst actor.",
        "The story was the best scene.",
    ]
    capsys.readouterr()
    said = []
    for run in (teacher, student):
        assert main(["predict", str(run.path), *texts]) == 0
        said.append([json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()])
    assert said[0] == said[1]
    assert not (student.path / "teacher").exists()


def test_attention_lies_on_the_same_words(words, teacher, student):
    """What is kept of the teacher, laid on the student's tokens, gives the teacher's words their shares."""
    config = student.config()
    data = student.data(config)
    (place,) = (p for p in cache.path_of(config.data.cache_dir, "").glob("teacher-*") if p.is_dir())
    kept = distillation.Teacher(config, AnswerSpec(2), place, data.reader)
    batch = next(data.loader("train").sample(6))
    shares = kept.words.on_parts(batch.ids.tolist(), batch.input.tokens.shape[1])
    torch.testing.assert_close(shares.sum(1), torch.ones(len(batch)), atol=1e-3, rtol=0)
    texts = dict(distillation._texts(data, set(batch.ids.tolist())))
    reader, model = teacher.reader(), teacher.load_model()
    for row, number in enumerate(batch.ids.tolist()):
        [reading] = reader.readings(texts[number], 1)
        with torch.no_grad():
            attention = model(reading.batch, need_attention=True).attention
        [[told]] = shares_on_words(reading.describe(attention))
        [own] = shares_on_words(
            data.reader.describe(batch.input.rows(torch.tensor([row])))(_map(shares[row : row + 1]))
        )
        seen = len(texts[number][0].split()) == len(own[0])
        if seen:
            np.testing.assert_allclose(own[0], told, atol=5e-3)


def _map(importance):
    from attnpred.contracts import Attention

    return Attention(importance)


def test_the_distance_of_answers_goes_by_what_they_are():
    said = torch.tensor([[2.0, -1.0, 0.0]])
    for spec in (AnswerSpec(3), AnswerSpec(3, exclusive=False), AnswerSpec(3, exclusive=False, centred=True)):
        free = torch.zeros(1, 3, requires_grad=True)
        imitation(free, said, spec, 2.0).backward()
        assert free.grad[0, 0] < 0 < free.grad[0, 1]
        same = said.clone().requires_grad_()
        imitation(same, said, spec, 2.0).backward()
        assert same.grad.abs().max() < 1e-6
    hot, cold = (imitation(torch.zeros(1, 3), said, AnswerSpec(3), t) for t in (100.0, 1.0))
    assert hot < cold * 3  # in the scale of a cross-entropy at any temperature


def test_a_teacher_of_something_else_is_refused(own, teacher, tmp_path, capsys):
    def refused(*words):
        assert main(["train", *words, f"model.teacher={teacher.path}", f"output_dir={tmp_path / 'no'}"]) == 2
        return capsys.readouterr().err

    digits = [word for word in own if not word.startswith("data")]
    assert "answers another question (bad, good)" in refused(*digits, "data=digits")
    assert "set data.stream=false" in refused(*own, "data.stream=true", "data.stream_buffer=20")
    assert "teaches one answer an example" in refused(*own, "task=masked_tokens")
    assert main(["train", *own, "model.teacher=nowhere", f"output_dir={tmp_path / 'no'}"]) == 2
    assert "nowhere: no such directory" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
