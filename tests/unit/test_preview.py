"""Drawing pictures in a terminal: every encoding is decoded again and compared."""

from __future__ import annotations

import base64
import os
import re
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle import preview

TRUECOLOR = 1 << 24
RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("environment", "colors", "kind"),
    [
        ({"TERM": "xterm-256color"}, 256, "blocks"),
        ({"TERM": "xterm-kitty"}, TRUECOLOR, "kitty"),
        ({"TERM": "xterm-ghostty"}, TRUECOLOR, "kitty"),
        ({"TERM": "foot"}, TRUECOLOR, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, TRUECOLOR, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230804"}, TRUECOLOR, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "210400"}, TRUECOLOR, "blocks"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, 256, "blocks"),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, TRUECOLOR, "none"),
        ({"TERM": "dumb"}, 0, "none"),
        ({"TERM": "linux"}, 16, "none"),
        ({"TERM": "dumb", "VIDSTYLE_GRAPHICS": "sixel"}, 0, "sixel"),
        ({"TERM": "xterm-256color", "VIDSTYLE_GRAPHICS": "nonsense"}, 256, "blocks"),
    ],
)
def test_terminals_get_what_they_can_show(environment: dict[str, str], colors: int, kind: str) -> None:
    assert preview.choose_graphics(environment, colors) == kind


@given(
    picture=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    room=st.tuples(st.integers(24, 300), st.integers(3, 20)),
    cell=st.tuples(st.integers(4, 20), st.integers(8, 40)),
)
@settings(max_examples=200, deadline=None)
def test_panes_stay_within_their_room(
    picture: tuple[int, int], room: tuple[int, int], cell: tuple[int, int]
) -> None:
    columns, rows = preview.pane_cells(picture, room, cell)
    assert 1 <= rows <= room[1]
    assert columns >= 1
    assert 2 * columns + 1 <= room[0]


def test_panes_keep_the_pictures_shape() -> None:
    columns, rows = preview.pane_cells((1600, 900), (200, 40), (10, 20))
    assert columns * 10 / (rows * 20) == pytest.approx(16 / 9, rel=0.05)


def test_unknown_terminals_have_common_cells() -> None:
    descriptor = os.open(os.devnull, os.O_RDWR)
    try:
        assert preview.cell_size(descriptor) == (10, 20)
    finally:
        os.close(descriptor)
    assert preview.cell_size(-1) == (10, 20)


def test_pictures_stand_side_by_side() -> None:
    source, result = np.full((30, 50, 3), 10, np.uint8), np.full((7, 9, 3), 90, np.uint8)
    both = preview.side_by_side(source, result, (6, 4), (1, 2))
    assert both.shape == (8, 13, 3)
    assert (both[:, :6] == 10).all()
    assert (both[:, 6] == 0).all()
    assert (both[:, 7:] == 90).all()


def test_half_blocks_carry_every_pixel() -> None:
    picture = RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    rows = preview.blocks(picture)
    numbers = [
        [
            list(map(int, match))
            for match in re.findall(r"38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀", row)
        ]
        for row in rows
    ]
    cells = np.array(numbers, np.uint8)
    assert (cells[..., :3] == picture[0::2]).all()
    assert (cells[..., 3:] == picture[1::2]).all()
    assert all(row.endswith("\x1b[0m") for row in rows)


@pytest.mark.parametrize(
    ("rgb", "index"), [((0, 0, 0), 16), ((255, 255, 255), 231), ((255, 0, 0), 196), ((0, 0, 255), 21)]
)
def test_half_blocks_in_256_colors(rgb: tuple[int, int, int], index: int) -> None:
    picture = np.broadcast_to(np.array(rgb, np.uint8), (2, 1, 3))
    assert preview.blocks(picture, truecolor=False) == [f"\x1b[38;5;{index};48;5;{index}m▀\x1b[0m"]


def decode_sixel(text: str) -> np.ndarray:
    """uint8 [h, w, 3] from one sixel sequence, as a terminal would paint it."""
    match = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert match, text[:40]
    width, height = int(match[1]), int(match[2])
    picture = np.full((height, width, 3), 255, np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    x = y = color = 0
    for token in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+[?-~]|[?-~]|\$|-", match[3]):
        if token.startswith("#") and ";" in token:
            number, _, *percent = map(int, token[1:].split(";"))
            palette[number] = tuple(round(p * 255 / 100) for p in percent)
        elif token.startswith("#"):
            color = int(token[1:])
        elif token == "$":
            x = 0
        elif token == "-":
            x, y = 0, y + 6
        else:
            count = int(token[1:-1]) if token.startswith("!") else 1
            for bit in range(6):
                if ord(token[-1]) - 63 >> bit & 1:
                    picture[y + bit, x : x + count] = palette[color]
            x += count
            assert x <= width
    return picture


def test_sixels_show_the_picture() -> None:
    x, y = np.meshgrid(np.arange(40), np.arange(20))
    picture = np.stack([x * 6, y * 12, 255 - x * 6], axis=2).astype(np.uint8)
    shown = decode_sixel(preview.sixel(picture))
    assert shown.shape == (18, 40, 3)
    assert np.abs(shown.astype(int) - picture[:18]).mean() < 16  # 64 colours


def test_kitty_gets_the_very_pixels() -> None:
    picture = RNG.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    messages = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", preview.kitty_send(picture, 7))
    assert len(messages) > 1
    assert all(len(data) <= 4096 for _, data in messages)
    assert [about[-3:] for about, _ in messages] == ["m=1"] * (len(messages) - 1) + ["m=0"]
    assert messages[0][0] == "a=t,f=24,o=z,s=60,v=50,i=7,q=2,m=1"
    pixels = zlib.decompress(base64.b64decode("".join(data for _, data in messages)))
    assert pixels == picture.tobytes()


def test_pictures_are_drawn_above_the_cursor_which_returns() -> None:
    assert preview.drawn_above("X", 3) == "\x1b7\x1b[3A\rX\x1b8"
