from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media_factory import make_clip
from vidstyle.media.decode import decode
from vidstyle.media.probe import probe
from vidstyle.media.times import frame_times

UNEVEN = (0, 1, 2, 5, 6, 9, 10, 11, 15, 16, 17, 30)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("in.mp4", {"pts": UNEVEN, "time_base": Fraction(1, 30), "options": {"bf": "2"}}),
        ("in.mkv", {"pts": UNEVEN, "time_base": Fraction(1, 30)}),
        ("late.mkv", {"pts": [50 + p for p in UNEVEN], "time_base": Fraction(1, 30)}),
        ("in.avi", {"codec": "mpeg4"}),
        ("in.ts", {"options": {"bf": "2"}}),
        (
            "in.webm",
            {"codec": "libvpx", "frames": 40, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
        ),
    ],
)
def test_the_times_are_those_of_the_decoded_frames(
    tmp_path: Path, name: str, clip: dict[str, object]
) -> None:
    make_clip(tmp_path / name, **clip)  # type: ignore[arg-type]
    info = probe(tmp_path / name)
    with closing(decode(info, batch_size=8)) as batches:
        decoded = [pts for batch in batches for pts in batch.pts]
    times = frame_times(info)
    assert times.first == decoded[0]
    assert times.start == decoded[0] * info.time_base
    assert times.seconds.tolist() == pytest.approx(
        [float((pts - decoded[0]) * info.time_base) for pts in decoded], abs=1e-6
    )
    assert float(times.period) == pytest.approx(times.seconds[-1] / (len(times) - 1), rel=1e-3)


def test_a_file_without_times_is_counted(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.h264", frames=9, container="h264", rate=Fraction(25))
    info = probe(tmp_path / "in.h264")
    assert len(frame_times(info)) == 9
