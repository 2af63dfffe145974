"""No option is without effect in silence: what each one changes, and what is said where it can change nothing."""

import json
from argparse import Namespace

import pytest
from calling import command, parse

from deepdlt.command_line import make_parser
from deepdlt.commands import find_commands, load_command
from deepdlt.config import parse_settings
from deepdlt.in_use import NEEDS, in_use, sometimes_without_effect, without_effect
from deepdlt.models import build_model
from sweeps import planning, run
from sweeps.errors import SweepRefused
from sweeps.request.effects import Situation, check_effects, option_notes, space_notes
from sweeps.request.request import make_request
from sweeps.request.resources import Resources
from sweeps.store.tally import Tally

DATA = {
    "--data": "which images are read",
    "--sheet": "which worksheet is read; refused where there is none of that name",
    "--labels": "labels that must be there",
    "--group-by": "which images a split keeps together",
    "--pixel-pitch": "images that are left out or resampled; refused without DimX",
}
SEEN = {
    "--crop-size": "what a network sees; a note beside --set crop_size",
    "--downsample": "the same; refused where fewer pixels are left than a network needs",
}
EFFECTS = {
    "sweep": {
        **DATA,
        **SEEN,
        "--labels": "labels of the cross-validation, which it implies",
        "--space": "what is searched",
        "--list-spaces": "shows the spaces; refused beside other options",
        "--set": "the trainings; a note where the field has no effect",
        "--protocol": "the trainings and their tests",
        "--search": "which configurations are tried; refused where nothing is searched",
        "--scheduler": "which trials are stopped; refused where nothing is searched, a note with too little to compare",
        "--minimize": "what Optuna looks for; refused with a scheduler, a note for other searches",
        "--trials": "how many trials; refused where nothing is searched, a note beyond the space",
        "--epochs": "length of each training",
        "--seed": "weights, order, search and splits",
        "--cv": "a cross-validation",
        "--cv-top": "configurations of the cross-validation, which it implies; a note beyond the search's trials",
        "--cv-seeds": "seeds of each fold of the cross-validation, which it implies",
        "--folds": "folds of the cross-validation, which it implies",
        "--race": "configurations that are eliminated; refused where one is compared, a note where one is there",
        "--race-margin": "the same, with a margin; implies --race",
        "--cpus-per-trial": "threads and trials at a time",
        "--gpus-per-trial": "trials at a time; refused without a GPU",
        "--max-concurrent": "trials at a time; a note where fewer have room, on a cluster demand for nodes",
        "--time-budget": "when the run ends; a note in a plan",
        "--address": "where trials run; refused where no cluster answers or lets this process in",
        "--retry-failed": "failed trials run again; a note where there are none",
        "--allow-code-change": "trials of other code are kept; a note where there are none",
        "--storage": "where the sweep's folder is; refused where nothing can be kept",
        "--name": "the folder's name",
        "--plan": "nothing runs",
        "--json": "JSON on stdout, of the plan or of the summary",
        "--quiet": "no progress; a note in a plan",
        "--verbose": "Ray's log; a note in a plan",
    },
    "report": {"--json": "JSON on stdout instead of the path"},
    "spaces": {},
    "doctor": {"--storage": "which disk is looked at, or which store is tried"},
    "check": {**DATA, "--verify": "every image is decoded", "--audit": "the audit is printed too"},
    "audit": {
        **DATA,
        "--group-by": "none: a note",
        "--out": "a table is written",
        "--figure": "a figure is written",
    },
    "crops": {
        **DATA,
        "--group-by": "the conditions in the crops' table",
        "--out": "where the crops go",
        "--layout": "their form; refused with crops of two kinds",
        "--sampling": "where crops are cut",
        "--crops-per-image": "how many",
        "--crop-size": "their size",
        "--downsample": "their pixels; refused where it does not divide the size",
        "--brightness": "their brightness",
        "--seed": "places and brightness; a note where both are fixed",
    },
    "folds": {
        **DATA,
        "--patches": "which crops; refused beside --data and its options",
        "--folds": "how many folds",
        "--protocol": "what is divided",
        "--unit": "what stays together; refused where crops are divided",
        "--seed": "which images are dealt into which fold",
        "--out": "where the tables go",
    },
    "synthetic": {
        "--preset": "how many images",
        "--out": "where they go",
        "--seed": "the images",
        "--size": "their size",
        "--label-noise": "wrong angles in the table",
    },
    "download": {"--out": "where the images go", "--from": "where from", "--manifest": "which files"},
    "train": {
        **DATA,
        "--protocol": "the training and its test",
        "--set": "the training; a note where the field has no effect or is given twice",
        "--epochs": "its length; a note beside --set epochs",
        "--brightness": "the crops",
        **SEEN,
        "--fold": "the split; refused without --labels",
        "--folds": "the split; refused without --fold",
        "--split-seed": "the split",
        "--out": "where it goes",
        "--device": "where it runs; refused without a GPU",
        "--threads": "how many cores",
    },
    "latents": {
        **DATA,
        "--labels": "the colours",
        "--group-by": "none: a note",
        "--method": "the map",
        "--level": "its points",
        "--crops-per-image": "the tiles of each image",
        "--seed": "tiles and map; a note where nothing is random",
        "--out": "where the map goes",
    },
}
"""Command -> option -> what it changes, and what is said where it cannot."""


def options_of(name):
    actions = make_parser(load_command(name), f"deepdlt {name}")._actions
    return {action.option_strings[-1] for action in actions if action.option_strings} - {"--help"}


@pytest.mark.parametrize("name", sorted({*find_commands(), *EFFECTS}))
def test_it_is_known_of_every_option_what_it_changes(name):
    assert options_of(name) == set(EFFECTS[name])


def asked(*options):
    args = parse(options)
    return args, make_request(args)


ASKS_FOR_FOLDS = ["--cv", "--cv-top 3", "--cv-seeds 2", "--labels angle", "--folds 3", "--cv-top 2 --race-margin 0.1"]


@pytest.mark.parametrize("options", ASKS_FOR_FOLDS)
def test_an_option_of_the_cross_validation_asks_for_one(options):
    _, request = asked("--space", "smoke", *options.split())
    assert request.cv
    assert planning.planned_trials(request)[1] > 0


REFUSED = {
    "--space cv_report --trials 3": "cross-validated without a search: leave out --trials",
    "--space cv_report --search grid --scheduler asha": "leave out --search and --scheduler",
    "--space exp_grid --race": "--race compares configurations",
    "--space exp_grid --race-margin 0.1": "--race compares configurations",
    "--space exp_grid --minimize epoch_s --scheduler asha": "use --scheduler none",
}


@pytest.mark.parametrize(("options", "text"), REFUSED.items())
def test_what_is_surely_a_mistake_is_refused(options, text):
    with pytest.raises(SweepRefused, match=text):
        check_effects(*asked(*options.split()))


def test_the_list_of_spaces_stands_alone(capsys):
    assert command("sweep")(["--list-spaces", "--space", "smoke", "--cv"]) == 2
    assert "leave out --cv and --space" in capsys.readouterr().err
    assert command("sweep")(["--list-spaces"]) == 0
    assert "smoke" in capsys.readouterr().out


NOTED = {
    "--trials 100 --search grid": "--trials 100: the space has no more than 4 configurations",
    "--minimize parameters --search random": "--search random is not led by it",
    "--scheduler asha --epochs 1": "has nothing to stop: a trial has 1 epoch",
    "--scheduler median --epochs 3 --trials 2": "has nothing to compare: it needs 4 trials, got 2",
    "--cv-top 5 --trials 2": "--cv-top 5: the search has 2 trials, no more are compared",
    "--cv-top 2 --race --trials 1": "--race eliminates none",
    "--max-concurrent 100": "this machine has room for 2 trials at a time",
    "--retry-failed": "no trial of this sweep has failed",
    "--allow-code-change": "all trials are of this version of the code",
    "--plan --quiet --time-budget 1h": "--plan runs nothing: --quiet and --time-budget will count without it",
}


@pytest.mark.parametrize(("options", "text"), NOTED.items())
def test_an_option_that_changes_nothing_has_a_note(options, text):
    args, request = asked("--space", "smoke", *options.split())
    size = len(request.tune_space.grid())
    planned = planning.planned_trials(request)
    tally = Tally(planned, planned, (0, 0), (0, 0), 0, 0, size)
    notes = option_notes(args, Situation(request, Resources(1, 0, 2), tally, [], "code"))
    assert len([note for note in notes if text in note]) == 1


FITTING = ["--trials", "3", "--scheduler", "asha", "--epochs", "3", "--cv-top", "2", "--race"]


def test_options_that_have_their_effect_are_left_alone():
    args, request = asked("--space", "smoke", *FITTING)
    tally = Tally((3, 40), (3, 40), (0, 0), (0, 0), 0, 0, 4)
    assert option_notes(args, Situation(request, Resources(1, 0, 2), tally, [], "code")) == []


IDLE = {
    "--space smoke --set momentum=0.5": ["`momentum` has no effect: it needs `optimizer` sgd"],
    "--space smoke --set latent_dim=8": ["`latent_dim` has no effect: it needs `model` cnn_vae, or"],
    "--space smoke --set model=res_ae": ["`kernel_size` has no effect: it needs `model` cnn_ae or cnn_vae"],
    "--space smoke --set model=cnn_vae --set latent_dim=8": [],
    "--space exp_grid --set momentum=0.5": [],  # some trials use it
    "--space model_grid --set model=cnn_ae": [],  # the condition says it
    "--space model_grid": [],
}


@pytest.mark.parametrize(("options", "texts"), IDLE.items())
def test_a_setting_that_no_trial_uses_has_a_note(options, texts):
    notes = [note for note in space_notes(*asked(*options.split())) if "has no effect" in note]
    assert len(notes) == len(texts)
    assert all(note.startswith(text) for note, text in zip(sorted(notes), sorted(texts), strict=True))


def test_an_axis_whose_condition_never_holds_has_a_note():
    notes = space_notes(*asked("--space", "model_grid", "--set", "model=res_ae"))
    assert [note for note in notes if note.startswith("`kernel_size` is not varied: ")]
    assert not [note for note in space_notes(*asked("--space", "model_grid")) if "is not varied" in note]


def test_an_axis_that_only_some_trials_use_is_told_how_to_leave_the_others_out():
    values = {"optimizer": ("adam", "sgd"), "momentum": (0.8, 0.9)}
    (note,) = sometimes_without_effect(["momentum", "optimizer"], values)
    assert "CONDITIONS = {'momentum': {'optimizer': ['sgd']}} leaves them out" in note
    assert without_effect(["momentum"], values) == []


@pytest.mark.parametrize(
    "name", ["kernel_size", "decoder_kernel_size", "width", "blocks", "latent_channels", "latent_dim"]
)
@pytest.mark.parametrize("model", ["cnn_ae", "cnn_vae", "res_ae", "res_vae"])
def test_a_network_has_the_fields_that_are_said_to_count(name, model):
    """A network is another one with another value of a field exactly where the field is in use."""
    other = {
        "kernel_size": 5,
        "decoder_kernel_size": 3,
        "width": 16,
        "blocks": 2,
        "latent_channels": 3,
        "latent_dim": 5,
    }
    from deepdlt.config import config_dict, make_config

    small = {"width": 8, "latent_channels": 0 if name == "latent_dim" else 2, "latent_dim": 4, "model": model}
    one, two = (make_config("corrected", **{**small, **more}) for more in ({}, {name: other[name]}))
    counts = [sum(p.numel() for p in build_model(config).parameters()) for config in (one, two)]
    assert (counts[0] != counts[1]) == in_use(name, config_dict(one))


def test_every_field_with_needs_is_one():
    assert set(NEEDS) <= {*make_default()}


def make_default():
    from deepdlt.config import TrainConfig, config_dict

    return config_dict(TrainConfig())


def test_of_a_setting_that_is_given_twice_the_last_counts_and_that_is_said(capsys):
    args = parse(["--space", "smoke", "--set", "lr=0.1", "--set", "width=8", "--set", "lr=0.2"])
    assert parse_settings(args.set) == {"lr": 0.2, "width": 8}
    assert capsys.readouterr().err == "note: --set lr is given more than once; 0.2 counts\n"


def test_an_option_that_is_given_twice_says_which_value_counts(capsys):
    args = parse(["--space", "smoke", "--labels", "angle", "--labels", "PP1", "--set", "lr=0.1", "--set", "width=8"])
    assert args.labels == "PP1"
    assert capsys.readouterr().err == "note: --labels is given more than once; PP1 counts\n"
    assert args.given == {"--space", "--labels", "--set"}


def test_short_options_and_those_with_their_value_are_known():
    assert parse(["--space=smoke", "-q"]).given == {"--space", "--quiet"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["audit", "--group-by", "angle"], "note: --group-by has no effect: the audit looks at each image alone"),
        (
            ["crops", "--sampling", "grid", "--crops-per-image", "0", "--brightness", "0", "--seed", "3"],
            "note: --seed has no effect: all tiles as they are have nothing random",
        ),
    ],
)
def test_commands_say_which_option_changes_nothing(image_folder, tmp_path, monkeypatch, capsys, words, text):
    monkeypatch.chdir(tmp_path)
    assert command(words[0])([*words[1:], "--data", str(image_folder)]) == 0
    assert text in capsys.readouterr().err


def test_the_plan_of_a_sweep_shows_the_notes(image_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(planning, "estimate", lambda *_: None, raising=False)
    words = [
        "--space",
        "smoke",
        "--trials",
        "100",
        "--set",
        "momentum=0.5",
        "--retry-failed",
        "--data",
        str(image_folder),
    ]
    assert run.main([*words, "--plan", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    for start in ("--trials 100: ", "--retry-failed: ", "`momentum` has no effect"):
        assert any(note.startswith(start) for note in notes)


def test_a_namespace_of_another_maker_has_no_options_typed():
    from deepdlt.command_line import note_idle

    note_idle(Namespace(), "--seed", why="x")
