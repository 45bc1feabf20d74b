"""Real clips of every kind through the real command: variable rate, rotated, silent, dark, several streams, WebM."""

from pathlib import Path

import pytest

from tests.e2e.command import frame_lines, paint, sound_packets, times

FIRST = 8
WHOLE = {
    "carphone_144p30_silent.mp4",
    "nasa_lowlight_2video_2audio.mp4",
    "phone_shaky_vfr_720p_aac.mp4",
    "rotated_metadata_270p.mp4",
    "sintel_snow_fadein_480p24_mp3.mp4",
}
"""Painted to the end; of the others, which take minutes, the first frames."""


def clips() -> list[Path]:
    from tests.conftest import SHARED

    return sorted((SHARED / "data" / "video").glob("*.m*")) + sorted(
        (SHARED / "data" / "video").glob("*.webm")
    )


@pytest.mark.parametrize("clip", clips() or [None], ids=lambda clip: clip.stem if clip else "none")
def test_every_frame_comes_back_at_its_time(clip: Path, shared: Path, tmp_path: Path) -> None:
    output = tmp_path / ("out.mkv" if clip.suffix == ".webm" else f"out{clip.suffix}")
    whole = clip.name in WHOLE
    paint(clip, "-o", output, "--preset", "ultrafast", *(() if whole else ("--duration", f"{FIRST}f")))
    expected = times(clip) if whole else times(clip)[:FIRST]
    got = times(output)
    shift = 0 if whole else expected[0]
    assert len(got) == len(expected)
    tick = 0.0011 if output.suffix == ".mkv" else 1e-4
    assert [float(time) for time in got] == pytest.approx(
        [float(time - shift) for time in expected], abs=tick
    )
    assert len(frame_lines(output.with_suffix(".anomalies.jsonl"))) == len(got)
    if whole:
        assert sound_packets(output) == sound_packets(clip)
