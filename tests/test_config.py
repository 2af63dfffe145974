"""TrainConfig: defaults, ranges, protocols."""

import ast
import inspect
from dataclasses import fields
from itertools import pairwise, product
from pathlib import Path

import pytest

import search_spaces
from deepdlt.config import (
    PROTOCOLS,
    ConfigError,
    TrainConfig,
    config_dict,
    field_called,
    make_config,
    parse_settings,
    unusual,
)
from deepdlt.rules import usual_ranges
from deepdlt.synonyms import OTHER_NAMES
from sweeps.space import Axis


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "resnet"),
        ("activation", "tanh"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", "0.2"),
        ("kernel_size", 4),
        ("kernel_size", 3.0),
        ("latent_dim", 0),
        ("beta", -1.0),
        ("optimizer", "lion"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -1e-5),
        ("momentum", 1.0),
        ("batch_size", 1),
        ("epochs", 0),
        ("epochs", True),
        ("seed", -1),
        ("input_range", "wide"),
        ("metrics", "lpips"),
        ("split_unit", "folder"),
        ("holdout", "thirds"),
        ("evaluate", "first"),
        ("vae_reduction", "max"),
        ("precision", "fp8"),
        ("augment_symmetry", "mirror"),
        ("augment_brightness", 1.0),
        ("input_noise", -0.1),
        ("eval_crops", "centre"),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"`{field}` must be"):
        TrainConfig(**{field: value})


def test_all_problems_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        TrainConfig(lr=-1.0, dropout=2.0, epochs=0)
    assert len(str(caught.value).splitlines()) == 3


def test_a_misspelt_field_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean `dropout`"):
        make_config("corrected", droput=0.1)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigError, match="corrected or report"):
        make_config("wrong")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_sets_its_fields_and_is_recognised(protocol):
    config = make_config(protocol, lr=1e-3)
    assert config.protocol == protocol
    assert {key: getattr(config, key) for key in PROTOCOLS[protocol]} == PROTOCOLS[protocol]


def test_a_field_of_the_protocol_set_alone_makes_it_mixed():
    assert make_config("report", metrics="standard").protocol == "mixed"


def test_halves_of_whole_images_are_refused():
    with pytest.raises(ConfigError, match="halves"):
        TrainConfig(holdout="halves", split_unit="image")


def test_defaults_are_the_studys_cross_validation_under_the_corrected_protocol():
    config = TrainConfig()
    assert (config.lr, config.dropout, config.activation, config.epochs, config.batch_size) == (
        5e-4,
        0.2,
        "relu",
        10,
        32,
    )
    assert config.protocol == "corrected"
    assert TrainConfig(**config_dict(config)) == config


def test_tiles_need_whole_images_on_one_side():
    with pytest.raises(ConfigError, match="`eval_crops` grid"):
        make_config("report", eval_crops="grid")


FIELDS = [field.name for field in fields(TrainConfig)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rate", "lr"),
        ("LR", "lr"),
        ("learning-rate", "lr"),
        ("wd", "weight_decay"),
        ("batch", "batch_size"),
        ("batchsize", "batch_size"),
        ("bs", "batch_size"),
        ("kernel", "kernel_size"),
        ("act", "activation"),
        ("opt", "optimizer"),
        ("latent", "latent_dim"),
        ("z_dim", "latent_dim"),
        ("lr_scheduler", "schedule"),
        ("num_epochs", "epochs"),
        ("dropuot", "dropout"),
    ],
)
def test_a_name_from_elsewhere_is_answered_with_the_name_here_in_one_line(typed, meant):
    with pytest.raises(ConfigError) as caught:
        make_config("corrected", **{typed: "1"})
    assert str(caught.value) == f"`{typed}` is not a hyperparameter; did you mean `{meant}`?"


def test_a_name_like_no_other_is_answered_in_one_short_line():
    with pytest.raises(ConfigError) as caught:
        make_config("corrected", quux=1)
    assert str(caught.value) == "`quux` is not a hyperparameter; docs/hyperparameters.md lists them"


def test_every_hyperparameter_is_called_by_its_own_name():
    assert [field_called(name) for name in FIELDS] == FIELDS
    assert set(OTHER_NAMES.values()) <= set(FIELDS)
    assert not set(OTHER_NAMES) & {name.replace("_", "") for name in FIELDS}
    assert all(field_called(name) == field for name, field in OTHER_NAMES.items())


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("activation", "ReLU", "relu"),
        ("activation", "Leaky-ReLU", "leaky_relu"),
        ("activation", "LeakyReLU", "leaky_relu"),
        ("optimizer", "Adam", "adam"),
        ("model", "cnn-vae", "cnn_vae"),
    ],
)
def test_a_choice_written_otherwise_is_named(field, value, meant):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**{field: value})
    assert str(caught.value).startswith(f"`{field}` must be one of ")
    assert str(caught.value).endswith(f"; got {value!r} (did you mean {meant!r}?)")


def test_a_choice_like_no_other_gets_the_list_alone():
    with pytest.raises(ConfigError) as caught:
        TrainConfig(activation="tanh")
    assert str(caught.value) == "`activation` must be one of relu, selu, elu, leaky_relu, silu; got 'tanh'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr=0,001", "--set: `lr` must be a number, got '0,001'; decimals need a point: lr=0.001"),
        ("lr=fast", "--set: `lr` must be a number, got 'fast'"),
        ("lr=1,000,000", "--set: `lr` must be a number, got '1,000,000'"),
        ("epochs=1,5", "--set: `epochs` must be a whole number, got '1,5'"),
        ("lr", "--set takes KEY=VALUE, got 'lr'"),
        ("protocol=report", "--set does not take `protocol`; use --protocol"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_settings([text])
    assert str(caught.value) == message


def test_settings_have_the_types_of_their_fields():
    settings = parse_settings(["lr=1e-3", "optimizer=sgd", "epochs=3"])
    assert settings == {"lr": 0.001, "optimizer": "sgd", "epochs": 3}
    assert type(settings["epochs"]) is int


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"lr": 1.0}, "`lr` 1 is above the usual 1e-5 to 0.01 with `optimizer` adam: expect a poor result"),
        ({"lr": 1.0, "optimizer": "sgd"}, "`lr` 1 is above the usual 0.0001 to 0.5 with `optimizer` sgd"),
        ({"lr": 1e-7}, "`lr` 1e-7 is below"),
        ({"dropout": 0.9}, "`dropout` 0.9 is above"),
        ({"weight_decay": 0.5}, "`weight_decay` 0.5 is above"),
        ({"weight_decay": 1.0, "optimizer": "adamw"}, "`weight_decay` 1 is above"),
        ({"momentum": 0.999, "optimizer": "sgd"}, "`momentum` 0.999 is above"),
        ({"batch_size": 2}, "`batch_size` 2 is below the usual 8 to 512"),
        ({"batch_size": 5000}, "`batch_size` 5000 is above"),
        ({"beta": 100.0, "model": "cnn_vae"}, "`beta` 100 is above"),
        ({"ema": 0.5}, "`ema` 0.5 is below the usual 0 or 0.9 to 0.9999"),
        ({"input_noise": 2.0}, "`input_noise` 2 is above"),
        ({"augment_brightness": 0.9}, "`augment_brightness` 0.9 is above"),
    ],
)
def test_a_value_beyond_its_usual_range_is_allowed_with_a_note(settings, note):
    (found,) = unusual(TrainConfig(**settings))
    assert found.startswith(note)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lr": 0.1, "optimizer": "sgd"},
        {"momentum": 0.999},  # adam has none
        {"weight_decay": 1.0, "optimizer": "sgd"},
        {"beta": 100.0},  # an autoencoder has none
        {"ema": 0.0},
        {"lr": 1e-5},
        {"lr": 1e-2},
    ],
)
def test_a_usual_value_and_one_without_effect_get_no_note(settings):
    assert unusual(TrainConfig(**settings)) == []


@pytest.mark.parametrize("name", search_spaces.names())
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_shipped_search_space_is_unusual(name, protocol):
    space = search_spaces.load(name).SPACE
    axes = {key: Axis.from_json(v.categories) if hasattr(v, "categories") else Axis((v,)) for key, v in space.items()}
    for values in product(*(axis.choices for axis in axes.values())):
        assert unusual(make_config(protocol, **dict(zip(axes, values, strict=True)))) == []


STUDY = {
    "experiment 1": {"lr": 1e-3, "dropout": 0.3},
    "experiment 2": {"lr": 1e-4, "activation": "elu", "optimizer": "sgd"},
    "experiment 3": {"kernel_size": 5},
    "VAE": {"model": "cnn_vae", "lr": 1e-4, "activation": "leaky_relu"},
    "cross-validation": {},
}


@pytest.mark.parametrize("settings", STUDY.values(), ids=STUDY)
def test_the_studys_settings_are_usual(settings):
    assert unusual(make_config("report", **settings)) == []


def test_every_default_is_usual_whatever_the_optimizer_and_the_model():
    assert usual_ranges(TrainConfig)
    for optimizer, model in product(("adam", "adamw", "sgd"), ("cnn_ae", "res_vae")):
        assert unusual(TrainConfig(optimizer=optimizer, model=model)) == []


def test_every_hyperparameter_has_a_description_of_whole_sentences():
    """docs/hyperparameters.md is made of them."""
    source = Path(inspect.getsourcefile(TrainConfig)).read_text(encoding="utf-8")
    (body,) = (n.body for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == "TrainConfig")
    described = {
        node.target.id: " ".join(text.value.value.split())
        for node, text in pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
    assert list(described) == FIELDS
    for name, text in described.items():
        assert text.endswith("."), name
        assert "report" not in text.replace("`report`", ""), name
