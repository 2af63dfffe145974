"""`deepdlt train`: what it leaves, how it resumes, what it refuses."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pandas as pd
import pytest
from calling import command
from PIL import Image
from waiting import HANG_GUARD_S, wait_for

from deepdlt.models.checkpoint import load_model

main = command("train")

FIGURES = {"curves", "reconstructions_train", "reconstructions_test", "error_maps", "latents", "whole_images"}
SMALL = ["--threads", "1", "--set", "model=res_ae", "--set", "width=8"]  # seconds less than the CNN


def words(image_folder, out, *more):
    return ["--data", str(image_folder), "--out", str(out), *SMALL, *more]


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Crops are cached in data/ of the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("model", "more"), [("cnn_ae", set()), ("cnn_vae", {"samples", "traversals"})])
def test_a_training_leaves_numbers_figures_and_a_checkpoint(image_folder, elsewhere, capsys, model, more):
    settings = ["--epochs", "2", "--set", f"model={model}", "--set", "latent_dim=8"]
    assert main(words(image_folder, elsewhere / "run", *settings)) == 0
    result = json.loads((elsewhere / "run" / "result.json").read_text())
    assert set(result["test"]) == {"standard", "report"}
    assert {row["baseline"] for row in result["baselines"]} == {"constant", "patch mean", "PCA", "low-pass DCT"}
    assert pd.read_csv(elsewhere / "run" / "metrics.csv")["epoch"].tolist() == [1, 2]
    drawn = {path.stem for path in (elsewhere / "run" / "figures").iterdir()}
    assert drawn == FIGURES | more
    assert all(min(size_of(path)) > 200 for path in (elsewhere / "run" / "figures").iterdir())
    assert load_model(elsewhere / "run" / "best.pt")[1].model == model
    out, err = capsys.readouterr()
    assert f"PSNR {result['test']['standard']['psnr_db']:.2f} dB" in out
    assert "epoch 2/2: train loss" in err
    assert ("bits/dim" in out) == (model == "cnn_vae")


def test_more_epochs_extend_a_training_and_keep_its_history(image_folder, elsewhere):
    for epochs in ("1", "3"):
        assert main(words(image_folder, "run", "--epochs", epochs)) == 0
    extended = pd.read_csv("run/metrics.csv").drop(columns=["epoch_s", "images_per_s", "finished"])
    assert main(words(image_folder, "straight", "--epochs", "3")) == 0
    straight = pd.read_csv("straight/metrics.csv").drop(columns=["epoch_s", "images_per_s", "finished"])
    pd.testing.assert_frame_equal(extended, straight)


def test_the_report_protocol_trains_on_a_fold_and_says_the_floor(image_folder, elsewhere):
    folds = ["--protocol", "report", "--labels", "PP1", "--fold", "2", "--folds", "3", "--epochs", "1"]
    folds += ["--set", "model=cnn_ae"]  # the residual ones reach inputs in [-1, 1]
    assert main(words(image_folder, "run", *folds)) == 0
    row = pd.read_csv("run/metrics.csv").iloc[0]
    assert 0 < row["val_loss_floor"] < row["val_loss"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "dropout=1.5", "--set", "lr=-1"], "`dropout` must be in [0, 1), got 1.5"),
        (["--set", "drop=0.1"], "did you mean `dropout`?"),
        (["--set", "lr"], "--set takes KEY=VALUE"),
        (["--set", "epochs=two"], "`epochs` must be a whole number"),
        (["--fold", "1"], "--fold needs --labels"),
        (["--folds", "3"], "--folds needs --fold"),
        (["--labels", "PP1,angle"], "--labels: this command takes 1, got 2"),
        (["--fold", "6", "--labels", "PP1"], "--fold must be in 1..5"),
        (["--labels", "colour"], "colour"),
        (["--device", "cuda"], "no GPU"),
        (["--set", "model=cnn_vae", "--set", "loss=l1"], "`loss` is for autoencoders"),
        (["--set", "protocol=report"], "use --protocol"),
        (["--set", "schedule=plateau", "--set", "warmup=0.1"], "`warmup` must be 0"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_made(image_folder, elsewhere, capsys, more, message):
    assert main(words(image_folder, "run", *more)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (elsewhere / "run").exists()


def test_epochs_of_the_option_win_over_those_of_a_setting(image_folder, elsewhere, capsys):
    assert main(words(image_folder, "run", "--set", "epochs=2", "--epochs", "1")) == 0
    assert "note: --set epochs has no effect: --epochs says it" in capsys.readouterr().err
    assert len(pd.read_csv("run/metrics.csv")) == 1


def test_a_damaged_history_or_one_of_another_training_does_not_matter(image_folder, elsewhere):
    one = words(image_folder, "run", "--epochs", "1")
    assert main(one) == 0
    for text in ("rubbish", "epoch,val_loss\n1,0.5\nx,y\n", pd.read_csv("run/metrics.csv").assign(epoch=7).to_csv()):
        (elsewhere / "run" / "metrics.csv").write_text(text)
        assert main(one) == 0
        assert json.loads((elsewhere / "run" / "result.json").read_text())["validation"]["epoch"] == 1


def test_another_split_of_the_same_images_is_refused(image_folder, elsewhere, capsys):
    assert main(words(image_folder, "run", "--epochs", "1")) == 0
    assert main(words(image_folder, "run", "--epochs", "2", "--split-seed", "7")) == 2
    assert "another split" in capsys.readouterr().err


def test_a_lost_best_checkpoint_is_told_with_its_remedy(image_folder, elsewhere, capsys):
    assert main(words(image_folder, "run", "--epochs", "1")) == 0
    (elsewhere / "run" / "best.pt").unlink()
    assert main(words(image_folder, "run", "--epochs", "1")) == 2
    assert "delete run and train again" in capsys.readouterr().err


def test_ctrl_c_before_the_first_batch_is_told_too(image_folder, elsewhere, capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepdlt.commands.train.cut_patches", interrupted)
    assert main(words(image_folder, "run", "--epochs", "1")) == 130
    assert "nothing was trained" in capsys.readouterr().err


def test_another_configuration_in_the_same_folder_is_refused(image_folder, elsewhere, capsys):
    assert main(words(image_folder, "run", "--epochs", "1")) == 0
    assert main(words(image_folder, "run", "--epochs", "1", "--set", "lr=0.1")) == 2
    assert "`lr` is 0.0005 there, 0.1 here" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_is_told_without_a_traceback(image_folder, elsewhere, capsys):
    diverging = ["--set", "optimizer=sgd", "--set", "lr=1e30", "--epochs", "1"]
    assert main(words(image_folder, "run", *diverging)) == 1
    assert "non-finite loss at epoch 1, batch" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_exit_3(image_folder, elsewhere, capsys):
    (elsewhere / "file").write_text("")
    assert main(words(image_folder, elsewhere / "file" / "run", "--epochs", "1")) == 3
    assert "another --out begins anew" in capsys.readouterr().err


def test_ctrl_c_leaves_a_checkpoint_and_prints_the_command_that_goes_on(image_folder, elsewhere):
    command = [sys.executable, "-m", "deepdlt", "train", *words(image_folder, "run", "--epochs", "500")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heard)
    wait_for((elsewhere / "run" / "metrics.csv").exists, lambda: process.poll() is None)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_GUARD_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "is saved in run. Resume with:\n  " in err
    done = len(pd.read_csv("run/metrics.csv"))
    assert main(words(image_folder, "run", "--epochs", str(done + 1))) == 0
    assert pd.read_csv("run/metrics.csv")["epoch"].tolist() == list(range(1, done + 2))
