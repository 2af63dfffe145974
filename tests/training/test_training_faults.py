"""Numbers that are not finite, and kills while a checkpoint is written: training goes on as if nothing had happened."""

import math
import signal

import pytest
from faulty_system import killed

import deepdlt.training.fit
from deepdlt.config import TrainConfig
from deepdlt.dataset.stratified_split import plain_split
from deepdlt.models.checkpoint import load_last, save_last
from deepdlt.training.fit import fit

CONFIG = TrainConfig(epochs=2, batch_size=32, lr=1e-3)


@pytest.fixture(scope="module")
def uninterrupted(patches, tmp_path_factory):
    """The numbers of each epoch where nothing goes wrong."""
    return train(patches, tmp_path_factory.mktemp("uninterrupted"))


def train(patches, directory):
    split = plain_split(patches.images, patches.image_id, label="PP1")
    history = [dict(metrics) for metrics in fit(CONFIG, patches.crops, split, directory)]
    timings = ("epoch_s", "images_per_s")
    return [{name: value for name, value in metrics.items() if name not in timings} for metrics in history]


@pytest.mark.parametrize(
    ("value", "epoch", "batch"), [(math.nan, 1, 1), (math.inf, 1, 2), (-math.inf, 2, 1), (math.nan, 2, 2)]
)
def test_a_loss_that_is_not_finite_ends_the_training_and_spoils_nothing(
    patches, tmp_path, monkeypatch, uninterrupted, value, epoch, batch
):
    """Trained on after the cause is gone, it is the training to which nothing had happened."""
    batches = [0, 0]
    train_epoch, loss = deepdlt.training.fit._train_epoch, deepdlt.training.fit.training_loss

    def counting_epoch(run, *rest):
        batches[:] = run.epoch, 0
        return train_epoch(run, *rest)

    def spoiled_loss(*args):
        batches[1] += 1
        return loss(*args) * value if batches == [epoch, batch] else loss(*args)

    monkeypatch.setattr(deepdlt.training.fit, "_train_epoch", counting_epoch)
    monkeypatch.setattr(deepdlt.training.fit, "training_loss", spoiled_loss)
    with pytest.raises(FloatingPointError, match=f"non-finite loss at epoch {epoch}, batch {batch};"):
        train(patches, tmp_path)
    assert (tmp_path / "last.pt").exists() == (epoch > 1)
    monkeypatch.undo()
    resumed = train(patches, tmp_path)
    assert resumed == uninterrupted[-len(resumed) :]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_validation_loss_that_is_not_finite_is_never_the_best(patches, tmp_path, monkeypatch, uninterrupted, value):
    evaluate, calls = deepdlt.training.fit.evaluate, []

    def spoiled(*args):
        calls.append(args)
        found = evaluate(*args)
        return found | {"loss": found["loss"] * value} if len(args) == 4 and len(calls) > 1 else found

    monkeypatch.setattr(deepdlt.training.fit, "evaluate", spoiled)
    with pytest.raises(FloatingPointError, match="non-finite validation loss after epoch"):
        train(patches, tmp_path)
    monkeypatch.undo()
    resumed = train(patches, tmp_path)
    assert resumed == uninterrupted[-len(resumed) :]


def test_a_kill_at_every_call_leaves_the_last_checkpoint_or_the_one_before(tmp_path):
    """Two files change places; at no moment is there none."""
    n, ended, epochs = 0, -signal.SIGKILL, []
    while ended == -signal.SIGKILL:
        n += 1
        directory = tmp_path / f"kill{n}"
        directory.mkdir()
        for epoch in (1, 2):
            save_last(directory, CONFIG, {"epoch": epoch})
        ended = killed(lambda folder: save_last(folder, CONFIG, {"epoch": 3}), directory, n)
        epochs.append(load_last(directory)["epoch"])
        assert epochs[-1] in (2, 3), f"killed at call {n}"
    assert (ended, epochs[-1]) == (0, 3)
    assert epochs == sorted(epochs)
    assert n > 8
