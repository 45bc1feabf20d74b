"""Pictures in a terminal: which kind it can show, and the characters that draw them.

    kitty   the kitty graphics protocol: true pixels (kitty, Ghostty)
    sixel   DEC's sixel graphics: pixels, of which we use 64 colours (foot, WezTerm, iTerm2, Konsole, mlterm, contour)
    blocks  U+2580, the upper half block, in two colours per cell: everywhere else
    none    a terminal without colours

The terminal is recognised by its environment. Asking it would be surer, but its answer arrives on standard input,
where it eats key presses, hangs on terminals that do not answer, and leaks into the shell when it comes late.
A picture here is uint8 [h, w, 3], RGB.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from PIL import Image

Graphics = Literal["kitty", "sixel", "blocks", "none"]

_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft")
_SIXEL_PROGRAMS = ("WezTerm", "iTerm.app", "contour", "mlterm")


def choose_graphics(environment: Mapping[str, str], colors: int) -> Graphics:
    """What the terminal described by `environment` can show.

    colors  how many it has: 0 for none. VIDSTYLE_GRAPHICS, if it names a kind, decides alone.
    """
    match environment.get("VIDSTYLE_GRAPHICS"):
        case "kitty" | "sixel" | "blocks" | "none" as choice:
            return choice
    term = environment.get("TERM", "")
    if colors < 256 or term == "dumb" or environment.get("NO_COLOR"):
        return "none"
    if "TMUX" in environment or "STY" in environment or term.startswith(("screen", "tmux")):
        return "blocks"  # multiplexers pass text on, and forget pictures
    program = environment.get("TERM_PROGRAM", "")
    if term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty" or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    konsole = environment.get("KONSOLE_VERSION", "")
    if (
        term.startswith(_SIXEL_TERMS)
        or program in _SIXEL_PROGRAMS
        or (konsole.isdigit() and int(konsole) >= 220400)
    ):
        return "sixel"
    return "blocks"


def cell_size(descriptor: int) -> tuple[int, int]:
    """Width, height in pixels of one character cell of the terminal open as `descriptor`; 10, 20 if it won't say."""
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
    except (OSError, ValueError):
        return 10, 20
    rows, columns, width, height = struct.unpack("HHHH", answer)
    return (width // columns, height // rows) if 0 < columns <= width and 0 < rows <= height else (10, 20)


def pane_cells(
    picture: tuple[int, int], room: tuple[int, int], cell: tuple[int, int] = (10, 20)
) -> tuple[int, int]:
    """Columns, rows of one of two panes for a picture of this width, height, a column apart, within `room`.

    room  columns, rows for both panes together.
    cell  width, height of a cell in pixels, of which only the ratio counts.
    """
    ratio = (picture[0] * cell[1]) / (picture[1] * cell[0])  # columns per row
    columns = min((room[0] - 1) // 2, int(room[1] * ratio))
    return max(columns, 1), max(min(round(columns / ratio), room[1]), 1)


def side_by_side(
    source: np.ndarray, result: np.ndarray, pane: tuple[int, int], cell: tuple[int, int]
) -> np.ndarray:
    """Both pictures as one, with a dark gap of one cell.

    source, result  pictures of any size
    pane            columns, rows that each of them is to fill
    cell            pixels per cell: a cell's own size, or (1, 2) for half blocks
    returns         picture [rows · cell height, (2 · columns + 1) · cell width, 3]
    """
    width, height = pane[0] * cell[0], pane[1] * cell[1]
    gap = np.zeros((height, cell[0], 3), np.uint8)
    return np.concatenate([_resize(source, width, height), gap, _resize(result, width, height)], axis=1)


def _resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((width, height), Image.Resampling.HAMMING))


def blocks(picture: np.ndarray, *, truecolor: bool = True) -> list[str]:
    """The picture [2 · rows, columns, 3] as rows of half blocks with their colours.

    truecolor  False draws in the 6 x 6 x 6 cube of a 256-colour terminal.
    """
    cells = np.concatenate([picture[0::2], picture[1::2]], axis=2)
    if truecolor:
        pattern = "\x1b[38;2;%d;%d;%d;48;2;%d;%d;%dm▀"
    else:
        pattern = "\x1b[38;5;%d;48;5;%dm▀"
        steps = (cells.astype(np.int32) * 5 + 127) // 255
        cells = 16 + steps.reshape(*cells.shape[:2], 2, 3) @ np.array([36, 6, 1])
    return ["".join([pattern % tuple(cell) for cell in row]) + "\x1b[0m" for row in cells.tolist()]


def sixel(picture: np.ndarray) -> str:
    """The picture as one sixel sequence in 64 colours, its height cut to whole bands of six pixels."""
    height, width = picture.shape[0] // 6 * 6, picture.shape[1]
    image = Image.fromarray(np.ascontiguousarray(picture[:height])).quantize(
        64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    palette = np.asarray(image.getpalette(), np.int32).reshape(-1, 3) * 100 // 255
    parts = [f'\x1bP0;1q"1;1;{width};{height}']
    parts += [f"#{index};2;{r};{g};{b}" for index, (r, g, b) in enumerate(palette.tolist())]
    weights = (1 << np.arange(6))[:, None]
    for band in np.asarray(image).reshape(-1, 6, width):
        for color in np.unique(band):
            bits = ((band == color) * weights).sum(axis=0) + 63
            parts.append(f"#{color}{_run_lengths(bits)}$")
        parts.append("-")
    parts.append("\x1b\\")
    return "".join(parts)


def _run_lengths(codes: np.ndarray) -> str:
    """Sixel characters with runs of four and more written as "!count character"; what is empty at the end left out."""
    ends = np.flatnonzero(np.append(np.diff(codes), 1)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    runs = [
        f"!{count}{chr(code)}" if count > 3 else chr(code) * count
        for code, count in zip(codes[starts].tolist(), (ends - starts).tolist(), strict=True)
    ]
    if codes[-1] == 63:
        runs.pop()
    return "".join(runs)


def kitty_send(picture: np.ndarray, number: int) -> str:
    """Hand the picture to the terminal as image `number`, replacing the one it had; shows nothing yet."""
    height, width = picture.shape[:2]
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(picture).tobytes(), 1)).decode("ascii")
    chunks = [data[i : i + 4096] for i in range(0, len(data), 4096)]
    parts = []
    for index, chunk in enumerate(chunks):
        about = f"a=t,f=24,o=z,s={width},v={height},i={number},q=2," if index == 0 else ""
        parts.append(f"\x1b_G{about}m={int(index < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(parts)


def kitty_show(number: int, columns: int, rows: int) -> str:
    """Show image `number` from the cursor's cell on, scaled to columns x rows; the cursor stays."""
    return f"\x1b_Ga=p,i={number},p=1,c={columns},r={rows},C=1,q=2\x1b\\"


def kitty_forget(number: int) -> str:
    """Take image `number` off the screen and out of the terminal's memory."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def drawn_above(sequence: str, rows: int) -> str:
    """`sequence`, a picture of so many rows, drawn above the cursor's line from its left edge; the cursor stays.

    Terminals go to the next line after a sixel picture: drawn on the screen's last line it would scroll.
    """
    return f"\x1b7\x1b[{rows}A\r{sequence}\x1b8"
