#!/usr/bin/env python3
"""Render the README's pictures: frames of the sample clip and what the styles make of them.

python scripts/make_picture.py checkpoints/samples/oil.jpg --style oil         source above, painted below
python scripts/make_picture.py checkpoints/samples/styles.jpg --style all      a sheet of all styles
python scripts/make_picture.py checkpoints/samples/any.jpg --style a.jpg b.jpg ...   or of some pictures as styles
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

from vidstyle import OutputSettings, Settings, StyleSettings, stylize_video
from vidstyle.settings import CheckSettings
from vidstyle.styles import available

ROOT = Path(__file__).resolve().parents[1]
FRAMES = (30, 110)
TILE = (320, 180)


def pictures(path: Path, indices: tuple[int, ...]) -> list[np.ndarray]:
    """The frames with these indices, uint8 [H, W, 3] RGB."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24")
            for index, frame in enumerate(container.decode(video=0))
            if index in indices
        ]


def painted(source: Path, style: str, folder: Path) -> list[np.ndarray]:
    """The FRAMES of the clip in this style."""
    result = folder / f"{Path(style).stem}.mkv"
    settings = Settings(
        style=StyleSettings(style=style),
        check=CheckSettings(detect=False),
        output=OutputSettings(codec="ffv1"),
    )
    stylize_video(source, result, settings=settings)
    return pictures(result, FRAMES)


def sheet(views: list[list[np.ndarray]]) -> Image.Image:
    """The source large, the styles beside it in two rows; `views[i][k]` is frame k of the source or in style i."""
    columns = len(views) // 2  # of the styles: all views but the first
    whole = Image.new("RGB", ((columns + 2) * TILE[0], 2 * TILE[1] * len(views[0])), "white")
    for row, (source, *styles) in enumerate(zip(*views, strict=True)):
        top = 2 * row * TILE[1]
        whole.paste(shrunk(source, 2), (0, top))
        for i, style in enumerate(styles):
            whole.paste(shrunk(style), ((2 + i % columns) * TILE[0], top + i // columns * TILE[1]))
    return whole


def shrunk(view: np.ndarray, tiles: int = 1) -> Image.Image:
    """A picture so many tiles wide and high."""
    return Image.fromarray(view).resize((tiles * TILE[0], tiles * TILE[1]), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--style", nargs="+", default=["oil"], help="styles, pictures, or `all` that ship")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.mp4"
        drawing = [sys.executable, str(ROOT / "scripts/make_sample.py"), str(source), "--size", "640x360"]
        subprocess.run(drawing, check=True)
        views = [pictures(source, FRAMES)]
        styles = available() if arguments.style == ["all"] else arguments.style
        views += [painted(source, style, folder) for style in styles]
        if len(styles) > 1:
            sheet(views).save(arguments.output, quality=82)
        else:
            Image.fromarray(np.vstack([np.hstack(row) for row in views])).save(arguments.output, quality=90)


if __name__ == "__main__":
    main()
