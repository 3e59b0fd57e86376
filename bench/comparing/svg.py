"""Horizontal bars on a logarithmic scale, as SVG: no library, text stays text, on a card of its own.

The card has its own light background, so that the picture reads the same on a light page and on a dark one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 860
LEFT, RIGHT = 190, 660
MARGIN = 20
BAR, GROUP_GAP = 15, 9
LINE = 20

STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".title{font-size:16px;font-weight:600}.panel{font-weight:600}"
    ".small{font-size:11px;fill:#59636e;paint-order:stroke;stroke:#ffffff;stroke-width:4px}"
    ".grid{stroke:#d1d9e0}.card{fill:#ffffff;stroke:#d1d9e0}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        colour: Its fill.
        value: Where it ends.
        text: What stands after it.
        upto: Where its paler part ends, if it has one.
    """

    colour: str
    value: float
    text: str
    upto: float = 0.0


@dataclass(frozen=True, slots=True)
class Panel:
    """Groups of bars under one heading and above one scale.

    Attributes:
        heading: What is measured, and its unit.
        groups: Name to bars.
        ticks: Powers of ten, where the scale begins, has its lines, and ends; with their words.
    """

    heading: str
    groups: dict[str, list[Bar]]
    ticks: dict[float, str]


def picture(title: str, description: str, legend: dict[str, str], panels: Sequence[Panel]) -> str:
    """Return the SVG.

    Args:
        title: Its heading.
        description: The same in words, for who cannot see it.
        legend: Words to colours.
        panels: From top to bottom.
    """
    body = [*_text(MARGIN, 34, title, "title"), *_legend(legend)]
    y = 70
    for panel in panels:
        body += _panel(panel, y)
        y += _height(panel)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img"'
        ' aria-labelledby="title description">'
    )
    lines = [
        head,
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{y - 1}" rx="8"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(legend: dict[str, str]) -> Iterator[str]:
    x = MARGIN
    for words, colour in legend.items():
        yield f'<rect x="{x}" y="47" width="11" height="11" fill="{colour}"/>'
        yield from _text(x + 16, 57, words, "small")
        x += 36 + 6 * len(words)


def _height(panel: Panel) -> int:
    bars = sum(len(bars) for bars in panel.groups.values())
    return LINE + 8 + bars * BAR + len(panel.groups) * GROUP_GAP + LINE + 14


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield from _text(MARGIN, top + 14, panel.heading, "panel")
    low, high = min(panel.ticks), max(panel.ticks)
    begin, end = top + LINE + 4, top + _height(panel) - LINE - 14
    for value, words in panel.ticks.items():
        x = _x(value, low, high)
        yield f'<line class="grid" x1="{x:.1f}" y1="{begin}" x2="{x:.1f}" y2="{end}"/>'
        yield from _text(x, end + 15, words, "small", anchor="middle")
    y = begin + 4.0
    for name, bars in panel.groups.items():
        yield from _text(LEFT - 10, y + len(bars) * BAR / 2 + 4, name, "", anchor="end")
        for bar in bars:
            yield from _bar(bar, y, low, high)
            y += BAR
        y += GROUP_GAP


def _bar(bar: Bar, y: float, low: float, high: float) -> Iterator[str]:
    x = _x(bar.value, low, high)
    farthest = _x(max(bar.value, bar.upto), low, high)
    yield f'<rect x="{LEFT}" y="{y + 1:.1f}" width="{x - LEFT:.1f}" height="{BAR - 3}" fill="{bar.colour}"/>'
    if farthest > x:
        size = f'width="{farthest - x:.1f}" height="{BAR - 3}"'
        yield f'<rect x="{x:.1f}" y="{y + 1:.1f}" {size} fill="{bar.colour}" fill-opacity="0.35"/>'
    yield from _text(farthest + 6, y + BAR - 4, bar.text, "small")


def _x(value: float, low: float, high: float) -> float:
    share = math.log(max(value, low) / low) / math.log(high / low)
    return LEFT + (RIGHT - LEFT) * min(share, 1.0)


def _text(x: float, y: float, words: str, style: str, anchor: str = "start") -> Iterator[str]:
    yield f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'
