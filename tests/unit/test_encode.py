"""Choosing and opening the encoder."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vidstyle.errors import OutputError, ResourceError, UsageError
from vidstyle.frames import ColorTags, VideoInfo
from vidstyle.media.containers import container_for
from vidstyle.media.encode import EncodeSettings, Encoding, plan_encoding

INFO = VideoInfo(
    path=Path("in.mp4"),
    coded_size=(160, 96),
    size=(160, 96),
    time_base=Fraction(1, 12800),
    rate=Fraction(25),
    pix_fmt="yuv420p",
    depth=8,
    color=ColorTags(1, 1, 1, 1),
    sample_aspect_ratio=Fraction(1),
    display_matrix=None,
    frames_hint=None,
    seconds_hint=None,
    codec="h264",
    audio_streams=0,
)


def plan(
    settings: EncodeSettings | None = None,
    *,
    output: str = "out.mp4",
    info: VideoInfo = INFO,
    size: tuple[int, int] = (160, 96),
) -> Encoding:
    return plan_encoding(settings or EncodeSettings(), info, container_for(Path(output)), size)


def test_the_default_is_x264_at_high_quality() -> None:
    encoding = plan()
    assert (encoding.codec, encoding.pix_fmt) == ("libx264", "yuv420p")
    assert encoding.options == {"crf": "18", "preset": "veryfast"}
    assert encoding.time_base == INFO.time_base


def test_webm_gets_vp9() -> None:
    assert plan(output="out.webm").codec == "libvpx-vp9"


def test_what_the_user_says_wins() -> None:
    encoding = plan(EncodeSettings(crf=30, preset="slow", options={"tune": "grain", "crf": "31"}))
    assert encoding.options == {"crf": "31", "preset": "slow", "tune": "grain"}


@pytest.mark.parametrize(
    ("codec", "option"),
    [("libx265", "crf"), ("libsvtav1", "crf"), ("libvpx-vp9", "crf"), ("h264_nvenc", "cq")],
)
def test_quality_reaches_each_encoder_under_its_own_name(codec: str, option: str) -> None:
    encoding = plan(EncodeSettings(codec=codec, crf=27), output="out.mkv")
    assert encoding.options[option] == "27"
    assert not encoding.notes


@pytest.mark.parametrize("codec", ["ffv1", "prores_ks"])
def test_a_quality_that_an_encoder_does_not_know_is_told(codec: str) -> None:
    encoding = plan(EncodeSettings(codec=codec, crf=27, preset="fast"), output="out.mkv")
    assert [note.split(" ")[0] for note in encoding.notes] == [codec, codec]
    assert not {"crf", "cq", "preset"} & set(encoding.options)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EncodeSettings(codec="nonsense"), "no encoder 'nonsense'"),
        (EncodeSettings(codec="aac"), "not video"),
        (EncodeSettings(pix_fmt="yuv999p"), "no pixel format"),
        (EncodeSettings(pix_fmt="rgb24"), "does not take rgb24"),
    ],
)
def test_what_does_not_exist_is_wrong_usage(settings: EncodeSettings, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan(settings)


def test_an_unknown_option_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="has no option nonsense"):
        plan(EncodeSettings(options={"nonsense": "1"})).open(global_header=True)


@pytest.mark.parametrize(
    ("settings", "option", "words"),
    [
        (EncodeSettings(preset="nonsense"), "--preset", "no preset 'nonsense'"),
        (EncodeSettings(codec="libx265", preset="99"), "--preset", "no preset '99'"),
        (EncodeSettings(codec="libsvtav1", preset="99"), "--preset", "does not take preset=99"),
        (EncodeSettings(crf=60), "--crf", "not between 0 and 51"),
        (EncodeSettings(codec="libx265", crf=52), "--crf", "not between 0 and 51"),
        (EncodeSettings(codec="libsvtav1", crf=64), "--crf", "not between 0 and 63"),
        (EncodeSettings(crf=30, options={"aq-mode": "some"}), "--encoder-option", "aq-mode=some"),
    ],
)
def test_values_that_an_encoder_does_not_take_are_wrong_usage(
    settings: EncodeSettings, option: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        plan(settings).open(global_header=True)
    assert caught.value.name == option
    assert capfd.readouterr().err == "", "no words of the encoder's own"


def test_the_worst_quality_is_taken() -> None:
    assert plan(EncodeSettings(crf=51)).open(global_header=True)
    assert plan(EncodeSettings(codec="libvpx-vp9", crf=63), output="out.mkv").open(global_header=True)


def test_an_encoder_that_does_not_open_at_all_is_told_without_traceback() -> None:
    with pytest.raises(OutputError, match="libvpx cannot be used here") as caught:
        plan(EncodeSettings(codec="libvpx"), output="out.webm", size=(20_000, 16)).open(global_header=True)
    assert caught.value.hint


def test_a_missing_card_is_told() -> None:
    encoding = plan(EncodeSettings(codec="h264_nvenc"))
    try:
        encoding.open(global_header=True)
    except ResourceError as error:
        assert "no device" in error.reason
        assert error.hint is not None and "processor" in error.hint
    else:
        pytest.skip("this machine has an NVIDIA encoder")


@pytest.mark.parametrize(
    ("settings", "source", "words"),
    [
        (EncodeSettings(), "yuv422p", "--pix-fmt yuv422p keeps it"),
        (EncodeSettings(), "yuv422p10le", "--pix-fmt yuv422p10le keeps it"),
        (EncodeSettings(codec="mpeg4"), "yuv444p", "lower resolution"),
        (EncodeSettings(codec="mpeg4"), "yuv420p10le", "10 bits a sample are written as 8"),
        (EncodeSettings(), "rgb24", "RGB is written as YUV"),
        (EncodeSettings(pix_fmt="yuv420p"), "yuv422p", None),
        (EncodeSettings(), "yuv420p", None),
        (EncodeSettings(), "yuv444p", None),
        (EncodeSettings(), "yuv420p10le", None),
        (EncodeSettings(), "gray", None),
        (EncodeSettings(), "pal8", None),
        (EncodeSettings(codec="ffv1"), "yuv422p", None),
    ],
)
def test_losses_are_told_unless_asked_for(settings: EncodeSettings, source: str, words: str | None) -> None:
    depth = 16 if source.endswith("10le") else 8
    notes = plan(settings, output="out.mkv", info=replace(INFO, pix_fmt=source, depth=depth)).notes
    assert any(words in note for note in notes) if words else not notes


@pytest.mark.parametrize(
    ("codec", "source", "size", "expected"),
    [
        ("libx264", "yuv420p10le", (160, 96), "yuv420p10le"),
        ("libx264", "yuv444p", (160, 96), "yuv444p"),
        ("libx264", "yuv420p", (161, 97), "yuv444p"),
        ("libsvtav1", "yuv444p10le", (160, 96), "yuv420p10le"),
        ("prores_ks", "yuv420p", (160, 96), "yuv422p10le"),
        ("mpeg4", "yuv420p10le", (160, 96), "yuv420p"),
        ("h264_nvenc", "yuv420p10le", (160, 96), "p010le"),
        ("libx264rgb", "yuv420p", (160, 96), "bgr24"),
    ],
)
def test_the_pixel_format_keeps_most_of_the_source(
    codec: str, source: str, size: tuple[int, int], expected: str
) -> None:
    info = replace(INFO, pix_fmt=source, depth=16 if "10" in source else 8)
    chosen = plan(EncodeSettings(codec=codec), output="out.mkv", info=info, size=size).pix_fmt
    same = {"bgr24": {"bgr24", "rgb24", "bgr0"}}.get(expected, {expected})
    assert chosen in same


def test_identity_follows_what_shapes_the_stream_only() -> None:
    one = plan(EncodeSettings(threads=1)).identity()
    assert plan(EncodeSettings(threads=4)).identity() == one
    assert plan(EncodeSettings(crf=19)).identity() != one
    assert plan(info=replace(INFO, time_base=Fraction(1, 1000))).identity() != one


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"])
def test_two_encoders_agree_on_what_all_packets_share(codec: str) -> None:
    encoding = plan(EncodeSettings(codec=codec), output="out.mkv")
    first, second = encoding.open(global_header=True), encoding.open(global_header=True)
    assert first.extradata == second.extradata
    if codec in ("libx264", "libx265", "libsvtav1", "ffv1"):
        assert first.extradata


def test_the_encoder_is_told_the_colours() -> None:
    context = plan().open(global_header=True)
    tags = (context.color_range, context.color_primaries, context.color_trc, context.colorspace)
    assert tags == (1, 1, 1, 1)
    assert isinstance(context, av.VideoCodecContext)


def test_unknown_endings_are_refused_with_the_known_ones() -> None:
    with pytest.raises(OutputError, match=r"'\.xyz' is no kind of video") as caught:
        container_for(Path("out.xyz"))
    assert caught.value.hint is not None and ".mp4" in caught.value.hint
