"""Rows and metrics of the HPARAMS tab, asked through TensorBoard's own backend."""

import json

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from deepdlt.config import config_dict, make_config
from sweeps.board.bands import write_bands
from sweeps.board.columns import BAND, code_of, end_session, epoch_scalars, scalars_of_test, start_session, write_board
from sweeps.board.page import trial_page
from sweeps.space.axis import Axis
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
from sweeps.store.event_files import EVENT_FILES, TrialLog, read_trial
from sweeps.store.sweep_file import SweepFile
from sweeps.store.trial_record import TrialRecord

SETTINGS = Configuration.of(config_dict(make_config("corrected", epochs=3)))
METRICS = {"epoch": 2, "finished": 0, "best_epoch": 1, "val_loss": 0.3, "val_psnr_db": 21.0, "train_loss": 0.4}
METRICS |= {"best_val_loss": 0.2, "best_val_psnr_db": 22.0, "best_val_ssim": 0.7, "val_ssim": 0.6, "lr": 1e-3}
STATUSES = (api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_RUNNING)


def cell(kind="search", fold=0, **settings):
    return Cell(kind, SETTINGS | settings, "angle", fold, 5 if fold else 0, "data")


def log_trial(sweep, name, of, status=None, psnr=None, error=""):
    """A trial of two epochs as the system logs it."""
    with TrialLog(sweep / name) as log:
        start_session(log, of, sweep.name)
        for epoch in (1, 2):
            log.scalars(epoch_scalars(of, METRICS | {"epoch": epoch, "val_loss": epoch + of.fold}), epoch)
        if psnr is not None:
            log.scalars(scalars_of_test(of, {"psnr_db": psnr, "loss": 0.1, "ssim": 0.5}), 2)
    record = TrialRecord(name=name, status=status or "", cell=of, identity=of.identity, metrics=METRICS, error=error)
    if status:
        end_session(sweep / name, record)
    return record


class Board:
    """TensorBoard's backend for the HPARAMS tab."""

    def __init__(self, logdir):
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(logdir))
        self.context, self.request = backend_context.Context(TBContext(data_provider=provider)), RequestContext()

    def experiment(self):
        asked = api_pb2.GetExperimentRequest(hparams_limit=0)
        return get_experiment.Handler(self.request, self.context, "", asked).run()

    def rows(self, *statuses):
        metrics = [api_pb2.ColParams(metric=metric.name) for metric in self.experiment().metric_infos]
        asked = api_pb2.ListSessionGroupsRequest(
            slice_size=100, allowed_statuses=statuses or STATUSES, col_params=metrics, include_metrics=True
        )
        return list_session_groups.Handler(self.request, self.context, "", asked).run().session_groups


def metrics_of(row):
    return {metric.name.tag: metric.value for metric in row.metric_values}


@pytest.fixture
def sweep(tmp_path):
    axes = {"lr": Axis.from_json([1e-2, 5e-4]), "dropout": Axis.from_json([0.2, 0.2, 0.3])}
    write_board(tmp_path / "a", SweepFile(axes=axes, settings=SETTINGS.without("lr", "dropout")))
    return tmp_path / "a"


def test_domains_have_no_repetition_and_places_are_no_columns(sweep):
    log_trial(sweep, "s0001", cell(), "complete")
    found = {info.name: info for info in Board(sweep).experiment().hparam_infos}
    assert set(found) == {"lr", "dropout"}
    assert [value.number_value for value in found["dropout"].domain_discrete.values] == [0.2, 0.3]
    assert all(info.differs for info in found.values())


def test_search_trial_folds_and_seeds_of_a_configuration_are_one_row(sweep):
    log_trial(sweep, "s0001", cell(), "complete", psnr=99.0)
    log_trial(sweep, "s0002", cell(lr=1e-2), "complete")
    for fold, psnr in ((1, 20.0), (2, 23.0)):
        log_trial(sweep, f"cv-angle-f{fold}", cell("cv", fold), "complete", psnr)
    log_trial(sweep, "cv-angle-f1-other", cell("cv", 1, seed=43), "complete", 26.0)
    rows = {row.name: row for row in Board(sweep).rows()}
    assert set(rows) == {f"{code_of(cell().config)} a", f"{code_of(cell(lr=1e-2).config)} a"}
    row = rows[f"{code_of(cell().config)} a"]
    assert len(row.sessions) == 4
    assert metrics_of(row)["folds/test_psnr_db"] == pytest.approx(23.0)
    assert metrics_of(row)["best/val_psnr_db"] == 22.0
    assert metrics_of(row)["last/val_psnr_db"] == 21.0
    places = {json.loads(session.model_uri)["seed"] for session in row.sessions}
    assert places == {SETTINGS["seed"], 43}


@pytest.mark.parametrize(
    ("status", "shown"),
    [("complete", "SUCCESS"), ("pruned", "SUCCESS"), ("failed", "FAILURE"), (None, "UNKNOWN")],
)
def test_each_end_has_its_status_and_a_pruned_trial_its_epoch(sweep, status, shown):
    log_trial(sweep, "s0001", cell(), status, error="a`b\nc" if status == "failed" else "")
    (row,) = Board(sweep).rows(api_pb2.Status.Value(f"STATUS_{shown}"))
    assert metrics_of(row).get("pruned/epoch") == (2.0 if status == "pruned" else None)
    assert read_trial(sweep / "s0001").status == (status or "")


def test_sweeps_in_one_folder_keep_their_rows_apart(sweep):
    """The same configuration in two sweeps, and one of a space with other axes: three rows, with their own values."""
    other, third = sweep.parent / "b", sweep.parent / "c"
    write_board(other, SweepFile(axes={"lr": Axis.from_json([1e-3, 1e-2])}, settings=SETTINGS.without("lr")))
    write_board(third, SweepFile(axes={"width": Axis.from_json([8, 16])}, settings=SETTINGS.without("width")))
    for folder, of in ((sweep, cell()), (other, cell()), (third, cell(width=16))):
        log_trial(folder, "s0001", of, "complete")
    rows = {row.name.split()[1]: row for row in Board(sweep.parent).rows()}
    assert set(rows) == {"a", "b", "c"}
    for row in rows.values():  # whichever sweep's columns TensorBoard shows, every row has a value in them
        assert {"lr", "dropout", "width"} <= set(row.hparams)
    assert rows["c"].hparams["width"].number_value == 16


def test_a_sweep_that_goes_on_declares_its_columns_once(sweep):
    write_board(sweep, SweepFile(axes={"lr": Axis.from_json([1e-3])}, settings=SETTINGS.without("lr")))
    assert len(list(sweep.glob(EVENT_FILES))) == 1
    assert [info.name for info in Board(sweep).experiment().hparam_infos] == ["lr"]


def test_bands_are_of_the_complete_folds_of_a_label(sweep):
    records = [log_trial(sweep, f"cv-{fold}", cell("cv", fold), "complete", 20.0) for fold in (1, 2, 3)]
    records += [log_trial(sweep, "cv-4", cell("cv", 4), "failed"), log_trial(sweep, "s1", cell(), "complete")]
    for _ in range(2):  # the second time they replace those of the first
        write_bands(sweep, records)
    (folder,) = (sweep / "bands").iterdir()
    assert len(list(folder.glob(EVENT_FILES))) == 1
    scalars = read_trial(folder).scalars
    for part, values in (("mean", {1: 3.0, 2: 4.0}), ("lowest", {1: 2.0, 2: 3.0}), ("highest", {1: 4.0, 2: 5.0})):
        assert scalars[f"{BAND}/val_loss/{part}"] == values


def test_one_fold_makes_no_band(sweep):
    write_bands(sweep, [log_trial(sweep, "cv-1", cell("cv", 1), "complete", 20.0)])
    assert not (sweep / "bands").exists()


def test_the_page_of_a_trial_survives_hostile_names():
    made_by = {"code": "c" * 40, "versions": {"torch": "2.12|1"}, "git_commit": None}
    evil = "<script>alert(1)</script> | a\nb"
    of = Cell("cv", SETTINGS, evil, 1, 5, "f" * 64)
    page = trial_page(of, "cv-1", SweepFile(command="run.py --space x", protocol="corrected"), made_by, "cpu")
    assert "<script>" not in page
    assert "2.12\\|1" in page
    assert "fold 1 of 5" in page
    assert "    run.py --space x" in page
    for name, value in SETTINGS.items():
        if isinstance(value, str):
            assert value.replace("_", "\\_") in page, name
