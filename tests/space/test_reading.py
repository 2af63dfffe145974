"""Values of SPACE as people write them: either every kind of search runs through them, or they are refused in words."""

import json
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from calling import parse
from ray.tune.search import Searcher

import search_spaces
from deepdlt import config as train_config
from deepdlt.config import CHANGEABLE, TrainConfig
from deepdlt.in_use import TOGETHER
from sweeps.errors import SweepRefused
from sweeps.planning import plan
from sweeps.request.request import make_request
from sweeps.space.configuration import Configuration
from sweeps.space.mutation import mutate
from sweeps.store.event_files import TrialLog
from sweeps.store.sweep_file import SweepFile
from sweeps.store.tally import tally_of
from sweeps.tuning import schedulers
from sweeps.tuning.optuna_search import DistinctOptunaSearch

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")
NUMBER = count()
SEARCHES = ("grid", "random", "optuna")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A space of this source, asked for with these options."""
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])

    def make(space, *options, more=""):
        name = f"written_{next(NUMBER)}"
        head = "import numpy as np\nfrom enum import Enum; from ray import tune\nTRIALS = 20\nEPOCHS = 4\n"
        (tmp_path / f"{name}.py").write_text(f"{head}SPACE = {space}\n{more}\n")
        return make_request(parse(["--space", name, *options]))

    return make


ENUMERATION = "list(Enum('Kind', {'A': 'relu', 'B': 'elu'}, type=str))"
RUN = {
    "whole 0 among decimals": ("dropout", "tune.choice([0, 0.1, 0.3])", [0.0, 0.1, 0.3]),
    "only whole numbers": ("beta", "tune.choice([1, 4])", [1.0, 4.0]),
    "written twice": ("kernel_size", "tune.choice([3, 5, 3])", [3, 5]),
    "twice to 12 digits": ("dropout", "tune.choice([0.3, 3 * 0.1])", [0.3]),
    "a whole number twice": ("dropout", "tune.choice([0, 0.0])", [0.0]),
    "a text twice": ("activation", "tune.choice(['relu', 'elu', 'relu'])", ["relu", "elu"]),
    "decimals where whole numbers belong": ("kernel_size", "tune.choice([3.0, 5])", [3, 5]),
    "numpy's numbers": ("dropout", "tune.choice(np.linspace(0, 0.2, 3))", [0.0, 0.1, 0.2]),
    "numpy's whole numbers": ("kernel_size", "tune.choice(np.array([3, 5]))", [3, 5]),
    "numpy's texts": ("activation", "tune.choice(np.array(['relu', 'elu']))", ["relu", "elu"]),
    "numpy's short numbers": ("ema", "tune.choice([np.float32(0.5), 0.25])", [0.5, 0.25]),
    "one value": ("dropout", "tune.choice([0.1])", [0.1]),
    "a tuple of choices": ("kernel_size", "tune.choice((3, 5))", [3, 5]),
    "a range of one number": ("lr", "tune.loguniform(1e-3, 1e-3)", [1e-3]),
    "an even range of one number": ("dropout", "tune.uniform(0.1, 0.1)", [0.1]),
    "one whole number": ("latent_dim", "tune.randint(3, 4)", [3]),
    "one multiple": ("width", "tune.qrandint(8, 12, 8)", [8]),
    "whole numbers of a decimal field": ("beta", "tune.randint(1, 4)", [1.0, 2.0, 3.0]),
    "decimal multiples of a whole field": ("width", "tune.quniform(8, 24, 8)", [8, 16, 24]),
    "numpy's ends": ("blocks", "tune.randint(np.int64(1), np.int64(3))", [1, 2]),
    "decimal ends of whole numbers": ("blocks", "tune.randint(1.0, 3.0)", [1, 2]),
    "an enumeration of texts": (
        "activation",
        "tune.choice(list(Enum('A', {'X': 'relu', 'Y': 'elu'}, type=str)))",
        ["relu", "elu"],
    ),
    "a step of decimals": ("dropout", "tune.quniform(0, 0.3, 0.1)", [0.0, 0.1, 0.2, 0.3]),
}


def optuna_search(request, sweep):
    made = count()
    return DistinctOptunaSearch(
        request.tune_space,
        lambda s: {"trial": {"name": f"s{next(made)}", "settings": s}},
        sweep=sweep,
        seed=0,
    )


def found_by(request, sweep):
    """The configurations that a search hands out until it ends."""
    if request.search != "optuna":
        return plan.searched_settings(request)
    searcher, found = optuna_search(request, sweep), []
    for number in range(request.trials):
        trial = searcher.suggest(f"t{number}")
        if trial == Searcher.FINISHED:
            break
        found.append(trial["trial"]["settings"])
    return found


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(("field", "domain", "values"), RUN.values(), ids=RUN.keys())
def test_values_are_the_same_for_every_search_and_each_is_tried_once(written, tmp_path, search, field, domain, values):
    request = written(f"{{{field!r}: {domain}}}", "--search", search)
    assert plan.planned_trials(request) == (len(values), 0)
    found = found_by(request, tmp_path)
    assert sorted(each[field] for each in found) == sorted(values)
    assert {type(each[field]) for each in found} == {type(values[0])}
    assert all(not request.outside(Configuration.of(vars_of(request.config(each)))) for each in found)


def vars_of(config):
    return train_config.config_dict(config)


@pytest.mark.parametrize(("field", "domain", "values"), RUN.values(), ids=RUN.keys())
def test_values_can_be_written_wherever_a_sweep_writes_them(written, tmp_path, field, domain, values):
    space = written(f"{{{field!r}: {domain}}}").tune_space
    axes = {name: axis.to_json() for name, axis in space.axes.items()}
    assert SweepFile.from_json(json.loads(json.dumps({"axes": axes}))).axes == space.axes
    with TrialLog(tmp_path / "log") as log:
        log.hparams_experiment({n: list(axis.choices) or (axis.low, axis.high) for n, axis in space.axes.items()}, {})
        log.session_start("s1", {field: values[0]})
    if field in CHANGEABLE:
        rng = np.random.RandomState(0)
        mutated = [mutate({field: values[0]}, space.domains, rng)[field] for _ in range(50)]
        assert set(mutated) <= set(values)


REFUSED = {
    "a log range from 0": ("lr", "tune.loguniform(0, 1e-2)", "tune.loguniform(0, 0.01) must start above 0"),
    "a log range below 0": ("lr", "tune.loguniform(-1, -0.1)", "must lie above 0"),
    "whole log range from 0": ("latent_dim", "tune.lograndint(0, 64)", "as in tune.lograndint(1, 64)"),
    "wrong order": ("dropout", "tune.uniform(0.3, 0.1)", "write tune.uniform(0.1, 0.3)"),
    "wrong order of whole numbers": ("latent_dim", "tune.randint(64, 8)", "write tune.randint(8, 64)"),
    "an empty range": ("latent_dim", "tune.randint(3, 3)", "as in tune.randint(3, 4)"),
    "no multiple": ("width", "tune.qrandint(9, 15, 8)", "has no value"),
    "steps that do not divide": ("dropout", "tune.quniform(0, 0.35, 0.1)", "as in tune.quniform(0, 0.3, 0.1)"),
    "no step": ("dropout", "tune.quniform(0, 0.3, 0)", "a step above 0"),
    "nothing to choose": ("dropout", "tune.choice([])", "has no value to choose"),
    "True": ("dropout", "tune.choice([True, 0.1])", "must be a number, got True"),
    "False among whole numbers": ("latent_dim", "tune.choice([8, False])", "must be a whole number, got False"),
    "None": ("weight_decay", "tune.choice([None, 1e-5])", "must be a number, got None"),
    "nan": ("dropout", "tune.choice([float('nan'), 0.1])", "must be finite"),
    "an infinite end": ("lr", "tune.loguniform(1e-3, float('inf'))", "finite numbers, got inf"),
    "an infinite lower end": ("lr", "tune.uniform(float('-inf'), 1)", "finite numbers, got -inf"),
    "a normal distribution": ("dropout", "tune.randn(0.2, 0.1)", "tune.randn has no ends"),
    "too wide": ("weight_decay", "tune.uniform(-1.7e308, 1.7e308)", "wider than a number can be"),
    "huge whole numbers": ("latent_dim", "tune.randint(1, 2**70)", "up to 2**53"),
    "capitals": ("activation", "tune.choice(['ReLU', 'elu'])", "did you mean 'relu'?"),
    "numbers as text": ("lr", "tune.choice(['1e-3'])", "must be a number, got '1e-3'"),
    "tuples": ("kernel_size", "tune.choice([(3, 3), (5, 5)])", "must be a whole number, got (3, 3)"),
    "half of a whole number": ("kernel_size", "tune.choice([3, 3.5])", "must be a whole number, got 3.5"),
    "decimals for a whole field": ("latent_dim", "tune.uniform(8, 64)", "use tune.randint(8, 65)"),
    "a range of texts": ("activation", "tune.uniform(0, 1)", "is a text"),
    "nested": ("lr", "{'adam': tune.choice([1e-3])}", "must be a value, tune.choice, or a range"),
    "a grid of Tune": (
        "lr",
        "tune.grid_search([1e-3, 1e-4])",
        "write tune.choice([0.001, 0.0001]), with --search grid",
    ),
    "a list": ("lr", "[1e-3, 1e-4]", "write tune.choice([0.001, 0.0001])"),
    "an array": ("dropout", "np.linspace(0, 0.3, 4)", "write tune.choice([0.0, 0.1, 0.2, 0.3])"),
    "one text without a list": ("activation", "tune.choice('relu')", "write tune.choice(['relu'])"),
    "more than a float can be": ("lr", "10**400", "must be at most 2**53, got 10**400"),
    "more than one can print": ("latent_dim", "tune.choice([8, 10**5000])", "got 10**5e+03"),
    "a range beyond floats": ("lr", "tune.uniform(1, 10**400)", "takes numbers up to 2**53, got 10**400"),
    "a whole range beyond floats": ("latent_dim", "tune.randint(1, 10**400)", "takes numbers up to 2**53"),
    "a function of Tune": ("lr", "tune.sample_from(lambda spec: 1e-3)", "must be a value, tune.choice, or a range"),
    "a function": ("lr", "lambda: 1e-3", "must be a value, tune.choice, or a range"),
    "values between the ends": ("kernel_size", "tune.randint(3, 8)", "must be odd and in 1..15, got 4"),
    "many values between": ("width", "tune.randint(8, 65)", "more such values"),
    "no call": ("lr", "tune.loguniform(1e-3)", "TypeError"),
    "no number": ("lr", "tune.uniform('1e-4', '1e-3')", "finite numbers, got '1e-4'"),
    "a constant bool": ("dropout", "False", "must be a number, got False"),
    "nothing": ("dropout", "None", "must be a value, tune.choice, or a range"),
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(("field", "domain", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_searched_is_refused_with_its_axis(written, search, field, domain, text):
    with pytest.raises(SweepRefused) as refused:
        written(f"{{'optimizer': 'adam', {field!r}: {domain}}}", "--search", search)
    assert f"`{field}`" in str(refused.value)
    assert text in str(refused.value)


def test_a_range_that_tune_itself_refuses_is_named_wherever_it_stands(written):
    with pytest.raises(SweepRefused, match=r"`lr`: tune\.loguniform"):
        written("dict(dropout=0.1, lr=tune.loguniform(0, 1e-2))")
    with pytest.raises(SweepRefused, match=r"line 6: tune\.loguniform\(0, 1\) must start above 0"):
        written("{}", more="LR = tune.loguniform(0, 1)")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("def", "line 6: invalid syntax"),
        ("x = 1 / 0", "line 6: ZeroDivisionError"),
        ("TRIALS = 'many'", "TRIALS must be a whole number"),
        ("EPOCHS = 0", "EPOCHS must be a whole number of at least 1, got 0"),
        ("SPACE = [1]", "SPACE must be a dict"),
        ("CONDITIONS = {'lr': 'adam'}", "CONDITIONS must be a dict of dicts"),
        ("POINTS = {'lr': 1e-3}", "POINTS must be a list of dicts"),
        ("SPACE = {'lr': 1e-3, 'lr': 1e-4}", "line 6: 'lr' is there twice"),
        ("CONDITIONS = {'lr': {}, 'beta': {}, 'lr': {}}", "line 6: 'lr' is there twice"),
        ("POINTS = [{'lr': 1e-3, 'widht': 8}]", "SPACE has no 'widht'"),
        ("SPACE['model'] = 'cnn_ae'; POINTS = [{'lr': 1e-3, 'model': 'res_ae'}]", "there `model` is 'cnn_ae'"),
        ("CONDITIONS = {'widht': {'lr': [1e-3]}}", "`widht` is not a hyperparameter; did you mean `width`"),
        ("CONDITIONS = {'lr': {'lr': [1e-3]}}", "`lr` depends on itself"),
        (
            "SPACE['blocks'] = 1; CONDITIONS = {'lr': {'blocks': [1]}, 'blocks': {'lr': [1e-3]}}",
            "`lr` depends on itself.*\n.*`blocks` depends on itself",
        ),
        ("SPACE['dropout'] = tune.choice([0, 0.1]); CV_ONLY = True", r"varies `dropout`: give each one value"),
        ("raise SystemExit('no data here')", "line 6: SystemExit: no data here"),
    ],
)
def test_a_module_with_a_mistake_is_refused_in_words(written, more, text):
    with pytest.raises(SweepRefused, match=text):
        written("{'lr': tune.choice([1e-3])}", more=more)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_the_axis_is_named_whatever_the_editor_saved(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    name = f"written_{next(NUMBER)}"
    head = "# coding: latin-1\n" if encoding == "latin-1" else ""
    source = f"{head}from ray import tune\nSPACE = {{'lr': tune.loguniform(0, 1)}}  # Größe\n"
    (tmp_path / f"{name}.py").write_bytes(source.encode(encoding))
    with pytest.raises(SweepRefused, match=r"`lr`: tune\.loguniform\(0, 1\) must start above 0"):
        make_request(parse(["--space", name]))


def test_a_file_of_another_encoding_is_refused_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    name = f"written_{next(NUMBER)}"
    (tmp_path / f"{name}.py").write_bytes("SPACE = {}\n".encode("utf-16"))
    with pytest.raises(SweepRefused, match="UTF-8"):
        make_request(parse(["--space", name]))


def test_what_a_space_prints_is_no_output_of_the_sweep(written, capsys):
    written("{'lr': 1e-3}", more="print('read')")
    assert capsys.readouterr() == ("", "read\n")


def test_counts_are_numbers_that_are_whole(written):
    request = written("{'lr': tune.choice([1e-3, 1e-4])}", more="TRIALS, EPOCHS = 1e2, np.int64(3)")
    assert (request.trials, request.epochs) == (100, 3)
    assert {type(request.trials), type(request.epochs)} == {int}


def test_points_may_repeat_what_the_space_fixes(written):
    more = "POINTS = [{'lr': 1e-3, 'dropout': 0}]"
    request = written("{'lr': tune.choice([1e-3, 1e-4]), 'dropout': 0.0}", more=more)
    assert request.tune_space.points == [Configuration.of({"lr": 1e-3})]


def test_points_are_the_values_of_their_axes(written):
    request = written("{'dropout': tune.choice([0, 0.3])}", more="POINTS = [{'dropout': 3 * 0.1}, {'dropout': 0}]")
    assert [(p["dropout"], type(p["dropout"])) for p in request.tune_space.points] == [(0.3, float), (0.0, float)]


def test_conditions_hold_for_values_as_they_are_read(written):
    more = "CONDITIONS = {'momentum': {'dropout': [np.float64(0)]}}"
    request = written("{'dropout': tune.choice([0, 0.1]), 'momentum': tune.choice([0.8, 0.9])}", more=more)
    assert len(request.tune_space.grid()) == 3
    json.dumps(request.tune_space.space.conditions)


PAIRS = "{'schedule': tune.choice(['plateau', 'cosine']), 'warmup': tune.choice([0, 0.1])}"
COINCIDE = (
    "{'model': tune.choice(['cnn_ae', 'res_ae']), 'kernel_size': tune.choice([3, 5]), 'lr': tune.choice([1e-3, 1e-4])}"
)
IDLE_RANGE = "{'model': 'cnn_ae', 'beta': tune.uniform(0.1, 1), 'lr': tune.choice([1e-3, 1e-4])}"
FEW = {
    "choices that do not go together": (PAIRS, "", 3),
    "conditions let them coincide": (COINCIDE, "CONDITIONS = {'kernel_size': {'model': ['cnn_ae']}}", 6),
    "a range that never counts": (IDLE_RANGE, "CONDITIONS = {'beta': {'model': ['cnn_vae']}}", 2),
    "two of a choice": ("{'lr': tune.choice([1e-3, 1e-4])}", "", 2),
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(("space", "more", "size"), FEW.values(), ids=FEW.keys())
def test_a_search_ends_when_there_is_nothing_left(written, tmp_path, search, space, more, size):
    """The plan counts what there is, the search hands out just that, and nothing more is asked for."""
    request = written(space, "--trials", "100", "--search", search, more=more)
    assert plan.planned_trials(request) == (size, 0)
    found = found_by(request, tmp_path)
    assert len(found) == len(set(found)) == size
    for each in found:
        request.config(each)  # TrainConfig takes it
    one = request.tune_space.space
    asked = SweepFile(axes=one.axes, settings=one.constants, conditions=one.conditions, protocol="corrected")
    assert tally_of(asked, []).space_size == size


def test_a_point_whose_values_do_not_go_together_is_refused(written):
    with pytest.raises(SweepRefused, match="`warmup` must be 0 with `schedule` plateau"):
        written(PAIRS, more="POINTS = [{'schedule': 'plateau', 'warmup': 0.1}]")


def test_a_range_of_unusual_values_has_a_note_for_each_end(written):
    assert len(written("{'batch_size': tune.randint(600, 700)}").unusual()) == 2


def test_a_population_changes_nothing_that_has_one_value(written):
    space = "{'lr': tune.loguniform(1e-3, 1e-3), 'dropout': tune.uniform(0.1, 0.2)}"
    assert list(schedulers.changeable(written(space).tune_space.domains)) == ["dropout"]
    with pytest.raises(SweepRefused, match="needs an axis that may change"):
        written("{'lr': tune.loguniform(1e-3, 1e-3)}", "--scheduler", "pb2")


def test_a_search_of_a_range_leaves_out_what_does_not_go_together(written, tmp_path):
    for search in ("random", "optuna"):
        space = "{'schedule': tune.choice(['plateau', 'cosine']), 'warmup': tune.uniform(0.01, 0.1)}"
        request = written(space, "--trials", "8", "--search", search)
        assert [each["schedule"] for each in found_by(request, tmp_path)] == ["cosine"] * 8


def test_a_space_without_any_configuration_is_refused(written):
    space = "{'model': tune.choice(['res_vae', 'cnn_vae']), 'loss': tune.choice(['l1', 'charbonnier'])}"
    with pytest.raises(SweepRefused, match="has no configuration: `loss` is for autoencoders only"):
        written(space)


def test_the_fields_that_do_not_go_together_are_known():
    """Those that TrainConfig looks at where it refuses two values together."""
    asked = set()

    class Watched:
        def __getattribute__(self, name):
            asked.add(name)
            return getattr(TrainConfig(model="cnn_vae", schedule="plateau"), name)

    train_config._broken_combinations(Watched())
    assert asked == set(TOGETHER)


@pytest.mark.parametrize("value", [Fraction(1, 10), "0,1", [0.1], b"1"])
def test_other_kinds_of_values_are_refused(value):
    from sweeps.space.reading import read_field

    with pytest.raises(ValueError, match="`dropout`"):
        read_field("dropout", value)
