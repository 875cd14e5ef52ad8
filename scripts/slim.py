"""Prunes a run to several shares and measures what is left: size, speed, a metric, the faithfulness of attention.

    python -m scripts.slim RUN --name evidence_text --shares 0.8 0.6 0.4

Each share is one `attnpred slim`. Everything is measured on validation, beside the run itself. The results are kept in
scripts/slim.json and as a table in docs/export.md. For speed nothing else may run on the machine; --busy says that
something did, and leaves speeds out of the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from attnpred.files import read_json, write_json
from scripts.kept import origin
from scripts.tables import DOCS, put

RESULTS = Path(__file__).with_suffix(".json")
PAGE = DOCS / "export.md"
SCORES = ("comprehensiveness", "sufficiency")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--name", required=True, help="how the table calls it")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.8, 0.6, 0.4, 0.2])
    parser.add_argument("--unstructured", type=float, nargs="*", default=[0.5, 0.8])
    parser.add_argument("--limit", type=int, default=200, help="examples that are explained")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--output-dir", default="outputs/slim")
    parser.add_argument("--busy", action="store_true", help="other work ran meanwhile: show no speeds")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    found = [{"how": "the run itself", **measured(args.run, args.run, args.limit)}]
    asked = [("--parameters", share) for share in args.shares] + [
        ("--unstructured", share) for share in args.unstructured
    ]
    for flag, share in asked:
        own = ["--out", args.output_dir, "--epochs", str(args.epochs)]
        run = told(["slim", args.run, flag, str(share), *own, *args.overrides]).splitlines()[-1]
        how = f"{share:g} of the weights left" if flag == "--parameters" else f"{share:g} of the weights 0"
        found.append({"how": how, **measured(run, args.run, args.limit)})
    known = read_json(RESULTS) if RESULTS.is_file() else {}
    kept = dict(
        sorted({**known, args.name: {**origin(), "busy": args.busy, "epochs": args.epochs, "runs": found}}.items())
    )
    write_json(RESULTS, kept)
    put(table(kept), RESULTS.stem, PAGE)


def told(arguments: list[str]) -> str:
    """What a command of attnpred prints."""
    command = [sys.executable, "-m", "attnpred", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def measured(run: str, whole: str, limit: int) -> dict[str, Any]:
    """Numbers of one run; its time beside that of the whole run."""
    from attnpred.runs.run import Run
    from attnpred.training.slim import latency

    one, other = Run.find(run), Run.find(whole)
    model = one.load_model()
    batch = list(other.data(other.config()).loader("val").sample(32))[-1]
    metrics = json.loads(told(["evaluate", run, "--split", "val"]))
    story = json.loads(told(["explain", run, "--limit", str(limit), "--explainer", "attention", "--json"]))
    scores = story["faithfulness"]["scores"]["attention"]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "zeros": sum(int((p == 0).sum()) for p in model.parameters() if p.ndim > 1),
        "time": latency(model, other.load_model(), batch),
        "metrics": {name: value for name, value in metrics.items() if isinstance(value, float)},
        "scores": {name: scores[name] for name in SCORES},
    }


def table(kept: dict[str, Any]) -> str:
    head = ["run", "pruned to", "weights", "time", "metric", *SCORES]
    lines = ["| " + " | ".join(head) + " |", "|" + len(head) * "---|"]
    for name, result in kept.items():
        for place, run in enumerate(result["runs"]):
            metric, value = next((k, v) for k, v in run["metrics"].items() if k != "loss")
            time = "–" if result["busy"] else f"{run['time']:.2f}"
            cells = [f"`{name}`" if place == 0 else "", run["how"], f"{run['parameters']:,}", time]
            cells += [f"{metric} {value:.4f}", *(interval(run["scores"][score]) for score in SCORES)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(note(name, result) for name, result in kept.items())])


def interval(value: list[float]) -> str:
    mean, low, high = value
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def note(name: str, result: dict[str, Any]) -> str:
    epochs = f"{result['epochs']} epoch{'s' * (result['epochs'] != 1)}"
    busy = " Other work ran beside it, so that no time is shown." if result["busy"] else ""
    return f"`{name}`: one seed, trained on for {epochs}; validation; {result['machine']}, {result['date']}.{busy}"


if __name__ == "__main__":
    main()
