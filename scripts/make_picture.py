#!/usr/bin/env python3
"""Render the README's picture: frames of the sample clip above, painted below.

python scripts/make_picture.py checkpoints/samples/oil.jpg [--style oil]
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

ROOT = Path(__file__).resolve().parents[1]
FRAMES = (30, 110)


def pictures(path: Path, indices: tuple[int, ...]) -> list[np.ndarray]:
    """The frames with these indices, uint8 [H, W, 3] RGB."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24")
            for index, frame in enumerate(container.decode(video=0))
            if index in indices
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--style", default="oil")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "in.mp4", Path(folder) / "out.mkv"
        drawing = [sys.executable, str(ROOT / "scripts/make_sample.py"), str(source), "--size", "640x360"]
        subprocess.run(drawing, check=True)
        stylize_video(
            source,
            result,
            settings=Settings(
                style=StyleSettings(style=arguments.style), output=OutputSettings(codec="ffv1")
            ),
        )
        rows = [np.hstack(pictures(path, FRAMES)) for path in (source, result)]
    Image.fromarray(np.vstack(rows)).save(arguments.output, quality=90)


if __name__ == "__main__":
    main()
