"""What is asked: spaces and options, checked all at once."""

import pytest
from calling import parse

from sweeps.errors import SweepRefused
from sweeps.request.request import make_request


def request(*arguments):
    return make_request(parse(["--space", "exp_grid", *arguments]))


def test_setting_an_axis_fixes_it():
    fixed = request("--set", "optimizer=sgd", "--set", "momentum=0.5")
    assert "optimizer" not in fixed.tune_space.axes
    config = fixed.config({"lr": 1e-3, "dropout": 0.2, "activation": "elu", "kernel_size": 3})
    assert (config.optimizer, config.momentum) == ("sgd", 0.5)
    assert all("optimizer" not in point for point in fixed.tune_space.points)


def test_points_of_what_is_fixed_otherwise_are_left_out():
    fixed = make_request(parse(["--space", "model_grid", "--set", "model=cnn_ae"]))
    assert fixed.tune_space.points == [{"lr": 1e-3, "kernel_size": 3}]


def test_the_protocol_reaches_the_configuration():
    assert request("--protocol", "report").config().protocol == "report"


def test_a_space_that_lacks_a_part_is_refused(tmp_path, monkeypatch):
    import search_spaces

    (tmp_path / "halfdone.py").write_text('"""x"""\nSPACE = {}\n')
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match="must define TRIALS, EPOCHS"):
        make_request(parse(["--space", "halfdone"]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"epochs": 3', "use --epochs"),
        ('"metrics": tune.choice(["standard", "report"])', "cannot be swept"),
        ('"lr": tune.grid_search([1e-3])', "must be a value, tune.choice, or a range"),
        ('"lr": tune.sample_from(lambda spec: 1e-3)', "must be a value, tune.choice, or a range"),
        ('"lr": tune.choice([1e-3, -1])', "`lr` must be > 0"),
        ('"droput": tune.choice([0.1])', "did you mean `dropout`"),
    ],
)
def test_a_space_with_a_mistake_is_refused_with_the_remedy(tmp_path, monkeypatch, line, words):
    import search_spaces

    name = f"space_{abs(hash(line))}"
    (tmp_path / f"{name}.py").write_text(f'"""x"""\nfrom ray import tune\nTRIALS = EPOCHS = 1\nSPACE = {{{line}}}\n')
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match=words):
        make_request(parse(["--space", name]))


def test_a_point_outside_the_space_is_refused(tmp_path, monkeypatch):
    import search_spaces

    code = 'from ray import tune\nTRIALS = EPOCHS = 1\nSPACE = {"lr": tune.choice([1e-3])}\nPOINTS = [{"lr": 1e-2}]\n'
    (tmp_path / "offpoint.py").write_text(code)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    with pytest.raises(SweepRefused, match="is not in the space"):
        make_request(parse(["--space", "offpoint"]))


def space_with(tmp_path, monkeypatch, code):
    import search_spaces

    name = f"space_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(f'"""x"""\nfrom ray import tune\nTRIALS = EPOCHS = 4\n{code}\n')
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    return parse(["--space", name])


TWO_MODELS = """
SPACE = {"model": tune.choice(["cnn_ae", "cnn_vae"]), "kernel_size": tune.choice([3, 5]),
         "latent_dim": tune.choice([16, 64])}
CONDITIONS = {"kernel_size": {"model": ["cnn_ae"]}, "latent_dim": {"model": ["cnn_vae"]}}
"""


def test_an_axis_counts_only_where_its_condition_holds(tmp_path, monkeypatch):
    asked = make_request(space_with(tmp_path, monkeypatch, TWO_MODELS))
    found = asked.tune_space.grid()
    assert len(found) == 4  # 2 kernels of the one, 2 vectors of the other
    for settings in found:
        assert ("kernel_size" in settings) == (settings["model"] == "cnn_ae")
        assert ("latent_dim" in settings) == (settings["model"] == "cnn_vae")
    assert asked.config({"model": "cnn_vae", "latent_dim": 16}).kernel_size == 3


def test_a_conditional_value_outside_its_range_is_refused_too(tmp_path, monkeypatch):
    code = TWO_MODELS.replace("[16, 64]", "[16, -1]")
    with pytest.raises(SweepRefused, match="`latent_dim`"):
        make_request(space_with(tmp_path, monkeypatch, code))


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ('{"kernel_size": {"modle": ["cnn_ae"]}}', "`kernel_size` depends on `modle`, which is not in SPACE"),
        ('{"kernel_size": {"model": "cnn_ae"}}', "needs a list of values of `model`"),
    ],
)
def test_conditions_with_a_mistake_are_refused(tmp_path, monkeypatch, conditions, words):
    code = TWO_MODELS.partition("CONDITIONS")[0] + f"CONDITIONS = {conditions}"
    with pytest.raises(SweepRefused, match=words):
        make_request(space_with(tmp_path, monkeypatch, code))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--race"], "add --cv-top 2 or more"),
        (["--cv", "--race"], "add --cv-top 2 or more"),
        (["--cv", "--cv-top", "0"], "--cv-top must be >= 1"),
        (["--cv", "--cv-seeds", "0"], "--cv-seeds must be in 1..100"),
        (["--cv", "--cv-top", "2", "--race", "--race-margin", "-1"], "--race-margin must be >= 0"),
        (["--minimize", "parameters", "--scheduler", "asha"], "use --scheduler none"),
        (["--scheduler", "pbt", "--trials", "2"], "--trials 4 or more"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, problem):
    with pytest.raises(SweepRefused, match=problem):
        request(*words)


def test_a_second_objective_goes_without_a_scheduler():
    assert request("--minimize", "parameters").scheduler == "none"
    assert request().scheduler == "asha"
