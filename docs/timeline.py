#!/usr/bin/env python3
"""Draws docs/timeline.svg: what is open, served and cut in which phase of a shutdown with default settings.

Run it from anywhere: python3 docs/timeline.py. It needs nothing but Python.
"""

from pathlib import Path
from xml.sax.saxutils import escape

LEFT, TOP, ROW, BAR = 150, 92, 44, 24
# Name, longest duration, width. Not to scale: half a second could not be seen beside five minutes.
PHASES = [
    ("serving", "", 90),
    ("lame duck", "5 s", 150),
    ("settle", "0.5 s", 90),
    ("settle", "0.5 s", 90),
    ("drain", "up to 300 s", 190),
    ("close", "up to 10 s", 120),
    ("last hooks", "their bounds", 110),
]
MARKS = [
    "SIGTERM",
    "socket closes",
    "server stops",
    "rejecting",
    "drained, or cut",
    "server gone",
    "exit",
]
GOOD, SOFT, BAD, NONE = "#2e7d4f", "#a8700f", "#b3403a", "#6b7280"
# For each row: from mark, to mark, text, colour. -1 is the left edge.
ROWS = [
    ("readiness", [(-1, 0, "200", GOOD), (0, 5, "503", SOFT)]),
    ("listening socket", [(-1, 1, "open", GOOD), (1, 5, "closed: refused, after its backlog is served", NONE)]),
    ("new requests", [(-1, 3, "served; from the signal on with connection: close", GOOD), (3, 5, "503, retry-after", BAD)]),
    ("idle connections", [(-1, 2, "kept", GOOD), (2, 5, "closed; HTTP/2 has its GOAWAY", NONE)]),
    ("admitted requests", [(-1, 4, "run to their end, bodies and streams included", GOOD), (4, 5, "cut: 500", BAD)]),
    ("hooks", [(0, 2, "on_begin, beside it all", SOFT), (4, 5, "on_cut", SOFT), (5, 6, "on_drained", SOFT)]),
]


def edges():
    """The x of the left edge and of each mark."""
    xs, x = [LEFT], LEFT
    for _, _, width in PHASES:
        x += width
        xs.append(x)
    return xs


def position(mark, xs):
    """The x of a mark; between two marks for a fraction."""
    low = int(mark + 1)
    share = mark + 1 - low
    if not share:
        return xs[low]
    return xs[low] + share * (xs[low + 1] - xs[low])


def text(x, y, words, anchor="middle", size=13, fill="#24292f", weight="normal"):
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )


def draw():
    xs = edges()
    width, height = xs[-1] + 40, TOP + ROW * len(ROWS) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" role="img" aria-label="The phases of a shutdown">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for (name, longest, _), left, right in zip(PHASES, xs, xs[1:]):
        middle = (left + right) / 2
        out.append(text(middle, 26, name, weight="600"))
        out.append(text(middle, 44, longest, size=12, fill="#57606a"))
    for mark, x in zip(MARKS, xs[1:]):
        out.append(f'<line x1="{x}" y1="74" x2="{x}" y2="{height - 14}" stroke="#57606a" stroke-dasharray="3 3"/>')
        out.append(text(x, 68, mark, size=12, fill="#57606a"))
    for row, (name, bars) in enumerate(ROWS):
        y = TOP + row * ROW
        out.append(text(LEFT - 12, y + 17, name, anchor="end"))
        for start, end, words, colour in bars:
            left, right = position(start, xs), position(end, xs)
            out.append(
                f'<rect x="{left + 1:g}" y="{y}" width="{right - left - 2:g}" height="{BAR}" rx="4" fill="{colour}"/>'
            )
            out.append(text((left + right) / 2, y + 17, words, size=12, fill="#ffffff"))
    out.append("</svg>")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("timeline.svg").write_text(draw(), encoding="utf-8")
