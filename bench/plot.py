"""Line charts as SVG, readable on light and on dark pages. PURE."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 52, 84
_DASHES = ("", "7 4", "2 4", "9 3 2 3")
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.note { font-size: 12px; fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.axis { stroke: #59636e; stroke-width: 1 }
.c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 }
.c2 { stroke: #1a7f37; fill: #1a7f37 } .c3 { stroke: #8250df; fill: #8250df }
.c4 { stroke: #cf222e; fill: #cf222e } .c5 { stroke: #57606a; fill: #57606a }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round }
.band { fill: #8250df; fill-opacity: 0.3 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .note { fill: #9198a1 } .grid { stroke: #3d444d } .axis { stroke: #9198a1 }
.page { fill: #0d1117 }
.c0 { stroke: #4493f8; fill: #4493f8 } .c1 { stroke: #f0883e; fill: #f0883e }
.c2 { stroke: #3fb950; fill: #3fb950 } .c3 { stroke: #ab7df8; fill: #ab7df8 }
.c4 { stroke: #f85149; fill: #f85149 } .c5 { stroke: #9198a1; fill: #9198a1 }
}
"""
_COLOURS = 6
_DOTTED = 64
"""Points up to which a line has dots."""
_THINNEST = 3.0
"""Of a band, however short."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name in the legend, and its (x, y) points in order of x.

    `is_joined`: points of things that do not follow each other are dots without a line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    is_joined: bool = True


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis that is marked, with what it is."""

    start: float
    end: float
    name: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    Attributes:
        is_log_x: steps of x are factors; then every x is above 0.
        x_names: words in place of numbers under given values of x.
        note: one line under the chart: the machine, the command.
        bands: stretches of x that are marked.
        span_x: the ends of the x axis, for charts that stand one under another; None: of the points.
        height: of the picture, in its own units; it is 720 wide.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    is_log_x: bool = False
    x_names: dict[float, str] | None = None
    note: str = ""
    bands: Sequence[Band] = ()
    span_x: tuple[float, float] | None = None
    height: int = 400

    def svg(self) -> str:
        """The picture.

        Raises:
            ValueError: there is no point to draw.
        """
        return stacked([self])

    def parts(self) -> list[str]:
        """Its elements, the upper left corner of it being 0, 0.

        Raises:
            ValueError: there is no point to draw.
        """
        points = [point for series in self.series for point in series.points]
        if not points:
            raise ValueError(f"{self.title}: nothing to draw")
        reach = [(x, 0.0) for x in self.span_x or ()]
        plane = _Plane.around([*points, *reach], self.height, is_log=self.is_log_x)
        return [
            _text(_LEFT, 22, self.title, "title"),
            *self._grid(plane, sorted({x for x, _ in points})),
            *(part for band in self.bands for part in _band(plane, band)),
            *(line for number, series in enumerate(self.series) for line in _line(plane, number, series)),
            *_legend([series.name for series in self.series], self.height - 30.0),
            _text(_LEFT, self.height - 10, self.note, "note"),
        ]

    def _grid(self, plane: "_Plane", xs: Sequence[float]) -> list[str]:
        left, right, bottom = _LEFT, _WIDTH - _RIGHT, self.height - _BOTTOM
        parts = []
        for tick in ticks(plane.high_y):
            y = plane.y(tick)
            parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            parts.append(_text(left - 8, y + 4, _number(tick), "note", "end"))
        names = self.x_names or {}
        even = [tick for tick in ticks(plane.high_x) if plane.low_x <= tick <= plane.high_x]
        shown = xs if len(xs) <= 10 else even
        parts += [
            _text(plane.x(value), bottom + 18, names.get(value, _number(value)), "note", "middle")
            for value in shown
        ]
        parts.append(f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
        parts.append(_text((left + right) / 2, bottom + 36, self.x_label, "note", "middle"))
        parts.append(_text(left - 52, _TOP - 10, self.y_label, "note"))
        return parts


@dataclass(frozen=True, slots=True)
class _Plane:
    """From values to places."""

    low_x: float
    high_x: float
    high_y: float
    height: int
    is_log: bool

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], height: int, *, is_log: bool) -> "_Plane":
        xs = [x for x, _ in points]
        low, high = min(xs), max(xs)
        top = ticks(max(y for _, y in points))[-1]
        return cls(low, high if high > low else low + 1, top, height, is_log)

    def x(self, value: float) -> float:
        low, high, at = self.low_x, self.high_x, value
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        inner = _WIDTH - _LEFT - _RIGHT - 40
        return _LEFT + 20 + inner * (at - low) / (high - low)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * value / self.high_y


def stacked(charts: Sequence[Chart]) -> str:
    """Charts one under another, as one picture.

    Raises:
        ValueError: one of them has no point to draw.
    """
    height = sum(chart.height for chart in charts)
    groups, top = [], 0
    for chart in charts:
        groups += [f'<g transform="translate(0 {top})">', *chart.parts(), "</g>"]
        top += chart.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(charts[0].title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        *groups,
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def ticks(high: float) -> list[float]:
    """Round steps from 0 to at least `high`, four to eight of them."""
    if high <= 0:
        return [0.0, 1.0]
    size = 10.0 ** math.floor(math.log10(high))
    step = next(step for step in (size / 5, size / 2, size, size * 2) if high / step <= 7)
    return [step * number for number in range(math.ceil(high / step - 1e-9) + 1)]


def _number(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{round(value, 6):g}"


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    if not words:
        return ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(plane: _Plane, number: int, series: Series) -> list[str]:
    colour = f"c{number % _COLOURS}"
    places = [(plane.x(x), plane.y(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = _DASHES[number // _COLOURS % len(_DASHES)]
    stroke = f' stroke-dasharray="{dash}"' if dash else ""
    dots = [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    if not series.is_joined:
        return dots
    return [
        f'<polyline class="line {colour}" style="fill:none" points="{path}"{stroke}/>',
        *(dots if len(dots) <= _DOTTED else []),
    ]


def _band(plane: _Plane, band: Band) -> list[str]:
    left, right = plane.x(band.start), plane.x(band.end)
    top, bottom = _TOP, plane.y(0)
    width = max(right - left, _THINNEST)
    is_left = right > _WIDTH * 0.75
    return [
        f'<rect class="band" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{bottom - top:.1f}"/>',
        _text(
            left - 6 if is_left else left + width + 6,
            top + 12,
            band.name,
            "note",
            "end" if is_left else "start",
        ),
    ]


def _legend(names: Sequence[str], y: float) -> list[str]:
    parts = []
    x = float(_LEFT)
    for number, name in enumerate(names):
        width = 34 + 7.2 * len(name)
        parts.append(f'<circle class="c{number % _COLOURS}" cx="{x + 5:.1f}" cy="{y - 4:.1f}" r="5"/>')
        parts.append(_text(x + 16, y, name))
        x += width
    return parts
