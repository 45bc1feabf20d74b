"""What `--style` understands: names, blends, pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vidstyle import painters, pipeline, styles, weights
from vidstyle.errors import InputError, StyleError
from vidstyle.guides import LINES, STROKES
from vidstyle.models.blend import Blend
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.settings import Settings, StyleSettings

FRAMES = [np.random.default_rng(9).integers(20, 180, (40, 60, 3), dtype=np.uint8)]


def painting(path: Path, seed: int = 0, size: tuple[int, int] = (96, 80)) -> Path:
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return painting(tmp_path / "my painting.png")


def shares(text: str) -> list[tuple[str, float]]:
    return [(part.entry.name, round(part.share, 6)) for part in styles.wanted(text).parts]


@pytest.mark.parametrize(
    ("text", "name", "parts"),
    [
        ("oil", "oil", [("oil", 1)]),
        ("oil:1", "oil", [("oil", 1)]),
        ("oil:7", "oil", [("oil", 1)]),
        ("oil:0.6,sketch:0.4", "oil+sketch", [("oil", 0.6), ("sketch", 0.4)]),
        (" oil:3 , sketch:1 ", "oil+sketch", [("oil", 0.75), ("sketch", 0.25)]),
        ("cartoon,oil", "cartoon+oil", [("cartoon", 0.5), ("oil", 0.5)]),
    ],
)
def test_names_and_blends(text: str, name: str, parts: list[tuple[str, float]]) -> None:
    assert styles.wanted(text).name == name
    assert shares(text) == parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cubism", "cubism"),
        ("", "Unknown"),
        ("oil:0.6,cubism:0.4", "cubism"),
        ("oil:0", "above 0"),
        ("oil:-1,sketch:2", "above 0"),
        ("oil:nan", "above 0"),
        ("oil:inf,sketch:1", "above 0"),
        ("oil:much", "above 0"),
        ("oil:1,oil:2", "twice"),
        ("oil,", "Unknown"),
    ],
)
def test_what_is_no_style_says_so(text: str, words: str) -> None:
    with pytest.raises(StyleError, match=words):
        styles.wanted(text)


def test_one_style_alone_is_that_style_to_the_bit() -> None:
    network = painters.painting_network(styles.wanted("oil:0.3"), lambda: FRAMES)
    assert isinstance(network, Generator)
    for ours, theirs in zip(network.parameters(), load(styles.find("oil")).parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert styles.wanted("oil:1").sha256 == styles.find("oil").sha256


def test_a_blend_mixes_the_pictures_of_its_styles_each_with_its_own_guides() -> None:
    style = styles.wanted("oil:1,cartoon:3")
    blend = painters.painting_network(style, lambda: FRAMES)
    assert isinstance(blend, Blend)
    planes = painters.guides_of(style)
    assert planes == (STROKES, LINES)
    frames, guides = torch.rand(2, 3, 16, 24), torch.randn(2, 2, 16, 24)
    oil, cartoon = (load(styles.find(name)) for name in ("oil", "cartoon"))
    wanted = 0.25 * oil(frames, guides[:, :1]) + 0.75 * cartoon(frames, guides[:, 1:])
    torch.testing.assert_close(blend(frames, guides), wanted, atol=1e-5, rtol=1e-5)
    assert blend.context_pixels >= max(oil.context_pixels, cartoon.context_pixels)


def test_shares_are_part_of_what_a_resumed_run_must_agree_on() -> None:
    digests = {styles.wanted(text).sha256 for text in ("oil", "oil,sketch", "oil:2,sketch:1", "sketch,oil")}
    assert len(digests) == 4


def test_a_name_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    painting(tmp_path / "oil.png").rename(tmp_path / "oil")
    assert styles.wanted("oil").parts[0].picture is None
    assert styles.wanted("./oil").parts[0].picture == Path("./oil")


def test_a_picture_is_a_style(picture: Path) -> None:
    style = styles.wanted(str(picture))
    assert style.name == "my painting"
    asked = []

    def frames() -> list[np.ndarray]:
        asked.append(1)
        return FRAMES

    network = painters.painting_network(style, frames)
    assert asked == [1]
    planes = len(painters.guides_of(style)) + len(network.marks)
    frames, guides = torch.rand(1, 3, 32, 48), torch.zeros(1, planes, 32, 48)
    with torch.inference_mode():
        painted = network(frames, guides)
    assert torch.isfinite(painted).all()
    assert painted.shape == frames.shape
    assert (painted - frames).abs().mean() > 0.02


def test_two_pictures_paint_differently_and_are_told_apart(picture: Path, tmp_path: Path) -> None:
    other = painting(tmp_path / "other.png", seed=5)
    one, two = styles.wanted(str(picture)), styles.wanted(str(other))
    assert one.sha256 != two.sha256
    networks = [painters.painting_network(style, lambda: FRAMES) for style in (one, two)]
    frames, guides = torch.rand(1, 3, 32, 32), torch.randn(1, 7, 32, 32)
    with torch.inference_mode():
        assert (networks[0](frames, guides) - networks[1](frames, guides)).abs().mean() > 0.01


def test_a_picture_may_be_part_of_a_blend(picture: Path) -> None:
    style = styles.wanted(f"{picture}:1,oil:1")
    assert style.name == "my painting+oil"
    assert isinstance(painters.painting_network(style, lambda: FRAMES), Blend)


@pytest.mark.parametrize("kind", ["missing", "text", "cut off", "tiny", "animated", "empty", "folder"])
def test_pictures_of_no_use_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "style.png"
    if kind == "text":
        path.write_text("no picture")
    elif kind == "cut off":
        painting(path, size=(400, 300))
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "tiny":
        painting(path, size=(200, 40))
    elif kind == "animated":
        path = tmp_path / "style.gif"
        frames = [Image.new("RGB", (80, 80), tint) for tint in ("red", "blue")]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(InputError) as caught:
        painters.painting_network(styles.wanted(str(path)), lambda: FRAMES)
    assert "style." in str(caught.value)


def test_transparent_parts_count_as_white_paper(tmp_path: Path) -> None:
    from vidstyle.pictures import read_style_picture

    path = tmp_path / "cut out.png"
    Image.new("RGBA", (80, 80), (0, 0, 0, 0)).save(path)
    assert read_style_picture(path).min() == 255


@pytest.mark.parametrize("size", [(64, 64), (2000, 70), (70, 2000), (1500, 1200)])
def test_pictures_of_any_shape_are_looked_at(size: tuple[int, int], tmp_path: Path) -> None:
    path = painting(tmp_path / "style.png", size=size)
    network = painters.painting_network(styles.wanted(str(path)), lambda: FRAMES)
    assert all(torch.isfinite(weight).all() for weight in network.parameters())


def test_a_users_own_style_is_found_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert weights.users_folder() == tmp_path / "vidstyle" / "styles"
    assert "mine" not in styles.available()


def test_the_run_of_a_blend_is_another_than_that_of_its_parts(tmp_path: Path) -> None:
    texts = ("oil", "oil:0.6,sketch:0.4")
    settings = [Settings(style=StyleSettings(text)).what_shapes_pictures() for text in texts]
    assert settings[0] != settings[1]
    assert pipeline.styles.wanted(texts[1]).name == "oil+sketch"
