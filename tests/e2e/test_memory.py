"""Memory does not grow with the length of the video."""

import time
from pathlib import Path

from tests.e2e.command import start
from tests.e2e.test_endings import moving
from tests.media_factory import make_clip

SIZE = (160, 96)
FRAMES, SETTLED = 860, 500
"""By the 500th frame every window is full and two segments have been closed: encoders overlap there, once for all."""


def resident_megabytes(process: int) -> float:
    """Resident memory of a running process; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0
    )


def test_later_frames_take_no_more_memory(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    log = output.with_suffix(".anomalies.jsonl")
    make_clip(source, frames=FRAMES, size=SIZE, picture=moving, options={"preset": "ultrafast"})
    process = start(source, "-o", output, "-q")
    seen: list[float] = []
    while process.poll() is None:
        written = log.read_bytes().count(b'"type": "frame"') if log.exists() else 0
        if SETTLED <= written < FRAMES:
            seen.append(resident_megabytes(process.pid))
        time.sleep(0.1)
    process.communicate()
    assert process.returncode == 0
    assert len(seen) > 5
    pictures = (FRAMES - SETTLED) * SIZE[0] * SIZE[1] * 3 / 2**20
    assert max(seen) - seen[0] < pictures / 2, "as if one picture were kept of every second frame"
