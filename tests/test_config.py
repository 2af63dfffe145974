"""TrainConfig: defaults, ranges, protocols."""

import pytest

from deepdlt.config import PROTOCOLS, ConfigError, TrainConfig, config_dict, make_config


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


def test_defaults_are_the_reports_cross_validation_under_the_corrected_protocol():
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
