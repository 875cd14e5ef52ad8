"""A curve as SVG, for pages and browsers, without a plotting library."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, EDGE = 640, 360, 56
TICKS = 5


def curve(points: list[tuple[float, float]], chosen: float, *, x: str, y: str) -> str:
    """Points over a logarithmic axis, the chosen place marked; `x` and `y` name the axes."""
    places = [math.log10(place) for place, _ in points] or [math.log10(chosen)]
    values = [value for _, value in points] or [0.0]
    left, right = min(places), max(max(places), min(places) + 1e-9)
    low, high = min(values), max(max(values), min(values) + 1e-9)

    def across(place: float) -> float:
        return EDGE + (place - left) / (right - left) * (WIDTH - 2 * EDGE)

    def up(value: float) -> float:
        return HEIGHT - EDGE - (value - low) / (high - low) * (HEIGHT - 2 * EDGE)

    path = " ".join(f"{across(p):.1f},{up(v):.1f}" for p, v in zip(places, values, strict=True))
    at = across(math.log10(chosen))
    parts = [
        f'<polyline points="{path}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{EDGE}" y2="{HEIGHT - EDGE}" stroke="#d62728" stroke-dasharray="4"/>',
        _text(at, EDGE - 8, f"{chosen:g}"),
        _text(WIDTH / 2, HEIGHT - 12, x),
        _text(EDGE, EDGE - 28, y),
    ]
    for i in range(TICKS):
        share = i / (TICKS - 1)
        place, value = left + share * (right - left), low + share * (high - low)
        parts.append(_text(across(place), HEIGHT - EDGE + 18, f"{10**place:.2g}"))
        parts.append(_text(EDGE / 2, up(value) + 4, f"{value:.3g}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" text-anchor="middle"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _text(across: float, down: float, content: str) -> str:
    return f'<text x="{across:.1f}" y="{down:.1f}">{escape(content)}</text>'
