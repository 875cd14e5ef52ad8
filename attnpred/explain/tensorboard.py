"""The maps of a story as pictures beside a run's curves."""

from typing import Any

import numpy as np

from attnpred.pages.pictures import Caption
from attnpred.runs import events
from attnpred.runs.run import Run

MOST = 32  # examples in a picture


def draw(run: Run, story: dict[str, Any]) -> None:
    """One picture an explainer, `explain/NAME`."""
    from torch.utils.tensorboard import SummaryWriter

    shown, reader = story["examples"][:MOST], run.reader()
    captions = [Caption(e["label"], e["predicted"], e["confidence"], e["wrong"]) for e in shown]
    writer = SummaryWriter(str(events.place(run.path)))
    for explainer in story["explainers"]:
        name = explainer["name"]
        maps = [np.asarray(e["maps"][name]) for e in shown]
        writer.add_image(f"explain/{name}", reader.draw(shown, maps, captions), dataformats="HWC")
    writer.close()
