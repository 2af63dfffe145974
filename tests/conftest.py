"""Synthetic images and crops, made once per test run."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from moto_server import S3, lead_to, s3_server

import loopback  # noqa: F401  isort: skip  (before ray)
from sweeps.execution.session import ray_session  # isort: skip  (before ray: it sets what Tune reads when it is imported)

from deepdlt.dataset.create_dataset import CropOptions, create_dataset, load_patches
from deepdlt.dataset.patches import Patches
from deepdlt.images.source import Source, read_source
from deepdlt.machine import cpu_count
from deepdlt.synthetic.generator import make_synthetic

MOST_WORKERS = 8
LONGEST = ("kill_9", "test_notebook", "test_run_faults", "test_run.py", "test_train.py", "test_schedulers")
torch.set_num_threads(1)  # the networks here are tiny; threads that wait for a busy core cost 20 times as much


@pytest.fixture
def nothing_asks_for_the_end() -> Iterator[None]:
    """No Ctrl-C and no time budget of another test; import late, for Ray comes with it."""
    from sweeps import stopping

    stopping.set_deadline(None)
    yield
    stopping.set_deadline(None)


@pytest.fixture(autouse=True)
def random_numbers_repeat() -> None:
    """PyTorch's, too: pytest-randomly seeds those of Python and NumPy alone."""
    torch.manual_seed(0)


@pytest.hookimpl(trylast=True)  # behind pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker begins it when the others are done."""
    items.sort(key=lambda item: next((i for i, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as the cores that this process may use, one more for slow tests, which wait; one takes up to 1.5 GB."""
    return min(MOST_WORKERS, cpu_count() + (config.option.markexpr == "slow"))


def _ray_died(process: str) -> None:
    print(f"Ray's process {process} died", file=sys.__stderr__, flush=True)
    os._exit(70)


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """Ray for all tests of this process for which its start and its end are not the point."""
    before = signal.getsignal(signal.SIGTERM)
    with ray_session(None, False, _ray_died):
        signal.signal(signal.SIGTERM, before)
        yield


@pytest.fixture(scope="session")
def s3_of_this_process() -> Iterator[S3]:
    """An S3 on this machine, moto's."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_of_this_process: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same, and this process and those that it starts know it."""
    lead_to(s3_of_this_process, monkeypatch)
    return s3_of_this_process


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 synthetic images of 160x200 px with their sheet; do not change them."""
    return make_synthetic(tmp_path_factory.mktemp("synthetic"), "tiny")


@pytest.fixture(scope="session")
def source(image_folder: Path) -> Source:
    return read_source(image_folder, ("angle", "PP1", "NP", "EP1"))


@pytest.fixture(scope="session")
def patches(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Patches:
    """96 crops: 8 of each image."""
    return load_patches(create_dataset(source, tmp_path_factory.mktemp("patches"), CropOptions(crops_per_image=8)))


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The 208 published micrographs, where somebody has put them; the tests that want them skip elsewhere."""
    for folder in (Path("data/dlip/images"), Path("../shared/dlip/images")):
        if (folder / "all_images.xlsx").is_file():
            return folder
    pytest.skip("the real images are not on this machine")
