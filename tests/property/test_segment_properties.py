"""What holds for every order of frames, every clock and every place where a run stops."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media_factory import make_clip, read_stamp, stamped
from tests.media_output import frames_of, times
from vidstyle.media import segments
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.mux import with_decoding_times
from vidstyle.media.probe import probe
from vidstyle.media.segments import Output
from vidstyle.media.store import EncodedPacket, SegmentStore, read_packets, reordering

rising = st.lists(st.integers(1, 5000), min_size=1, max_size=40).map(
    lambda steps: list(itertools.accumulate(steps))
)


@st.composite
def coding_orders(draw: st.DrawFn) -> list[int]:
    """Presentation times as an encoder with B-frames gives them: its first frame first, the others moved a little."""
    pts = draw(rising)
    keys = [0, *(place + draw(st.floats(-3, 3)) for place in range(1, len(pts)))]
    return [time for _, time in sorted(zip([-10.0, *keys[1:]], pts, strict=True))]


@given(coding_orders(), st.integers(0, 20_000), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_decoding_times_rise_and_never_pass_presentation(order: list[int], extra: int, more: int) -> None:
    delay = min(reordering(order) + more, len(order) - 1)
    packets = [EncodedPacket(pts, 0, False, b"") for pts in order]
    timed = list(with_decoding_times(packets, min(order), delay, delay + extra))
    assert [packet for packet, _ in timed] == packets
    decoding = [dts for _, dts in timed]
    assert all(before < after for before, after in itertools.pairwise(decoding))
    assert all(dts <= packet.pts for packet, dts in timed)


@given(st.lists(coding_orders(), min_size=1, max_size=4), st.binary(max_size=50))
@settings(max_examples=40, deadline=None)
def test_a_store_gives_back_what_it_was_given(orders: list[list[int]], header: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SegmentStore(Path(folder) / "work")
        assert store.open("mine", header, resume=True) is None
        given_packets = []
        for number, order in enumerate(orders):
            writer = store.begin(header)
            for pts in order:
                packet = EncodedPacket(
                    pts + 10**6 * number, pts % 7, pts % 2 == 0, bytes([pts % 256]) * (pts % 99)
                )
                writer.add(packet)
                given_packets.append(packet)
            segment = store.complete(writer)
            assert (segment.first_pts, segment.last_pts) == (
                min(order) + 10**6 * number,
                max(order) + 10**6 * number,
            )
        store.close()
        again = SegmentStore(Path(folder) / "work")
        assert again.open("mine", header, resume=True) is None
        assert again.frames == len(given_packets)
        assert list(read_packets(again.paths)) == given_packets
        again.remove()
        assert not any(Path(folder).iterdir())


@given(
    rising.filter(lambda pts: len(pts) <= 14),
    st.sampled_from([Fraction(1, 90_000), Fraction(1, 1_000_000), Fraction(1001, 30_000), Fraction(1, 600)]),
    st.integers(1, 6),
    st.lists(st.integers(0, 14), max_size=2),
)
@settings(max_examples=12, deadline=None)
def test_frames_and_times_survive_any_segments_and_stops(
    pts: Sequence[int], time_base: Fraction, segment_frames: int, stops: Sequence[int]
) -> None:
    with tempfile.TemporaryDirectory() as name, patch.object(segments, "SEGMENT_FRAMES", segment_frames):
        folder = Path(name)
        source = make_clip(folder / "in.mp4", pts=pts, time_base=time_base, size=(96, 64))
        frames = list(frames_of(probe(source.path)))
        for stop in (*stops, len(frames)):
            _run(source.path, folder / "out.mp4", frames[:stop], finish=stop == len(frames))
        assert times(folder / "out.mp4") == times(source.path)
        found = [read_stamp(p.permute(1, 2, 0).numpy()) for _, _, p in frames_of(probe(folder / "out.mp4"))]
        assert found == list(range(len(pts)))
        assert {path.name for path in folder.iterdir()} == {"in.mp4", "out.mp4"}


def _run(
    source: Path, output: Path, frames: Sequence[tuple[int, int, torch.Tensor]], *, finish: bool
) -> None:
    options = EncodeSettings(threads=1, preset="medium")
    with Output(output, probe(source), options, fingerprint="same", resume=True, note=lambda _: None) as out:
        for pts, duration, picture in frames[out.resume_frames :]:
            out.write(pts, duration, picture)
        if finish:
            out.finish()


@given(st.integers(2, 40), st.integers(2, 40))
@settings(max_examples=10, deadline=None)
def test_any_size_can_be_written(width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = make_clip(
            Path(name) / "in.mkv", frames=2, size=(width, height), codec="ffv1", pix_fmt="yuv444p"
        )
        frames = list(frames_of(probe(source.path)))
        _run(source.path, Path(name) / "out.mp4", frames, finish=True)
        written = [picture.numpy() for _, _, picture in frames_of(probe(Path(name) / "out.mp4"))]
        assert len(written) == 2
        for place, picture in enumerate(written):
            assert picture.shape == (3, height, width)
            expected = stamped(place, (width, height)).transpose(2, 0, 1)
            assert np.abs(picture.astype(int) - expected).mean() < 20
