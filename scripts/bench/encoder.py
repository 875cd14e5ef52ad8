"""A BERT with random weights, and `transformers.Trainer` fine-tuning it: speed needs no pretrained ones."""

import string
import tempfile
from pathlib import Path
from typing import Any

import torch

from scripts.bench import minilm_sst2, ours
from scripts.bench.harness import Options

VOCABULARY = 30_522  # bert-base's
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def random(directory: Path, *, tiny: bool) -> str:
    """Writes an encoder of bert-base's size, or a tiny one, with a tokenizer that knows letters; returns where."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    directory.mkdir()
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    words += [f"[unused{number}]" for number in range(VOCABULARY - len(words))]
    vocabulary = directory / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(directory)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=VOCABULARY, **(TINY if tiny else {}))).save_pretrained(directory)
    return str(directory)


def trainer_rate(source: str, overrides: list[str], options: Options, *, compiled: bool) -> float:
    """Examples a second of `transformers.Trainer` in bf16 on the rows and batches of our config."""
    import transformers

    config: Any = ours.composed([*overrides, f"model.source={source}"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    rows = minilm_sst2.tokenised(config.data, "train", tokenizer, config.data.max_length)
    clock = minilm_sst2.clock_callback(options.warmup, options.warmup + options.steps)
    arguments: dict[str, Any] = {
        "max_steps": options.warmup + options.steps,
        "per_device_train_batch_size": config.data.batch_size,
        "bf16": True,
        "torch_compile": compiled,
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    with tempfile.TemporaryDirectory() as directory:
        trainer = transformers.Trainer(
            model=transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=2),
            args=transformers.TrainingArguments(output_dir=directory, **arguments),
            train_dataset=rows,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            callbacks=[clock],
        )
        trainer.train()
    return config.data.batch_size * options.steps / (clock.times[-1] - clock.times[0])
