"""From a Vega-Lite specification to SVG and PNG, offline, and SVG made fit for a page or for a file of its
own."""

import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # a name, never fetched
# the drawing engine brings Liberation Sans; Arial and Helvetica have its widths, so text fits wherever shown
FONT = "'Liberation Sans', Arial, Helvetica, sans-serif"
INK, QUIET = "#1d2733", "#55606c"
_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def to_svg(spec: Mapping[str, Any]) -> str:
    """The SVG text of a Vega-Lite specification; no address is ever fetched."""
    drawn = _ENGINE.draw(spec) if _ENGINE else None
    if drawn is not None:
        return drawn
    import vl_convert

    return vl_convert.vegalite_to_svg(dict(spec), allowed_base_urls=[])


def to_png(svg: str, scale: float = 1.5) -> bytes:
    """PNG bytes of an SVG at `scale` device pixels a unit."""
    import vl_convert

    return vl_convert.svg_to_png(svg, scale=scale)


def to_html(spec: Mapping[str, Any]) -> str:
    """A page with the interactive chart and all scripts it needs inside."""
    import vl_convert

    return vl_convert.vegalite_to_html(dict(spec), bundle=True)


def warm_up() -> None:
    """Start the JavaScript engine in a process of its own, since it takes longer to start than to draw.

    Returns at once; later drawings are made there. Where no process can be started, drawings are made here.
    """
    global _ENGINE
    if _ENGINE is None:
        _ENGINE = SvgEngine()
        atexit.register(_ENGINE.close)


class SvgEngine:
    """A process that turns one specification a line into one SVG a line, both as JSON."""

    _CODE = (
        "import json, sys, vl_convert\n"
        "draw = lambda spec: vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])\n"
        "draw({'$schema': sys.argv[1], 'data': {'values': []}, 'mark': 'bar'})\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps(draw(json.loads(line))), flush=True)\n"
    )

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        command = [sys.executable, "-I", "-X", "utf8", "-c", self._CODE, SCHEMA]
        with suppress(OSError):
            self._process = subprocess.Popen(
                command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True, encoding="utf-8"
            )

    def draw(self, spec: Mapping[str, Any]) -> str | None:
        """The drawing, or None where the process is not there or could not make it."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            print(json.dumps(spec), file=process.stdin, flush=True)
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:  # it has died: the caller draws for itself, and meets the reason if there is one
            self.close()
            return None
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


_ENGINE: SvgEngine | None = None


class PngWriter:
    """Makes a PNG beside each SVG file it is given, in a second process: the library holds the
    interpreter's lock.

    Use as a context; on leaving it all PNGs are there. Where no process can be started, or it fails, this
    one does it.
    """

    _CODE = (
        "import sys, pathlib, vl_convert\n"
        "for line in sys.stdin:\n"
        "    path = pathlib.Path(line.rstrip('\\n'))\n"
        "    png = vl_convert.svg_to_png(path.read_text(encoding='utf-8'), scale=1.5)\n"
        "    path.with_suffix('.png').write_bytes(png)\n"
    )

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._helper: subprocess.Popen[str] | None = None
        command = [sys.executable, "-I", "-X", "utf8", "-c", self._CODE]
        with suppress(OSError):
            self._helper = subprocess.Popen(
                command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, text=True, encoding="utf-8"
            )

    def add(self, path: Path) -> None:
        """Have the SVG file at `path` (complete, no line break in its name) made into a PNG of the same
        name."""
        self._paths.append(path)
        if self._helper:
            with suppress(OSError):  # the helper has died: __exit__ makes up for it
                print(path, file=self._helper.stdin, flush=True)

    def __enter__(self) -> "PngWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._helper:
            if kind is not None:
                self._helper.kill()
            with suppress(OSError):
                self._helper.communicate()
        if kind is None and (self._helper is None or self._helper.returncode != 0):
            for path in self._paths:
                path.with_suffix(".png").write_bytes(to_png(path.read_text(encoding="utf-8")))


def inline_svg(svg: str, name: str, description: str) -> str:
    """An SVG for a page that holds several: ids of its own, as wide as there is room, described to screen
    readers.

    Coordinates in paths keep one decimal, which halves a map.
    """
    width, height, body = _parts(svg)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\((['\"]?)#", rf"url(\1#{name}-", body)
    body = re.sub(r'\bhref="#', rf'href="#{name}-', body)
    body = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), body)
    box = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{1.15 * width:.0f}px"'
    return f'<svg {_NAMESPACES} role="img" aria-label="{escape(description)}" {box}>{body}</svg>'


def framed_svg(svg: str, headline: str, unit: str, notes: Sequence[str]) -> str:
    """An SVG for a file of its own: the same drawing under a headline and a unit, above its notes."""
    width, height, body = _parts(svg)
    lines = [line for note in notes if note for line in textwrap.wrap(note, int(width / 5.6))]
    top, margin, step = 58, 12, 14.5
    full = width + 2 * margin, top + height + step * len(lines) + 2 * margin
    head = _text(margin, 26, 16, headline, INK, ' font-weight="bold"') + _text(margin, 44, 12, unit, QUIET)
    feet = [_text(margin, top + height + 16 + step * at, 11, line, QUIET) for at, line in enumerate(lines)]
    drawing = f'<svg x="{margin}" y="{top}" width="{width:g}" height="{height:g}">{body}</svg>'
    return (
        f'<svg {_NAMESPACES} width="{full[0]:g}" height="{full[1]:g}" viewBox="0 0 {full[0]:g} {full[1]:g}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{head}{drawing}{"".join(feet)}</svg>'
    )


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it: complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o644)  # mkstemp makes it private; a report is meant to be read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _parts(svg: str) -> tuple[float, float, str]:
    """Width, height and what stands inside the outermost element."""
    opening = re.match(r"\s*<svg\b[^>]*>", svg)
    if opening is None:
        raise ValueError("not an SVG: it does not begin with an <svg> element")
    sides = dict(re.findall(r'\s(width|height)="([\d.]+)"', opening[0]))
    return float(sides["width"]), float(sides["height"]), svg[opening.end() : svg.rindex("</svg>")]


def _text(x: float, y: float, size: float, text: str, colour: str, more: str = "") -> str:
    where = f'x="{x:g}" y="{y:g}" font-family="{FONT}" font-size="{size:g}" fill="{colour}"{more}'
    return f"<text {where}>{escape(text)}</text>"
