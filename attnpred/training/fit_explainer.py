"""Trains an explainer on a run: its weights, with all that is needed to go on, are kept in the run directory."""

from itertools import islice
from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.console.say import say
from attnpred.explain import fastshap
from attnpred.explain.fastshap import FastShapConfig
from attnpred.explain.removal import Removing
from attnpred.machine.device import choose
from attnpred.models.base import Model
from attnpred.runs import checkpoint_files
from attnpred.runs.checkpoint_files import CheckpointFiles
from attnpred.runs.run import Run

WARMUP = 0.1  # share of the steps in which the learning rate rises
WATCHED = 256  # examples of validation


def fit(run: Run, config: Config, options: FastShapConfig) -> Model:
    """Trains it on the run's train part, from where it was left, and says after each epoch how well it does."""
    torch.manual_seed(options.seed)
    device = choose(config.trainer).device_type
    model, task, data = run.load_model().to(device), run.task(), run.data(config)
    removing, network = Removing(model, task), fastshap.fresh(model).to(device)
    loader = data.loader("train", seed=options.seed)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=options.lr)
    each = min(len(loader), options.max_steps or len(loader))  # steps of an epoch
    epochs = min(options.epochs, (options.max_steps or options.epochs * each) // each)
    steps = epochs * each
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / max(steps, 1)))
    place = fastshap.folder(run.path)
    place.mkdir(parents=True, exist_ok=True)
    begun = _restore(run, options, network, optimizer, rates)
    for epoch in range(begun, epochs):
        loader.set_epoch(epoch)
        network.train()
        for batch in islice(loader, each):
            found = fastshap.loss(network, removing, batch.to(device), options.pairs)
            optimizer.zero_grad()
            found.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rates.step()
        state = {"optimizer": optimizer.state_dict(), "rates": rates.state_dict(), "random": torch.get_rng_state()}
        done = epoch + 1 == epochs
        known = {"epoch": epoch + 1, "done": done, "options": _told(options), "global_step": (epoch + 1) * each}
        content = {"state_dict": network.state_dict(), **state, **known}
        CheckpointFiles().save_checkpoint(content, place / checkpoint_files.LAST)
        say(f"fastshap: epoch {epoch + 1} of {epochs}, loss {_watched(network, removing, data, options):.4f}")
    return network.eval()


def _rate(way: float) -> float:
    return min(way / WARMUP, 1.0) * (1 - way) + 1e-3


@torch.no_grad()
def _watched(network: Model, removing: Removing, data: Any, options: FastShapConfig) -> float:
    """The loss on some examples of validation, the same sets of parts each time."""
    network.eval()
    device = next(network.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        sample = list(data.loader("val").sample(WATCHED))
        losses = [len(b) * fastshap.loss(network, removing, b.to(device), options.pairs) for b in sample]
    return float(sum(losses)) / sum(map(len, sample))


def _restore(run: Run, options: FastShapConfig, network: Model, optimizer: Any, rates: Any) -> int:
    """Takes up a training of these same options that was left before its end; the epochs that are behind it."""
    newest = checkpoint_files.newest(fastshap.folder(run.path))
    content = {} if newest is None else checkpoint_files.load(newest)
    if content.get("done", True) or content.get("options") != _told(options):
        return 0
    network.load_state_dict(content["state_dict"])
    optimizer.load_state_dict(content["optimizer"])
    rates.load_state_dict(content["rates"])
    torch.set_rng_state(content["random"])
    epoch = int(content["epoch"])
    say(f"fastshap: going on from epoch {epoch}")
    return epoch


def _told(options: FastShapConfig) -> dict[str, Any]:
    """What must be the same for a training to go on."""
    return {
        "epochs": options.epochs,
        "max_steps": options.max_steps,
        "lr": options.lr,
        "pairs": options.pairs,
        "seed": options.seed,
    }
