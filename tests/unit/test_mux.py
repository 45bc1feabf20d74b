"""Joining: everything but the pictures comes through as it was, or is named."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.media_factory import BT709, BT709_FULL, PQ, Color, Sound, make_clip, read_stamp
from tests.media_output import (
    FAST,
    contents,
    frames_of,
    packets,
    pass_through,
    pictures,
    psnr,
    stream_facts,
    times,
)
from vidstyle.media import segments
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.mux import with_decoding_times
from vidstyle.media.probe import probe
from vidstyle.media.store import EncodedPacket

MILLISECOND = Fraction(1, 1000)
SUBTITLES = ((0, 400, "first"), (500, 900, "second <i>line</i>"))


def remux(
    source: Path,
    target: Path,
    *,
    shift: Fraction = Fraction(0),
    extra: Sequence[tuple[str, str, bytes]] = (),
    cover: bytes | None = None,
) -> Path:
    """Copy a clip, all times shifted; with attachments (name, type, content) or a cover picture."""
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", container_options={"avoid_negative_ts": "disabled"}) as new,
    ):
        tracks = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for name, kind, data in extra:
            new.add_attachment(name, kind, data)
        picture = None
        if cover is not None:
            picture = new.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 16, 16, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        for packet in old.demux():
            if packet.size:
                ticks = round(shift / packet.time_base)
                assert packet.pts is not None
                packet.pts += ticks
                packet.dts = packet.pts if packet.dts is None else packet.dts + ticks
                packet.stream = tracks[packet.stream.index]
                new.mux(packet)
        if picture is not None and cover is not None:
            packet = av.Packet(cover)
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1), picture, True
            new.mux(packet)
    return target


def jpeg() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


# Sound


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus", "pcm_s16le", "flac"])
def test_sound_is_copied_bit_for_bit(tmp_path: Path, suffix: str, codec: str) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=18, sounds=[Sound(codec=codec)])
    output = tmp_path / f"out{suffix}"
    notes = pass_through(source.path, output).notes
    if suffix == ".mov" and codec in ("libopus", "flac"):
        assert len(notes) == 1 and "QuickTime cannot hold it" in notes[0]
        assert stream_facts(output, "audio")[0]["codec"] == "aac"
        return
    before, after = packets(source.path, "audio")[0], packets(output, "audio")[0]
    assert [data for _, data in after] == [data for _, data in before]
    assert max(abs(a - b) for (a, _), (b, _) in zip(after, before, strict=True)) <= MILLISECOND
    assert notes == []


def test_all_sound_tracks_keep_order_language_title_and_purpose(tmp_path: Path) -> None:
    sounds = [
        Sound(language="eng", title="Film", hertz=300),
        Sound(language="ger", title="Kommentar", hertz=500),
        Sound(codec="libmp3lame", language="fre", hertz=700),
    ]
    source = make_clip(tmp_path / "in.mkv", frames=18, sounds=sounds)
    for suffix in (".mkv", ".mp4"):
        output = tmp_path / f"out{suffix}"
        assert pass_through(source.path, output).notes == []
        after = stream_facts(output, "audio")
        assert [fact["language"] for fact in after] == ["eng", "ger", "fre"]
        assert contents(output, "audio") == contents(source.path, "audio")
        if suffix == ".mkv":  # MP4 knows no titles of tracks
            assert after == stream_facts(source.path, "audio")
            assert [fact["title"] for fact in after] == ["Film", "Kommentar", None]


@pytest.mark.parametrize(
    ("codec", "suffix", "expected"),
    [
        ("wavpack", ".mp4", "aac"),
        ("aac", ".webm", "opus"),
        ("wavpack", ".mov", "aac"),
        ("wavpack", ".avi", "mp3float"),
    ],
)
def test_sound_that_does_not_fit_is_encoded_anew_with_one_word(
    tmp_path: Path, codec: str, suffix: str, expected: str
) -> None:
    source = make_clip(
        tmp_path / "in.mkv", frames=24, sounds=[Sound(codec=codec, channels=2, language="eng")]
    )
    output = tmp_path / f"out{suffix}"
    notes = pass_through(source.path, output, EncodeSettings(threads=1)).notes
    assert len([note for note in notes if "was encoded anew" in note]) == 1
    (fact,) = stream_facts(output, "audio")
    assert fact["codec"] == expected
    with av.open(str(output)) as container:
        decoded = [f.to_ndarray().reshape(2, -1) for f in container.decode(audio=0) if f.format.is_planar]
    samples = np.concatenate(decoded, axis=1)
    seconds = samples.shape[1] / 48000
    assert seconds == pytest.approx(1, abs=0.1)
    heard = samples[0, 4800:-4800]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * 48000 / len(heard) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_sound_whose_channels_have_no_names(tmp_path: Path, layout: str) -> None:
    """Windows Media says how many channels there are, not which: encoders want to know."""
    clip = make_clip(tmp_path / "a.mkv", frames=24)
    with av.open(str(clip.path)) as old, av.open(str(tmp_path / "in.asf"), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0], opaque=True)
        sound = new.add_stream("wmav2", rate=44100)
        sound.codec_context.layout, sound.codec_context.bit_rate = layout, 128_000
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = video
                new.mux(packet)
        samples = np.zeros((1 if layout == "mono" else 2, 44100), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        new.mux(sound.encode(frame))
        new.mux(sound.encode())
    (note,) = pass_through(tmp_path / "in.asf", tmp_path / "out.mp4").notes
    assert "wmav2) was encoded anew as aac" in note
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].layout.name == layout
        assert sum(f.samples for f in container.decode(audio=0)) == pytest.approx(44100, abs=4096)


def test_sound_can_be_left_out(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=6, sounds=[Sound()], subtitles=SUBTITLES)
    output = tmp_path / "out.mkv"
    assert pass_through(source.path, output, EncodeSettings(audio=False, subtitles=False)).notes == []
    assert stream_facts(output, "audio") == stream_facts(output, "subtitle") == []


@pytest.mark.parametrize("delay", [0.0, 0.25])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_distance_of_sound_and_picture_is_kept(tmp_path: Path, delay: float, suffix: str) -> None:
    source = make_clip(
        tmp_path / "in.mp4",
        pts=[11 + 2 * i for i in range(12)],
        time_base=Fraction(1, 48),
        sounds=[Sound(delay=delay)],
    )
    output = tmp_path / f"out{suffix}"
    pass_through(source.path, output)
    before, after = packets(source.path, "audio")[0][0][0], packets(output, "audio")[0][0][0]
    assert abs(after - before) <= MILLISECOND
    assert abs(times(output)[0] - times(source.path)[0]) <= MILLISECOND


# Times


@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1001, 30000), range(20)),
        (Fraction(1, 1_000_000), range(0, 20 * 33_367, 33_367)),
        (Fraction(1, 90_000), range(11_700, 11_700 + 20 * 3003, 3003)),  # begins at 0.13 s
        (Fraction(1, 90_000), range(630, 630 + 20 * 3003, 3003)),  # begins at 0.007 s
        (Fraction(1, 12_800), [0, 512, 600, 1900, 1901, 1902, 4000, 9000, 9001, 20_000, 20_512, 40_000]),
        (Fraction(1, 1000), [0, 7, 40, 41, 300, 1300, 1333, 1367, 5000, 5040]),
        (Fraction(1, 25), [0]),
        (Fraction(1, 25), [0, 1]),
    ],
)
@pytest.mark.parametrize("segment_frames", [4, 240])
def test_times_are_the_sources_to_the_tick(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    time_base: Fraction,
    pts: Sequence[int],
    segment_frames: int,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_FRAMES", segment_frames)
    source = make_clip(tmp_path / "in.mp4", pts=pts, time_base=time_base)
    output = tmp_path / "out.mp4"
    pass_through(source.path, output, EncodeSettings(threads=1, preset="medium"))
    expected = [p * time_base for p in pts]
    assert times(source.path) == expected
    assert times(output) == expected
    matroska = tmp_path / "out.mkv"
    pass_through(source.path, matroska, EncodeSettings(threads=1, preset="medium"))
    # Matroska counts milliseconds; the reader moves frames apart that fall on the same one.
    closest = min((b - a for a, b in itertools.pairwise(expected)), default=Fraction(1))
    tolerance = MILLISECOND / 2 if closest > MILLISECOND else 2 * MILLISECOND
    assert max(abs(a - b) for a, b in zip(times(matroska), expected, strict=True)) <= tolerance
    for path in (output, matroska):
        found = [read_stamp(p.permute(1, 2, 0).numpy()) for _, _, p in frames_of(probe(path))]
        assert found == list(range(len(pts)))


def test_decoding_order_differs_from_showing_order_in_these_tests(tmp_path: Path) -> None:
    """Guards the tests above: without B-frames they would show nothing about reordering."""
    source = make_clip(tmp_path / "in.mp4", frames=20)
    pass_through(source.path, tmp_path / "out.mp4", EncodeSettings(threads=1, preset="medium"))
    shown = [time for time, _ in packets(tmp_path / "out.mp4", "video")[0]]
    assert shown != sorted(shown)


@pytest.mark.parametrize(
    "pts", [range(21), [0, 3, 5, 6, 11, 12, 13, 20], [0, 12, 13, 14, 15, 16, 17, 18, 19, 20]]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_track_lasts_as_long_as_the_sources(tmp_path: Path, suffix: str, pts: Sequence[int]) -> None:
    source = make_clip(
        tmp_path / "in.mp4", pts=pts, time_base=Fraction(1, 25), rate=Fraction(25), sounds=[Sound()]
    )
    output = tmp_path / f"out{suffix}"
    pass_through(source.path, output, EncodeSettings(threads=1))
    durations = []
    for path in (source.path, output):
        with av.open(str(path)) as container:
            (video,) = container.streams.video
            assert video.duration is not None and video.time_base is not None
            durations.append((video.duration * video.time_base, video.average_rate))
    assert durations[0] == durations[1]
    assert durations[0][0] == Fraction(20, 25) + Fraction(1, 25)


def test_a_negative_start_moves_all_tracks_alike(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=24, sounds=[Sound()])
    early = remux(source.path, tmp_path / "in.ts", shift=Fraction(-1, 2))
    before = times(early)
    assert before[0] == Fraction(-1, 2)
    for suffix in (".mp4", ".mkv"):
        output = tmp_path / f"out{suffix}"
        pass_through(early, output)
        after = times(output)
        assert len(after) == 24
        assert 0 <= after[0] <= Fraction(1, 20)
        assert all(
            abs(b - a - (after[0] - before[0])) <= MILLISECOND for a, b in zip(before, after, strict=True)
        )
        sound = [packets(path, "audio")[0][0][0] for path in (early, output)]
        assert abs((sound[1] - after[0]) - (sound[0] - before[0])) <= 2 * MILLISECOND
        # A transport stream has a header of its own before each packet of AAC.
        for old, new in zip(contents(early, "audio")[0], contents(output, "audio")[0], strict=True):
            assert old.endswith(new) and len(old) - len(new) in (7, 9)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])  # copied, and encoded anew
def test_sound_of_recordings_glued_together_stays_with_the_pictures(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=36, rate=Fraction(24), sounds=[Sound()])
    once = remux(clip.path, tmp_path / "once.ts")
    glued = tmp_path / "glued.ts"
    glued.write_bytes(once.read_bytes() * 2)
    output = tmp_path / f"out{suffix}"
    pass_through(glued, output, EncodeSettings(threads=1))
    shown, sound = times(output), [time for time, _ in packets(output, "audio")[0]]
    assert len(shown) == 72
    assert shown == sorted(shown) and sound == sorted(sound)
    assert shown[-1] - shown[0] == pytest.approx(71 / 24, abs=0.01)
    assert sound[-1] - shown[-1] == pytest.approx(0, abs=0.1)
    assert max(b - a for a, b in itertools.pairwise(sound)) < Fraction(1, 10)


# Cutting


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("start", "end"), [(Fraction(1, 2), Fraction(3, 2)), (Fraction(0), Fraction(1)), (Fraction(5, 4), None)]
)
def test_a_clip_begins_at_zero_and_its_tracks_are_cut_with_it(
    tmp_path: Path, suffix: str, start: Fraction, end: Fraction | None
) -> None:
    source = make_clip(
        tmp_path / "in.mkv",
        pts=[40 * i + 200 for i in range(50)],
        time_base=MILLISECOND,
        rate=Fraction(25),
        sounds=[Sound(codec="pcm_s16le", seconds=2.2)],
        subtitles=[(0, 300, "gone"), (400, 1800, "cut"), (1900, 2100, "last")],
        chapters=["one", "two", "three"],
    )
    output = tmp_path / f"out{suffix}"
    pass_through(source.path, output, clip=(start, end))
    last = end if end is not None else Fraction(2)
    shown = times(output)
    stamps = [read_stamp(p.permute(1, 2, 0).numpy()) for _, _, p in frames_of(probe(output))]
    assert stamps == [i for i in range(50) if start <= Fraction(i, 25) < last]
    assert shown[0] == 0
    assert all(abs(b - a - Fraction(1, 25)) <= MILLISECOND for a, b in itertools.pairwise(shown))

    origin = Fraction(1, 5) + Fraction(stamps[0], 25)
    finish = origin + Fraction(len(stamps), 25) if end is not None else Fraction(100)
    kept = [(t - origin, data) for t, data in packets(source.path, "audio")[0] if origin <= t < finish]
    found = packets(output, "audio")[0]
    assert b"".join(data for _, data in found) == b"".join(data for _, data in kept)
    assert abs(found[0][0] - kept[0][0]) <= MILLISECOND

    texts = {
        data.strip(b"\0")[-4:].strip(b"\0\x03\x04"): t
        for t, data in packets(output, "subtitle")[0]
        if len(data) > 2
    }
    assert (b"gone" in texts) == (start == 0)
    assert (b"cut" in texts) == (start < Fraction(8, 5))
    if b"cut" in texts:
        assert abs(texts[b"cut"] - max(Fraction(2, 5) - origin, Fraction(0))) <= MILLISECOND
    with av.open(str(output)) as container:
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        starts = [chapter["start"] * Fraction(chapter["time_base"] or 0) for chapter in container.chapters()]
    bounds = {"one": (0, 1), "two": (1, 2), "three": (2, 3)}
    assert titles == [t for t, (a, b) in bounds.items() if b > origin and a < finish]
    assert min(starts) == 0


# Everything else


def test_chapters_and_tags_are_kept(tmp_path: Path) -> None:
    tags = {"title": "A film", "artist": "Somebody", "comment": "ünïcode"}
    source = make_clip(tmp_path / "in.mp4", frames=60, chapters=["Opening", "Ende"], tags=tags)
    for suffix in (".mp4", ".mkv", ".mov", ".webm"):
        output = tmp_path / f"out{suffix}"
        assert pass_through(source.path, output, EncodeSettings(crf=40, threads=1)).notes == []
        with av.open(str(output)) as container:
            found = {name.lower(): value for name, value in container.metadata.items()}
            chapters = container.chapters()
        assert tags.items() <= found.items()
        assert [c["metadata"]["title"] for c in chapters] == ["Opening", "Ende"]
        assert [c["start"] * Fraction(c["time_base"] or 0) for c in chapters] == [0, 1]


def test_tags_about_the_input_file_are_not_copied(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=4, sounds=[Sound()])
    pass_through(source.path, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert not {"major_brand", "minor_version", "compatible_brands"} & {
            n.lower() for n in container.metadata
        }


def test_a_clip_does_not_keep_the_timecode_of_the_uncut_first_frame(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mov", frames=24, tags={"timecode": "01:00:00:00"})
    for clip, expected in ((None, {"01:00:00:00"}), ((Fraction(1, 2), None), set())):
        pass_through(source.path, tmp_path / "out.mov", clip=clip)
        with av.open(str(tmp_path / "out.mov")) as container:
            tags = [container.metadata, *(s.metadata for s in container.streams)]
        assert {t["timecode"] for t in tags if "timecode" in t} == expected


@pytest.mark.parametrize(
    ("before", "after", "codec"),
    [
        (".mkv", ".mkv", "srt"),
        (".mp4", ".mp4", "mov_text"),
        (".mkv", ".mp4", "mov_text"),
        (".mp4", ".mkv", "srt"),
        (".mkv", ".webm", "webvtt"),
    ],
)
def test_text_subtitles_are_copied_or_rewritten(tmp_path: Path, before: str, after: str, codec: str) -> None:
    source = make_clip(tmp_path / f"in{before}", frames=36, subtitles=SUBTITLES)
    output = tmp_path / f"out{after}"
    assert pass_through(source.path, output, EncodeSettings(threads=1)).notes == []
    (fact,) = stream_facts(output, "subtitle")
    assert (fact["codec"], fact["language"]) == (codec, "eng")
    shown = [(t, data) for t, data in packets(output, "subtitle")[0] if len(data) > 2]
    assert [float(t) for t, _ in shown] == pytest.approx([0, 0.5], abs=0.002)
    assert b"first" in shown[0][1]
    assert b"second" in shown[1][1] and b"line" in shown[1][1]


def test_subtitles_that_do_not_fit_are_named(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=6, subtitles=SUBTITLES, chapters=["one"])
    notes = pass_through(source.path, tmp_path / "out.avi").notes
    assert len(notes) == 2
    assert "subtitle track 1 (srt, eng) was left out: AVI cannot hold it" in notes[0]
    assert "chapters were left out" in notes[1]


@pytest.mark.parametrize(
    ("before", "after"), [(".mp4", ".mp4"), (".mp4", ".mkv"), (".mkv", ".mkv"), (".mkv", ".mp4")]
)
def test_cover_art_is_kept(tmp_path: Path, before: str, after: str) -> None:
    clip = make_clip(tmp_path / f"a{before}", frames=6, sounds=[Sound()])
    cover = jpeg()
    if before == ".mp4":
        source = remux(clip.path, tmp_path / "in.mp4", cover=cover)
    else:
        source = remux(clip.path, tmp_path / "in.mkv", extra=[("cover.jpg", "image/jpeg", cover)])
    output = tmp_path / f"out{after}"
    assert pass_through(source, output).notes == []
    assert len(times(output)) == 6
    with av.open(str(output)) as container:
        (picture,) = [
            s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic
        ]
        assert next(bytes(p) for p in container.demux(picture) if p.size) == cover


def test_cover_art_that_does_not_fit_is_named(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=4)
    source = remux(clip.path, tmp_path / "in.mp4", cover=jpeg())
    assert pass_through(source, tmp_path / "out.avi").notes == [
        "The cover picture was left out: AVI cannot hold it."
    ]


def test_attachments_are_kept_in_matroska_and_named_elsewhere(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=4)
    font = bytes(range(256)) * 4
    source = remux(clip.path, tmp_path / "in.mkv", extra=[("letters.ttf", "font/ttf", font)])
    assert pass_through(source, tmp_path / "out.mkv").notes == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        (attachment,) = container.streams.attachments
        assert (attachment.name, attachment.mimetype, attachment.data) == ("letters.ttf", "font/ttf", font)
    (note,) = pass_through(source, tmp_path / "out.mp4").notes
    assert "letters.ttf" in note


@pytest.mark.parametrize("color", [BT709, BT709_FULL, Color(1, 6, 6, 6), PQ])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_and_their_tags_are_kept(tmp_path: Path, color: Color, suffix: str) -> None:
    pix_fmt = "yuv420p10le" if color is PQ else "yuv420p"
    source = make_clip(tmp_path / f"in{suffix}", frames=3, color=color, pix_fmt=pix_fmt)
    output = tmp_path / f"out{suffix}"
    pass_through(source.path, output, EncodeSettings(crf=8, threads=1))
    before, after = probe(source.path), probe(output)
    assert after.color == before.color
    scale = 257 if before.depth == 16 else 1
    assert psnr(pictures(output) / scale, pictures(source.path) / scale) > 40


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=2, sample_aspect_ratio=Fraction(16, 11))
    assert pass_through(source.path, tmp_path / f"out{suffix}").notes == []
    assert probe(tmp_path / f"out{suffix}").sample_aspect_ratio == Fraction(16, 11)


def test_avi_keeps_sound_and_even_times(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=24, sounds=[Sound(codec="libmp3lame")])
    output = tmp_path / "out.avi"
    assert pass_through(source.path, output).notes == []
    shown = times(output)
    assert [b - a for a, b in itertools.pairwise(shown)] == [Fraction(1, 24)] * 23
    assert contents(output, "audio") == contents(source.path, "audio")


def test_avi_rounds_uneven_times_with_a_word(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mp4", pts=[0, 10, 13, 14, 40, 50, 60], time_base=Fraction(1, 250), rate=Fraction(25)
    )
    (note,) = pass_through(source.path, tmp_path / "out.avi").notes
    assert "fixed rate" in note
    assert len(times(tmp_path / "out.avi")) == 7


def test_damaged_sound_does_not_stop_the_run(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=48, sounds=[Sound()])
    data = bytearray(clip.path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 400):
        data[place] ^= 0x5A
    clip.path.write_bytes(data)
    pass_through(clip.path, tmp_path / "out.mp4")
    assert len(times(tmp_path / "out.mp4")) == len(times(clip.path)) >= 20


def test_decoding_times_by_hand() -> None:
    def of(pts: Sequence[int], *arguments: int) -> list[int]:
        packets = [EncodedPacket(p, 0, False, b"") for p in pts]
        return [dts for _, dts in with_decoding_times(packets, *arguments)]

    assert of([0, 30, 10, 20, 60, 40, 50], 0, 1, 10) == [-10, 0, 10, 20, 30, 40, 50]
    assert of([7, 90, 50, 30], 7, 2, 2) == [5, 6, 7, 30]
    assert of([5, 6, 9], 5, 0, 0) == [5, 6, 9]
    assert of([], 0, 2, 2) == []


# Real clips


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("bbb_titles_fade_720p24_vp8_vorbis.webm", ".mkv"),
        ("nasa_lowlight_2video_2audio.mp4", ".mp4"),
        ("rotated_metadata_270p.mp4", ".mp4"),
        ("phone_shaky_vfr_720p_aac.mp4", ".mp4"),
        ("person_signing_480p30_silent.mkv", ".mkv"),
    ],
)
def test_real_clips_pass_through(shared: Path, tmp_path: Path, name: str, suffix: str) -> None:
    source, output = shared / "data" / "video" / name, tmp_path / f"out{suffix}"
    length = (Fraction(0), Fraction(2)) if "bbb" in name else None  # decoding VP8 takes long
    pass_through(source, output, FAST, clip=length)
    before, after = probe(source), probe(output)
    assert (after.size, after.color, after.display_matrix) == (
        before.size,
        before.color,
        before.display_matrix,
    )
    worst: Any = 1000.0
    tick = MILLISECOND if suffix == ".mkv" else 0
    end = length[1] if length else None
    for (pts, _, old), (new_pts, _, new) in zip(frames_of(before, end=end), frames_of(after), strict=True):
        assert abs(pts * before.time_base - new_pts * after.time_base) <= tick
        worst = min(worst, psnr(old.numpy(), new.numpy()))
    assert worst >= 40
    old_sound, new_sound = contents(source, "audio"), contents(output, "audio")
    assert len(new_sound) == len(old_sound)
    for track, found in new_sound.items():
        assert found == old_sound[track][: len(found)]
        assert length or len(found) == len(old_sound[track])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_tracks_of_unknown_codecs_are_left_out_and_named(suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=4, sounds=[Sound("libopus")], subtitles=[(0, 100, "Words")])
    data = clip.path.read_bytes()
    clip.path.write_bytes(data.replace(b"A_OPUS", b"A_OPSU").replace(b"S_TEXT/UTF8", b"S_TXET/UTF8"))
    passed = pass_through(clip.path, tmp_path / f"out{suffix}")
    assert len(times(passed.output)) == 4
    for kind in ("sound", "subtitle"):
        assert any(kind in note and "left out" in note and "unknown codec" in note for note in passed.notes)


@pytest.mark.parametrize("sound", ["aac", "libmp3lame"])
def test_in_avi_the_run_in_of_the_sound_does_not_stretch_the_first_frame(sound: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=8, sounds=[Sound(sound)])
    passed = pass_through(clip.path, tmp_path / "out.avi", EncodeSettings(codec="mpeg4", threads=1))
    assert times(passed.output) == clip.times


def hdr10_of(path: Path) -> tuple[list[float], tuple[int, int]]:
    hdr10 = probe(path).hdr10
    assert hdr10 and hdr10.display and hdr10.light
    return [float(number) for number in hdr10.display], hdr10.light


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1"])
def test_hdr10_says_the_same_behind_any_encoder_or_a_note_tells(codec: str, tmp_path: Path) -> None:
    master = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    options = {"x264-params": f"mastering-display={master}:cll=1000,400"}
    source = make_clip(
        tmp_path / "in.mkv", frames=2, size=(64, 64), pix_fmt="yuv420p10le", color=PQ, options=options
    ).path
    settings = EncodeSettings(codec=codec, preset=None if codec == "ffv1" else "8", threads=1)
    passed = pass_through(source, tmp_path / "out.mkv", settings)
    told = any("HDR10" in note for note in passed.notes)
    assert told == (codec == "ffv1")
    if not told:
        before, after = hdr10_of(source), hdr10_of(passed.output)
        assert after[0] == pytest.approx(before[0], rel=0.03, abs=1e-4)
        assert after[1] == before[1] == (1000, 400)
