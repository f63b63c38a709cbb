"""A few SVG shapes as text: no style attributes (the page's policy forbids them), only classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Axis:
    """A linear axis: data from `low` to `high` drawn from `start` to `end` (pixels)."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value lies; values outside lie on the nearer end."""
        inside = min(max(value, self.low), self.high)
        share = (inside - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Return whether a value lies on the axis."""
        return self.low <= value <= self.high


def element(name: str, content: str | Markup = "", **attributes: object) -> Markup:
    """Return an element; attribute names use ``_`` for ``-`` and a trailing one is dropped."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup(pairs), content)  # noqa: S704 - escaped


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def words(x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> Markup:
    """Return a line of text."""
    return element("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def drawing(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """Return a drawing with a name that screen readers say."""
    shapes = Markup("").join([element("title", label), *parts])
    return element(
        "svg", shapes, viewBox=f"0 0 {width:g} {height:g}", width=width, height=height, role="img",
        class_="plot",
    )  # fmt: skip


def square_frame(side: float, margin: float, x_label: str, y_label: str) -> list[Markup]:
    """Return a unit square with ticks, labels and its diagonal; (0, 0) is bottom left."""
    end = side - 6
    x, y = unit_axes(side, margin)
    parts = [
        element(
            "rect", x=margin, y=6, width=end - margin, height=side - margin - 6, class_="frame"
        ),
        line(x.at(0), y.at(0), x.at(1), y.at(1), "ideal"),
    ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(words(x.at(tick), side - margin + 13, f"{tick:g}", "tick", "middle"))
        parts.append(words(margin - 5, y.at(tick) + 4, f"{tick:g}", "tick", "end"))
    middle = (margin + end) / 2
    parts.append(words(middle, side - 2, x_label, "axis", "middle"))
    turned = f"rotate(-90 10 {(side - margin) / 2:.1f})"
    parts.append(
        element("text", y_label, x=10, y=(side - margin) / 2, class_="axis",
                text_anchor="middle", transform=turned)
    )  # fmt: skip
    return parts


def unit_axes(side: float, margin: float) -> tuple[Axis, Axis]:
    """Return the axes of `square_frame`."""
    return Axis(0, 1, margin, side - 6), Axis(0, 1, side - margin, 6)


def polyline(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points."""
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=text, class_=class_)


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
