"""Reading the last moments of a series, given as JSON: a list of numbers for each variable by its name."""

from attnpred.modalities.reader import Standalone
from attnpred.modalities.series.reader import SeriesReader


def standalone(reader: SeriesReader) -> Standalone | None:
    """None for sounds, and where a forecast needs what is known of the moments to come."""
    spec = reader.spec
    if reader.sound is not None or reader.whole or spec.known or spec.static:
        return None
    lines = [
        "table = json.loads(Path(sys.argv[1]).read_text())",
        f"names, length = {list(spec.names)!r}, {spec.length}",
        f"mean, deviation = np.array({list(spec.mean)!r}), np.array({list(spec.deviation)!r})",
        "values = np.array([table[name][-length:] for name in names], float)",
        "values = (values - mean[:, None]) / deviation[:, None]",
        'feeds = {"values": values[None].astype(np.float32)}',
    ]
    if spec.step:
        lines.append('feeds["last"] = np.zeros(1, np.int64)')
    lines += [
        'rows, blocks = json.loads((HERE / "export.json").read_text())["grids"][0] or (1, length)',
        'of = names if rows > 1 or len(names) == 1 else ["all"]',
        "parts = [[name, block * length // blocks - length] for name in of for block in range(blocks)]",
    ]
    return Standalone("series.json", (), (), tuple(lines))
