"""What lies in checkpoints/ is whole, small, documented, and fits the networks of this version."""

import torch

from vidstyle import styles
from vidstyle.models.generator import Generator
from vidstyle.models.load import load, load_features
from vidstyle.weights import checkpoints_folder, manifest, verify_all

MEGABYTE = 2**20


def test_every_file_matches_its_checksum() -> None:
    results = verify_all()
    assert results
    assert all(whole for _, whole, _ in results), results


def test_every_file_is_small_and_described() -> None:
    readme = (checkpoints_folder() / "README.md").read_text(encoding="utf-8")
    for section in manifest().values():
        for entry in section.values():
            assert entry.path.stat().st_size <= 4 * MEGABYTE
            assert entry.path.name in readme


def test_every_style_loads_and_changes_the_picture() -> None:
    for entry in styles.available().values():
        network = load(entry)
        assert isinstance(network, Generator)
        frames = torch.rand(1, 3, 64, 64)
        guides = torch.zeros(1, network.guide_channels, 64, 64)
        painted = network(frames, guides)
        assert painted.shape == frames.shape
        assert torch.isfinite(painted).all()
        assert (painted - frames).abs().mean() > 0.01


def test_the_feature_network_loads() -> None:
    assert all(torch.isfinite(maps).all() for maps in load_features().describe(torch.rand(1, 3, 64, 64)))
