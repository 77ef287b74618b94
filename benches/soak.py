#!/usr/bin/env python3
"""Draws benches/soak.svg from what the bench `soak` left in target/bench-report/soak.tsv. It needs nothing but Python."""

import csv
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
LEFT, WIDTH, RIGHT = 84, 800, 16
# Title, unit, top, height.
MEMORY = ("resident memory of the server", "MiB", 86, 130)
STREAMS = ("open streams", "", 262, 80)
LATENCY = ("latency of a request over a kept-alive connection, logarithmic", "ms", 388, 170)
HEIGHT = 610
TEXT, SOFT, GRID = "#24292f", "#57606a", "#d8dee4"
BLUE, GREEN, BROWN, RED, GREY = "#1f5fa8", "#2e7d4f", "#8a5a0a", "#b3403a", "#6b5d43"


def samples():
    """One dictionary a second; None where nothing was answered."""
    with (ROOT / "target" / "bench-report" / "soak.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [{name: float(value) if value else None for name, value in row.items()} for row in rows]


def text(x, y, words, anchor="start", size=12, fill=TEXT, weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(words)}</text>'
    )


def chip(x, y, words, fill):
    """A legend's entry: light text on the colour that it names."""
    width = 7 * len(words) + 16
    return [
        f'<rect x="{x}" y="{y - 13}" width="{width}" height="18" rx="4" fill="{fill}"/>',
        text(x + width / 2, y, words, "middle", fill="#ffffff"),
    ]


def path(points, colour):
    """A line that is broken where there is no value."""
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return f'<path d="{"".join(parts)}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def step(most):
    """A round distance of about four lines up to `most`."""
    for size in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000):
        if most / size <= 5:
            return size
    return most / 4


def linear(panel, most):
    """The lines and labels of a panel from 0 up, and its scale."""
    _, unit, top, height = panel
    size = step(most)
    end = size * -(-most // size)
    scale = lambda value: top + height - value / end * height
    marks = [(n * size, f"{n * size:g}") for n in range(int(end / size) + 1)]
    return scale, marks, unit


def logarithmic(panel, least, most):
    """As `linear`, with a line for each power of ten."""
    from math import ceil, floor, log10

    _, unit, top, height = panel
    low, high = floor(log10(least)), ceil(log10(most))
    scale = lambda value: top + height - (log10(value) - low) / (high - low) * height
    marks = [(10.0**n, f"{10.0**n:g}") for n in range(low, high + 1)]
    return scale, marks, unit


def frame(panel, scale, marks, unit):
    title, _, top, height = panel
    out = [text(LEFT, top - 12, title, weight="600", size=13)]
    for value, label in marks:
        y = scale(value)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}" stroke="{GRID}"/>')
        out.append(text(LEFT - 8, y + 4, f"{label} {unit}".strip(), "end", fill=SOFT))
    return out


def bands(rows, x, top, height):
    """The seconds in which a drain was on."""
    out, begin = [], None
    for index, row in enumerate([*rows, {"draining": 0}]):
        if row["draining"] and begin is None:
            begin = rows[index - 1]["second"] if index else 0
        elif not row["draining"] and begin is not None:
            left, right = x(begin), x(rows[index - 1]["second"])
            out.append(
                f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{height}" fill="{GREY}" '
                'fill-opacity="0.2"/>'
            )
            begin = None
    return out


def draw(rows):
    last = rows[-1]["second"]
    x = lambda second: LEFT + second / last * WIDTH
    total = LEFT + WIDTH + RIGHT
    times = [row[name] / 1000 for row in rows for name in ("p50_us", "p99_us") if row[name]]
    mib = [row["resident_kib"] / 1024 for row in rows]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT}" width="{total}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" role="img" aria-label="Memory and latency over a soak">',
        f'<rect width="{total}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        text(16, 26, f"{round(last / 60, 1):g} minutes of streams that open and close, with drains begun and resumed", size=15, weight="600"),
    ]
    for panel in (MEMORY, STREAMS, LATENCY):
        out += bands(rows, x, panel[2], panel[3])
    legend = [("memory", BLUE), ("streams", GREEN), ("p50", BROWN), ("p99", RED), ("a drain is on", GREY)]
    at = 16
    for words, colour in legend:
        out += chip(at, 50, words, colour)
        at += 7 * len(words) + 26

    scale, marks, unit = linear(MEMORY, max(mib))
    out += frame(MEMORY, scale, marks, unit)
    for third in (1, 2):
        edge = x(last * third / 3)
        out.append(
            f'<line x1="{edge:.1f}" y1="{MEMORY[2]}" x2="{edge:.1f}" y2="{MEMORY[2] + MEMORY[3]}" '
            f'stroke="{SOFT}" stroke-dasharray="3 3"/>'
        )
    for third, words in enumerate(("warms up", "second third: the measure", "last third: at most 5 % more")):
        middle = x(last * (third + 0.5) / 3)
        out.append(text(middle, MEMORY[2] + MEMORY[3] - 8, words, "middle", fill=SOFT))
    out.append(path([(x(row["second"]), scale(value)) for row, value in zip(rows, mib)], BLUE))

    scale, marks, unit = linear(STREAMS, max(row["streams"] for row in rows))
    out += frame(STREAMS, scale, marks, unit)
    out.append(path([(x(row["second"]), scale(row["streams"])) for row in rows], GREEN))

    scale, marks, unit = logarithmic(LATENCY, min(times), max(times))
    out += frame(LATENCY, scale, marks, unit)
    for name, colour in (("p99_us", RED), ("p50_us", BROWN)):
        points = [(x(row["second"]), scale(row[name] / 1000)) if row[name] else None for row in rows]
        out.append(path(points, colour))

    bottom = LATENCY[2] + LATENCY[3]
    minutes = step(last / 60) if last >= 120 else last / 240
    for n in range(int(last / 60 / minutes + 1e-6) + 1):
        out.append(text(x(min(n * minutes * 60, last)), bottom + 20, f"{n * minutes:g}", "middle", fill=SOFT))
    out.append(text(LEFT + WIDTH / 2, bottom + 40, "minutes", "middle", fill=SOFT))
    out.append("</svg>")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(draw(samples()), encoding="utf-8")
