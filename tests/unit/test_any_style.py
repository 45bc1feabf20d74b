"""The network that turns a picture into a painter, how it is trained, and tuned to one picture."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from vidstyle import learn as learning
from vidstyle import styles, weights
from vidstyle.errors import InputError, Interrupted, OutputError, StyleError, UsageError, WeightsError
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.models.marked import Marked
from vidstyle.models.marks import marks_of
from vidstyle.models.quilt import texture_of
from vidstyle.pictures import read_style_picture
from vidstyle.training import losses, perceptual, small_vgg
from vidstyle.training.data import Pair
from vidstyle.training.datasets import Draw, PaintedPairs
from vidstyle.training.loop import Trainer
from vidstyle.training.made_pictures import dead_leaves
from vidstyle.training.recipes import any_style
from vidstyle.training.recipes.any_style import PLANES, AnyStyleRecipe, AnyStyleSettings
from vidstyle.training.style_pictures import known
from vidstyle.training.texture import Texture
from vidstyle.training.tuning import Tuner

SMALL = {"channels": 8, "blocks": 1, "edge_channels": 8, "guide_channels": len(PLANES), "mix_skip": True}


@pytest.fixture
def network() -> AnyStyle:
    torch.manual_seed(0)
    return AnyStyle(generator=SMALL, banks=2, code=8)


def picture(seed: int, side: int = 140) -> np.ndarray:
    return dead_leaves(side, np.random.default_rng(seed))


def pairs(count: int = 8) -> PaintedPairs:
    made = [picture(seed) for seed in range(count)]
    guides = np.full((140, 140, len(PLANES)), 128, np.uint8)
    return PaintedPairs([Pair(one, one, guides) for one in made], held=2)


class Plain(nn.Module):
    """Features that are the picture itself and its slopes."""

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures, pictures.diff(dim=2)]


@pytest.fixture
def art(tmp_path: Path) -> Path:
    folder = tmp_path / "art"
    folder.mkdir()
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), picture(40 + seed, 260))
    return folder


def recipe(network: AnyStyle, art: Path, **settings: object) -> AnyStyleRecipe:
    shown = known([art], network.describe, Plain(), parts=True)
    any_style.standardise(network, shown, pairs())
    chosen = AnyStyleSettings(steps=6, batch=4, crop=56, precision="fp32", save_every=100, **settings)  # type: ignore[arg-type]
    return AnyStyleRecipe(chosen, network, pairs(), shown, shown, Plain())


def test_the_painter_of_a_picture_is_what_the_network_paints_with_its_facts(network: AnyStyle) -> None:
    one = torch.from_numpy(picture(1)).permute(2, 0, 1)[None].float() / 255
    frames, guides = torch.rand(2, 3, 24, 32), torch.randn(2, len(PLANES), 24, 32)
    film = marks_of(picture(2)).strength
    painter = network.eval().painter(one, film)
    assert type(painter) is Generator
    with torch.no_grad():
        facts = torch.cat((network.describe(one), torch.from_numpy(film.facts)))
        wanted = network(frames, guides, facts)
        torch.testing.assert_close(painter(frames, guides), wanted)
        for other in (
            network.painter(one.flip(1), film),
            network.painter(one, marks_of(picture(3)).strength),
        ):
            assert not torch.allclose(other(frames, guides), wanted)


def test_facts_tell_long_marks_from_dots(network: AnyStyle) -> None:
    lines = torch.zeros(1, 3, 128, 128)
    lines[..., ::8] = 1
    dots = (torch.rand(1, 1, 128, 128) < 0.12).float().expand(-1, 3, -1, -1)
    of_lines, of_dots = (network.describe(one)[-10:-9] for one in (lines, dots))
    assert torch.isfinite(network.describe(lines)).all()
    assert not torch.allclose(of_lines, of_dots)


def test_the_recipe_learns_and_resumes_to_the_bit(network: AnyStyle, art: Path, tmp_path: Path) -> None:
    fresh = copy.deepcopy(network)
    whole = Trainer(recipe(network, art), tmp_path / "whole")
    figures = [whole.advance() for _ in range(4)]
    assert all(np.isfinite(value) for one in figures for value in one.values())
    first = Trainer(recipe(copy.deepcopy(fresh), art), tmp_path / "first")
    first.advance(), first.advance()
    first.save()
    second = Trainer(recipe(copy.deepcopy(fresh), art), tmp_path / "second")
    second.load(tmp_path / "first" / "state.pt")
    second.advance(), second.advance()
    ours, theirs = (trainer.recipe.networks["any"].state_dict() for trainer in (whole, second))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    second.sheet()
    assert list((tmp_path / "second" / "samples").glob("*.png"))


def test_what_is_copied_has_the_colours_of_the_style(network: AnyStyle, art: Path) -> None:
    ours = recipe(network, art)
    batch = ours.draw(Draw(np.random.default_rng(0), 4))
    assert batch["target"].shape == batch["source"].shape
    assert not torch.equal(batch["target"], batch["source"])
    unlike = recipe(network, art, imitation_weight=0.0).draw(Draw(np.random.default_rng(0), 4))
    assert torch.equal(unlike["target"], unlike["source"])


def test_the_imitation_gets_nearer(network: AnyStyle, art: Path, tmp_path: Path) -> None:
    settings = {"rate": 3e-3, "temporal_weight": 0.0, "style_weight": 0.0, "content_weight": 0.0}
    trainer = Trainer(recipe(network, art, **settings), tmp_path / "run")
    trainer.recipe.steps = 1000
    far = [trainer.advance()["imitation"] for _ in range(60)]
    assert np.mean(far[-10:]) < 0.8 * np.mean(far[:10])


def test_without_features_there_is_no_style_term(network: AnyStyle, art: Path, tmp_path: Path) -> None:
    none = perceptual.Together()
    shown = known([art], network.describe, none, parts=False)
    any_style.standardise(network, shown, pairs())
    chosen = AnyStyleSettings(steps=2, batch=4, crop=56, precision="fp32")
    trainer = Trainer(AnyStyleRecipe(chosen, network, pairs(), shown, shown, none), tmp_path / "run")
    assert set(trainer.advance()) == {"temporal", "imitation", "detail", "gradient"}


def test_the_style_loss_falls(network: AnyStyle, art: Path, tmp_path: Path) -> None:
    trainer = Trainer(
        recipe(network, art, rate=3e-3, imitation_weight=0.0, temporal_weight=0.0, content_weight=0.0),
        tmp_path / "run",
    )
    trainer.recipe.steps = 1000
    style = [trainer.advance()["style"] for _ in range(40)]
    assert np.mean(style[-10:]) < 0.9 * np.mean(style[:10])


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="crop"):
        AnyStyleSettings(crop=30)
    with pytest.raises(ValueError, match="styles"):
        AnyStyleSettings(batch=5, styles=2)


def test_it_begins_with_what_a_style_knows() -> None:
    oil = styles.find("oil")
    settings = {**oil.settings, "guide_channels": len(PLANES), "mix_skip": True}
    network = AnyStyle(generator=settings)
    from vidstyle.models.load import load

    generator = load(oil)
    assert isinstance(generator, Generator)
    any_style.begin_with(network, generator, oil.guides)
    frames, guides = torch.rand(1, 3, 16, 16), torch.randn(1, len(PLANES), 16, 16)
    theirs = generator(frames, guides[:, [PLANES.index(plane) for plane in oil.guides]])
    with torch.no_grad():
        torch.testing.assert_close(network.base(frames, guides), theirs, atol=1e-4, rtol=1e-4)


def test_missing_weights_of_the_small_vgg(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        small_vgg.load(tmp_path / "none.safetensors")
    (tmp_path / "odd.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="small VGG"):
        small_vgg.load(tmp_path / "odd.safetensors")


def test_the_small_vgg_reads_its_weights(shared: Path) -> None:
    network = small_vgg.load(shared / "data" / "features" / "vgg19_16x" / "encoder4.safetensors")
    maps = network(torch.rand(1, 3, 48, 64))
    assert [tuple(one.shape[1:]) for one in maps] == [(16, 48, 64), (32, 24, 32), (64, 12, 16), (128, 6, 8)]


def test_own_features_tell_textures_apart() -> None:
    texture = Texture()
    rows = torch.zeros(1, 3, 64, 64)
    rows[:, :, ::4] = 1
    distance = losses.style(texture(rows), texture(rows.transpose(2, 3)))
    assert distance > 0.2
    assert losses.style(texture(rows), texture(rows.roll(4, 2))) < 0.1 * distance


def test_made_pictures_are_all_different_and_full_of_tones() -> None:
    one, two = picture(0), picture(1)
    assert one.std() > 20
    assert np.abs(one.astype(int) - two).mean() > 10
    assert np.array_equal(one, picture(0))


# ---- learn


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(learning, "MADE_PICTURES", 4)
    monkeypatch.setattr(learning, "MADE_SIDE", 300)
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A tuner that runs three steps, whatever the time; the list counts them."""
    steps: list[int] = []

    def run(self: Tuner, seconds: float, tell: object, improved: object) -> bool:
        for number in range(3):
            for group in self._engine.optimizers["any"].param_groups:
                group["lr"] = 1e-3
            self._recipe.step(self._draw(number), self._engine)
            steps.append(number)
        self._keep()
        return True

    monkeypatch.setattr(Tuner, "run", run)
    return steps


def test_a_learnt_style_is_there_by_its_name(home: Path, quick: list[int]) -> None:
    cv2.imwrite(str(home / "art.png"), picture(3, 200))
    learnt = learning.learn(home / "art.png", "mine", features="own")
    assert quick
    assert learnt.sample.is_file()
    entry = styles.find("mine")
    assert "art.png" in entry.description
    assert weights.verified_bytes(entry)
    style = styles.wanted("mine")
    from vidstyle import fitting, painters

    painter = painters.painting_network(style, lambda: [picture(7)])
    planes = len(painters.guides_of(style)) + len(painter.marks)
    painted = painter(torch.rand(1, 3, 16, 16), torch.randn(1, planes, 16, 16))
    assert torch.isfinite(painted).all()
    assert isinstance(painter, Marked)
    own = texture_of(fitting.fitted(read_style_picture(home / "art.png")))
    assert own is not None
    assert np.abs(painter.marks[0].numpy() - own.table).max() < 0.01, "the marks of the picture, as they were"
    with pytest.raises(OutputError, match="already"):
        learning.learn(home / "art.png", "mine")
    again = learning.learn(home / "art.png", "mine", features="own", overwrite=True)
    assert again.weights.is_file()
    manifest = json.loads((weights.users_folder() / "manifest.json").read_text())
    assert list(manifest["styles"]) == ["mine"]
    weights_there = list(weights.users_folder().glob("*.safetensors"))
    assert weights_there == [again.weights], "what is replaced is gone"


def test_a_picture_without_marks_is_learnt_without(home: Path, quick: list[int]) -> None:
    shades = np.linspace(60, 180, 200, dtype=np.float32).astype(np.uint8)
    cv2.imwrite(
        str(home / "flat.png"), np.repeat(np.broadcast_to(shades[:, None], (200, 200))[..., None], 3, 2)
    )
    learning.learn(home / "flat.png", "flat", features="own")
    assert isinstance(load(styles.find("flat")), Generator)


@pytest.mark.parametrize(
    ("name", "minutes", "error"),
    [
        ("oil", 1.0, StyleError),
        ("a/b", 1.0, UsageError),
        ("oil:1", 1.0, UsageError),
        ("", 1.0, UsageError),
        ("mine", 0.0, UsageError),
        ("mine", float("nan"), UsageError),
    ],
)
def test_names_and_times_that_cannot_be(
    home: Path, name: str, minutes: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        learning.learn(home / "art.png", name, minutes=minutes)
    assert not weights.users_folder().exists()


def test_content_must_be_there(home: Path) -> None:
    cv2.imwrite(str(home / "art.png"), picture(3, 200))
    with pytest.raises(InputError, match="no such file"):
        learning.learn(home / "art.png", "mine", content=[home / "nowhere"])
    (home / "empty").mkdir()
    with pytest.raises(InputError, match="no picture"):
        learning.learn(home / "art.png", "mine", content=[home / "empty"])


def test_vgg_that_is_not_there_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(home))
    said: list[str] = []
    assert isinstance(learning._features("auto", said.append), Texture)
    assert "VGG-19 is not there" in said[0]

    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(WeightsError, match="cannot be downloaded: no network"):
        perceptual.load("vgg19", download=True)


def tuner() -> Tuner:
    torch.manual_seed(0)
    start = Generator(**SMALL)  # type: ignore[arg-type]
    return Tuner(
        start, picture(3, 160), [picture(i, 300) for i in range(4)], Plain(), device=torch.device("cpu")
    )


def test_tuning_keeps_only_what_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    one = tuner()
    before = copy.deepcopy(one.best.state_dict())
    judged = iter([(1.0, 1.0), (2.0, 0.5), (3.0, 0.4), *itertools.repeat((4.0, 0.3), 99)])
    monkeypatch.setattr(one, "_judge", lambda: next(judged))
    monkeypatch.setattr("vidstyle.training.tuning.JUDGE_EVERY", 0.0)
    told = []
    assert one.run(0.5, told.append, lambda: pytest.fail("nothing was better"))
    assert told
    assert told[-1].distance == 1.0
    assert all(torch.equal(value, before[name]) for name, value in one.best.state_dict().items())


def test_a_signal_ends_tuning_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    one = tuner()
    judged = iter([(1.0, 1.0), *itertools.repeat((0.5, 0.5), 99)])
    monkeypatch.setattr(one, "_judge", lambda: next(judged))
    monkeypatch.setattr("vidstyle.training.tuning.JUDGE_EVERY", 0.0)
    before = copy.deepcopy(one.best.state_dict())

    def stop(progress: object) -> None:
        raise Interrupted(2)

    improved = []
    assert not one.run(60.0, stop, lambda: improved.append(1))
    assert improved
    assert not all(torch.equal(value, before[name]) for name, value in one.best.state_dict().items())


def test_too_few_pictures_to_learn_on() -> None:
    with pytest.raises(InputError, match="too few"):
        Tuner(
            Generator(**SMALL),  # type: ignore[arg-type]
            picture(3, 160),
            [picture(i, 60) for i in range(4)],
            Plain(),
            device=torch.device("cpu"),
        )
