"""Join encoded segments with everything else the input holds: sound, subtitles, chapters, tags, pictures.

Packets of both sides are merged by decoding time, so nothing but a few of them is held in memory whatever the length.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from vidstyle.errors import OutputError
from vidstyle.media.containers import Container, open_output
from vidstyle.media.encode import EncodeSettings, Encoding
from vidstyle.media.open import open_input, video_stream
from vidstyle.media.store import EncodedPacket, Segment, read_packets
from vidstyle.media.tracks import (
    ConvertText,
    Copy,
    CopyPicture,
    CopySubtitles,
    Reencode,
    Timeline,
    Track,
    pauses,
    recordings,
)

_PRIMING_SECONDS = Fraction(1, 10)
"""Sound that begins less than this before zero is the run-in of its decoder, which players cut off."""
_TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}
# Tags that describe the input file or its encoding, not what it shows.
_FILE_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"}
_STATISTICS_TAGS = ("bps", "number_of_", "_statistics_", "duration-")
_MIN_TIMESCALE = 10_000
_GLUED = {"mpegts", "mpeg"}
"""Kinds of file that are still whole when several are written one behind the other."""
_HEVC = av.Codec("hevc").id
_STOP_SECONDS = 5
"""How far beyond a clip's end the input is read: its tracks need not be interleaved well."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BorrowedSound:
    """The sound of another file, for an input that has none."""

    path: Path
    shift: Fraction
    """Seconds to be added to its times to make them times of the input."""


def join(
    part: Path,
    source: Path,
    container: Container,
    encoding: Encoding,
    segments: Sequence[Segment],
    folder: Path,
    settings: EncodeSettings,
    *,
    display_matrix: tuple[int, ...] | None,
    clip: tuple[Fraction, Fraction | None] | None,
    sound: BorrowedSound | None = None,
    note: Note,
) -> None:
    """Write the complete file `part`: the segments' video, and the other tracks of `source`; `sound` as well.

    clip: None for the whole input; otherwise the first frame is moved to time 0 and the other tracks are cut to the
    video's length (to their own end where the clip has none). note: called with one sentence for each thing that
    could not be kept as it was. Raises OSError and FFmpegError where writing fails, InputError where `source` cannot
    be read any more.
    """
    with ExitStack() as stack:
        original = stack.enter_context(_open_with_sound(source))
        timeline = _timeline(original, segments, encoding.time_base, clip)
        output = open_output(part, container, **_muxer_options(container, encoding.time_base))
        try:
            video = _add_video(output, encoding, container, display_matrix)
            painted = video_stream(original, max_pixels=sys.maxsize)  # whatever is there was painted already
            _copy_tags(painted, video, timeline)
            end = (segments[-1].last_pts + segments[-1].last_duration) * encoding.time_base
            tracks = _Tracks(output, original, source, container, timeline, end, note)
            if original.format.name in _GLUED:
                tracks.shifts = recordings(_packets_of(source, painted.index), 1 / encoding.rate)
            tracks.add_all(painted, settings)
            output.metadata.update(_kept_tags(original.metadata, timeline))
            _copy_chapters(original, output, container, timeline, note)
            packets = [_video_packets(segments, folder, encoding, video, timeline), tracks.packets()]
            if sound is not None:
                lender = stack.enter_context(_open_with_sound(sound.path))
                borrowed = _borrowed_timeline(timeline, sound, end)
                loan = _Tracks(output, lender, sound.path, container, borrowed, end - sound.shift, note)
                loan.add_sound()
                packets.append(loan.packets())
            _write(output, video, heapq.merge(*packets, key=_time), note)
            output.close()
            if not _keeps_pixel_shape(part, encoding.sample_aspect_ratio):
                ratio = encoding.sample_aspect_ratio
                note(f"The shape of the pixels ({ratio.numerator}:{ratio.denominator}) could not be kept.")
        except BaseException:
            with suppress(OSError, ValueError, av.FFmpegError):  # it fails again where it failed before
                output.close()
            raise


def check_video(container: Container, encoding: Encoding) -> None:
    """Raise OutputError unless the container takes what the encoder makes."""
    if not _fits(container, lambda output: _add_video(output, encoding, container, None)):
        raise OutputError(
            f"{container.name} cannot hold what the encoder {encoding.codec} makes.",
            name=f"--codec {encoding.codec}",
            hint="choose another encoder, or an output that ends in .mkv",
        )


def with_decoding_times(
    packets: Iterable[EncodedPacket], first: int, delay: int, run_in: int
) -> Iterator[tuple[EncodedPacket, int]]:
    """Packets in coding order, each with its decoding time; `delay` is by how many places at most they are reordered.

    The i-th decoding time is the (i - delay)-th presentation time in order of showing; the ones before are spread
    over `run_in` (at least `delay`) ticks before `first`, the first presentation time. So they rise strictly and none
    is later than its presentation time. Holds `delay` + 1 numbers.
    """
    waiting: list[int] = []
    for place, packet in enumerate(packets):
        heapq.heappush(waiting, packet.pts)
        if place < delay:
            yield packet, first - run_in + run_in * place // delay
        else:
            yield packet, heapq.heappop(waiting)


def _timeline(
    original: InputContainer,
    segments: Sequence[Segment],
    time_base: Fraction,
    clip: tuple[Fraction, Fraction | None] | None,
) -> Timeline:
    first = segments[0].first_pts * time_base
    if clip is not None:
        last = segments[-1]
        end = (last.last_pts + last.last_duration) * time_base
        return Timeline(-first, first, end if clip[1] is not None else None)
    # Players hide what comes before zero; all tracks move together, or sound and picture drift apart.
    sound = Fraction(original.start_time or 0, av.time_base)
    early = max(-first, -sound if sound < -_PRIMING_SECONDS else Fraction(0))
    return Timeline(max(early, Fraction(0)))


def _borrowed_timeline(timeline: Timeline, sound: BorrowedSound, end: Fraction) -> Timeline:
    """That of a file whose sound is cut to the video, which ends at `end` by the clock of the input."""
    shift = timeline.shift + sound.shift
    return Timeline(shift, -shift if -shift > _PRIMING_SECONDS else None, end - sound.shift)


def _muxer_options(container: Container, time_base: Fraction) -> dict[str, str]:
    if container.format in ("mp4", "mov"):
        # Starts later than 0 are written in ticks of the whole movie: a millisecond each unless told otherwise.
        scale = time_base.denominator
        while scale < _MIN_TIMESCALE:
            scale *= 2
        return {"movie_timescale": str(scale)}
    if container.format in ("matroska", "webm", "avi"):
        # Otherwise the run-in of an AAC or MP3 decoder, a few negative milliseconds, would move all tracks; in AVI,
        # which counts frames, the first one would be shown twice as long.
        return {"avoid_negative_ts": "disabled"}
    return {}


def _add_video(
    output: OutputContainer, encoding: Encoding, container: Container, display_matrix: tuple[int, ...] | None
) -> VideoStream:
    video = cast(VideoStream, output.add_stream(encoding.codec, rate=encoding.rate))
    encoding.configure(video.codec_context)
    encoding.open_context(video.codec_context)  # nothing is encoded with it: it describes the track
    video.time_base = encoding.time_base
    if container.format in ("mp4", "mov") and video.codec_context.codec.id == _HEVC:
        video.codec_context.codec_tag = "hvc1"  # the spelling that Apple's players accept
    if display_matrix is not None and container.display_matrix:
        video.set_display_matrix(display_matrix)
    return video


def _video_packets(
    segments: Sequence[Segment], folder: Path, encoding: Encoding, video: VideoStream, timeline: Timeline
) -> Iterator[Packet[VideoStream]]:
    paths = [folder / segment.file for segment in segments]
    first, last = segments[0].first_pts, segments[-1].last_pts
    shift = timeline.ticks(encoding.time_base)
    length = segments[-1].last_duration or max(1, round(1 / (encoding.rate * encoding.time_base)))
    delay = max(segment.reordering for segment in segments)
    # Begun as long before the first frame as the last packets are decoded before the last frame, the track has the
    # same length by the clock of decoding as by that of showing, at an uneven rate as well.
    tail = sorted(packet.pts for packet in read_packets(paths[-2:]))[-delay - 1 :]
    run_in = max(delay, last - tail[0])
    left = sum(segment.frames for segment in segments)
    for coded, dts in with_decoding_times(read_packets(paths), first, delay, run_in):
        left -= 1
        packet = cast("Packet[VideoStream]", Packet(coded.data))
        packet.time_base = encoding.time_base
        packet.pts, packet.dts = coded.pts + shift, dts + shift
        packet.is_keyframe = coded.keyframe
        packet.stream = video
        # Frames last until the next one: only the last, in either order, is asked for its duration.
        packet.duration = length if left == 0 or coded.pts == last else 1
        yield packet


class _Tracks:
    """Finds a place in the output for every track of the input, and says what has none."""

    def __init__(
        self,
        output: OutputContainer,
        original: InputContainer,
        source: Path,
        container: Container,
        timeline: Timeline,
        end: Fraction,
        note: Note,
    ) -> None:
        """end: of the pictures, in the input's time."""
        self.output = output
        self.original = original
        self.source = source
        self.container = container
        self.timeline = timeline
        self.last = end
        self.note = note
        self.shifts: Sequence[Fraction] = ()
        """Of the recordings that are glued together in the input."""
        self.by_index: dict[int, Track] = {}

    def add_all(self, painted: VideoStream, settings: EncodeSettings) -> None:
        """Add what is to be kept; must be called before anything is written."""
        for stream in self.original.streams:
            if stream.index == painted.index:
                continue
            if stream.type == "audio" and settings.audio:
                self._add_sound(stream)
            elif stream.type == "subtitle" and settings.subtitles:
                self._add_subtitles(stream)
            elif stream.type == "video" and stream.disposition & Disposition.attached_pic:
                self._add_cover(stream)
            elif stream.type == "attachment":
                self._add_attachment(cast(AttachmentStream, stream))

    def add_sound(self) -> None:
        """Add nothing but the sound; must be called before anything is written."""
        for stream in self.original.streams.audio:
            self._add_sound(stream)

    def packets(self) -> Iterator[Packet[Any]]:
        """What the input's tracks give, ready to be written."""
        for stream in self.original.streams:
            if stream.index not in self.by_index:
                stream.discard = Discard.all
        if self.by_index:
            for packet in self._read():
                yield from self.by_index[packet.stream.index].take(packet)
            for track in self.by_index.values():
                yield from track.end()

    def _read(self) -> Iterator[Packet[Any]]:
        streams = [self.original.streams[index] for index in self.by_index]
        # Subtitles are too sparse to tell that a clip's end has been passed.
        running = {s.index for s in streams if s.type == "audio"} or set(self.by_index)
        end = None if self.timeline.end is None else self.timeline.end + _STOP_SECONDS
        moved, damaged = True, False
        while moved:  # reading goes on after damage, as long as there is something to be read
            moved = False
            try:
                for packet in self.original.demux(streams):
                    if packet.size == 0 or packet.stream.index not in self.by_index:
                        continue
                    moved = True
                    if end is not None and packet.dts is not None and packet.dts * packet.time_base > end:
                        running.discard(packet.stream.index)
                        if not running:
                            return
                    yield packet
                break
            except av.FFmpegError:
                damaged = True
        if damaged:
            self.note("The input is damaged; some of its sound or subtitles could not be read.")

    def _add_sound(self, stream: Stream) -> None:
        name = _codec(stream) or ""
        fits = self._fits(lambda output: _copy(stream, output))
        if fits and not (self._counts_samples(name) and self._pauses(stream)):
            self._place(stream, _copy(stream, self.output), Copy)
            return
        codec, why = self.container.audio_codec, "cannot hold it"
        if fits:
            codec, why = name if name.startswith("pcm_") else codec, "has no room for its pauses"

        def build(output: OutputContainer) -> Reencode:
            return Reencode(
                output,
                stream,
                codec,
                self.timeline,
                until=self.last,
                from_start=self.container.fixed_rate,
                shifts=self.shifts,
            )

        if stream.codec_context is not None and self._fits(build):
            track = build(self.output)
            _copy_tags(stream, track.stream, self.timeline)
            self.by_index[stream.index] = track
            self.note(f"{_name(stream)} was encoded anew as {codec}: {self.container.name} {why}.")
        else:
            self.note(f"{_name(stream)} was left out: it cannot be read.")

    def _counts_samples(self, codec: str) -> bool:
        """Whether the container tells the time of this sound by counting its samples, so that pauses are lost."""
        return self.container.fixed_rate or (
            self.container.format in ("mp4", "mov") and codec.startswith("pcm_")
        )

    def _pauses(self, stream: Stream) -> bool:
        packets = _packets_of(self.source, stream.index)
        return pauses(packets, self.timeline, self.shifts, from_start=self.container.fixed_rate)

    def _add_subtitles(self, stream: Stream) -> None:
        codec = self.container.subtitle_codec
        if self._fits(lambda output: _copy(stream, output)):
            self._place(stream, _copy(stream, self.output), CopySubtitles)
        elif (
            codec is not None
            and _codec(stream) in _TEXT_SUBTITLES
            and self._fits(lambda output: ConvertText(output, stream, codec, self.timeline))
        ):
            track = ConvertText(self.output, stream, codec, self.timeline)
            _copy_tags(stream, track.stream, self.timeline)
            self.by_index[stream.index] = track
        else:
            self.note(f"{_name(stream)} was left out: {self.container.name} cannot hold it.")

    def _add_cover(self, stream: Stream) -> None:
        if self.container.cover == "track" and self._fits(lambda output: _copy_cover(stream, output)):
            self._place(stream, _copy_cover(stream, self.output), CopyPicture)
            return
        with closing(_packets_of(self.source, stream.index)) as packets:
            picture = next(packets, None) if self.container.cover == "attachment" else None
        if picture is not None:
            suffix, kind = ("png", "image/png") if _codec(stream) == "png" else ("jpg", "image/jpeg")
            self.output.add_attachment(f"cover.{suffix}", kind, bytes(picture))
        else:
            self.note(f"The cover picture was left out: {self.container.name} cannot hold it.")

    def _add_attachment(self, stream: AttachmentStream) -> None:
        if self.container.attachments:
            self.output.add_stream_from_template(stream)
        else:
            self.note(
                f"The attachment {stream.name or ''} was left out: {self.container.name} cannot hold it."
            )

    def _place(self, source: Stream, target: Stream, kind: type[Copy]) -> None:
        _copy_tags(source, target, self.timeline)
        self.by_index[source.index] = kind(
            target, self.timeline, strict=self.container.fixed_rate, shifts=self.shifts
        )

    def _fits(self, build: Callable[[OutputContainer], object]) -> bool:
        return _fits(self.container, build)


def _fits(container: Container, build: Callable[[OutputContainer], object]) -> bool:
    """Whether the container takes a track, found out by asking its muxer for a header."""
    trial = open_output(Path(os.devnull), container)
    try:
        build(trial)
        trial.start_encoding()
    except (av.FFmpegError, ValueError, KeyError):
        return False
    finally:
        with suppress(OSError, ValueError, av.FFmpegError):
            trial.close()
    return True


def _keeps_pixel_shape(part: Path, wanted: Fraction) -> bool:
    # Matroska's muxer is not told by PyAV, so it depends on whether the coded pictures carry it themselves.
    if wanted == 1:
        return True
    with open_input(part) as written:
        return video_stream(written, max_pixels=sys.maxsize).sample_aspect_ratio == wanted


def _copy(stream: Stream, output: OutputContainer) -> Stream:
    return output.add_stream_from_template(stream, opaque=True)


def _copy_cover(stream: Stream, output: OutputContainer) -> Stream:
    copy = _copy(stream, output)
    copy.disposition = Disposition.attached_pic
    return copy


def _open_with_sound(path: Path) -> InputContainer:
    """Open a file and know of every track of sound what it is, also where it begins late in a transport stream."""
    container = open_input(path)
    if all(s.codec_context is None or s.codec_context.sample_rate for s in container.streams.audio):
        return container
    container.close()
    return open_input(path, far_ahead=True)


def _packets_of(source: Path, index: int) -> Generator[Packet[Any], None, None]:
    """A track's packets, up to the first damage, read with a container of its own: reading moves the place of all."""
    with open_input(source) as container:
        stream = container.streams[index]
        for other in container.streams:
            other.discard = Discard.default if other.index == index else Discard.all
        with suppress(av.FFmpegError):
            yield from (packet for packet in container.demux(stream) if packet.size)


def _copy_tags(source: Stream, target: Stream, timeline: Timeline) -> None:
    """Language, title and the like, and what a track is for."""
    target.metadata.update(_kept_tags(source.metadata, timeline))
    target.disposition = source.disposition


def _kept_tags(tags: Mapping[str, str], timeline: Timeline) -> dict[str, str]:
    dropped = (
        _FILE_TAGS if timeline.start is None else {*_FILE_TAGS, "timecode"}
    )  # that of the uncut first frame
    return {
        name: value
        for name, value in tags.items()
        if name.lower() not in dropped and not name.lower().startswith(_STATISTICS_TAGS)
    }


def _copy_chapters(
    original: InputContainer, output: OutputContainer, container: Container, timeline: Timeline, note: Note
) -> None:
    chapters = original.chapters()
    if chapters and not container.chapters:
        note(f"The chapters were left out: {container.name} cannot hold them.")
        return
    kept = []
    for chapter in chapters:
        tick = chapter["time_base"] or Fraction(1, av.time_base)
        if part := timeline.cut(chapter["start"] * tick, chapter["end"] * tick):
            start, end = (round((time + timeline.shift) / tick) for time in part)
            kept.append({**chapter, "start": start, "end": end, "time_base": tick})
    output.set_chapters(cast(Any, kept))


def _write(output: OutputContainer, video: VideoStream, packets: Iterable[Packet[Any]], note: Note) -> None:
    lost = 0
    for packet in packets:
        try:
            output.mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if packet.stream is video:
                raise
            lost += 1
    if lost:
        note(f"{lost} damaged packet(s) of sound or subtitles were left out.")


def _time(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _name(stream: Stream) -> str:
    kind = {"audio": "sound", "subtitle": "subtitle"}[stream.type]
    language = f", {stream.language}" if stream.language not in (None, "und") else ""
    return f"The {kind} track {stream.index} ({_codec(stream) or 'unknown codec'}{language})"


def _codec(stream: Stream) -> str | None:
    """The name of a track's codec; None where FFmpeg does not know it."""
    return stream.codec_context.name if stream.codec_context is not None else None
