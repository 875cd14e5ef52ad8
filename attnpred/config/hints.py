"""What people call options elsewhere, and what they are called here."""

import difflib
from collections.abc import Iterable

OPTIONS = {
    "trainer.max_epochs": "epochs num_epochs n_epochs num_train_epochs",
    "trainer.max_steps": "steps num_steps total_steps train_steps",
    "trainer.devices": "gpus num_gpus n_gpus num_devices n_devices",
    "trainer.nodes": "num_nodes n_nodes",
    "trainer.accelerator": "device cuda",
    "trainer.precision": "fp16 bf16 amp mixed_precision dtype torch_dtype",
    "trainer.accumulate": "accumulate_grad_batches gradient_accumulation_steps grad_accum accumulation",
    "trainer.clip_norm": "gradient_clip_val max_grad_norm grad_clip clip clip_grad_norm",
    "trainer.validate_every_steps": "val_check_interval eval_steps eval_every",
    "trainer.log_every_steps": "log_every_n_steps logging_steps log_every",
    "trainer.limit_batches": "limit_train_batches limit_val_batches limit_test_batches",
    "trainer.patience": "early_stopping early_stopping_patience",
    "optimizer.lr": "learning_rate base_lr max_lr",
    "optimizer.weight_decay": "wd l2",
    "optimizer.warmup": "warmup_steps warmup_ratio num_warmup_steps",
    "optimizer.schedule": "scheduler lr_scheduler lr_scheduler_type",
    "optimizer.beta2": "betas",
    "data.batch_size": "bs train_batch_size per_device_train_batch_size micro_batch_size",
    "data.eval_batch_size": "val_batch_size test_batch_size per_device_eval_batch_size",
    "data.source": "path file dataset dataset_name data_dir data_path root",
    "data.max_length": "max_len max_seq_length max_seq_len seq_len sequence_length",
    "data.text_column": "text text_col column",
    "data.label_column": "label labels target label_col",
    "data.image_column": "image image_col",
    "data.size": "img_size resolution input_size",
    "model.source": "pretrained pretrained_model model_name model_name_or_path backbone weights",
    "model.width": "hidden_size hidden_dim dim d_model embed_dim",
    "model.depth": "num_layers n_layers layers num_hidden_layers",
    "model.heads": "num_heads n_heads nhead num_attention_heads",
    "checkpoint.monitor": "metric metric_for_best_model",
    "checkpoint.every_steps": "save_steps save_every every_n_train_steps",
    "seed": "random_seed random_state manual_seed",
    "output_dir": "out output save_dir log_dir default_root_dir",
    "resume": "resume_from_checkpoint ckpt_path",
}
CHOSEN_BY_WORD = ("trainer.precision", "trainer.accelerator")
# Their values elsewhere, in small letters
WORDS = {"16": "16-mixed", "fp16": "16-mixed", "float16": "16-mixed", "half": "16-mixed", "bf16": "bf16-mixed"}
WORDS |= {"bfloat16": "bf16-mixed", "32": "32-true", "fp32": "32-true", "float32": "32-true", "full": "32-true"}
WORDS |= {"cuda": "gpu"}
USUAL = {word: name for name, words in OPTIONS.items() for word in words.split()}


def usual(wrong: str) -> str | None:
    """What an option of that name, which is none here, surely is called here."""
    return USUAL.get(wrong.rpartition(".")[2])


def nearest(wrong: str, names: Iterable[str]) -> str | None:
    """Which of the names was meant by one that there is not."""
    known = list(names)
    if usual(wrong) in known:
        return usual(wrong)
    group, _, last = wrong.rpartition(".")
    if group:  # a group is nothing that one sets
        known = [name for name in known if not any(other.startswith(f"{name}.") for other in known)]
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == group}
    anywhere = {name.rpartition(".")[2]: name for name in reversed(known)}
    for by_end in (beside, {last: anywhere[last]} if last in anywhere else {}, anywhere):
        if close := difflib.get_close_matches(last, by_end, 1, 0.6):
            return by_end[close[0]]
    return None
