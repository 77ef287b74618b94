"""Writes the table of BENCHMARKS.md and its picture from what the benches left in target/bench-report/."""

import os
import pathlib
import re
import subprocess
from html import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
RAW = ROOT / "target" / "bench-report"
BENCHES = ["contention", "allocations", "instructions", "chunks", "streams", "open_sockets", "end_to_end"]
SERIES = re.compile(r"added, of bare: (?P<name>.*), (?P<threads>\d+) threads")
COLOURS = {"1": "#4c78a8", "2": "#f58518", "4": "#9d9da1"}


def rows(bench):
    """What, measured, goal, acceptable: as the bench wrote them."""
    path = RAW / f"{bench}.tsv"
    return [line.split("\t") for line in path.read_text().splitlines()]


def table():
    """One row a figure with a target; the rest of what is measured is in the picture or the raw output."""
    lines = ["| what | measured | goal | acceptable | `cargo bench --bench` |", "|---|---|---|---|---|"]
    for bench in BENCHES:
        for what, measured, goal, acceptable in rows(bench):
            if goal:
                lines.append(f"| {what} | {measured} | {goal} | {acceptable} | `{bench}` |")
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    machine = f"Measured on {os.cpu_count()} cores with {rustc.stdout.split(' (')[0].strip()}."
    return "\n".join([machine, "", *lines])


def picture():
    """Added time per request, of the bare service's own, as bars: a group a candidate, a bar a number of threads."""
    groups = {}
    for what, measured, _, _ in rows("contention"):
        match = SERIES.fullmatch(what)
        if match and "rejecti" not in match["name"]:
            groups.setdefault(match["name"], {})[match["threads"]] = float(measured)
    most = max(value for bars in groups.values() for value in bars.values())
    left, width, bar, gap, top = 230, 420, 14, 16, 60
    height = top + sum(len(bars) * bar + gap for bars in groups.values()) + 10
    total = left + width + 70
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{total}" height="{height}" fill="#fff"/>',
        '<text x="10" y="20" font-size="14">Time added to a request, in times of the bare service’s own</text>',
    ]
    for index, (threads, colour) in enumerate(COLOURS.items()):
        x = left + index * 100
        svg.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{colour}"/>')
        svg.append(f'<text x="{x + 18}" y="42">{threads} thread{"s" if threads != "1" else ""}</text>')
    y = top
    for name, bars in groups.items():
        middle = y + len(bars) * bar / 2 + 4
        svg.append(f'<text x="{left - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>')
        for threads, value in bars.items():
            length = max(value, 0) / most * width
            svg.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[threads]}"/>')
            svg.append(f'<text x="{left + length + 6:.1f}" y="{y + bar - 4}">{value:.2f}</text>')
            y += bar
        y += gap
    svg.append("</svg>")
    return "\n".join(svg) + "\n"


def main():
    page = ROOT / "BENCHMARKS.md"
    start, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    before, rest = page.read_text().split(start)
    after = rest.split(end)[1]
    page.write_text(f"{before}{start}\n{table()}\n{end}{after}")
    (ROOT / "benches" / "added-time.svg").write_text(picture())


if __name__ == "__main__":
    main()
