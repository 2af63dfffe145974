"""Event files: our writer against TensorBoard's reader, our reader against damage and resumption."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sweeps.tensorboard_logs import HPARAMS_METRICS, VAE_METRICS, TrialLog, read_trial

HPARAMS = {"lr": 1e-3, "activation": "relu", "kernel_size": 3}


def write(directory, steps, restart=None, offset=0.0):
    with TrialLog(directory) as log:
        log.session_start(directory.name, HPARAMS)
        if restart is not None:
            log.restart(restart)
        for step in steps:
            log.scalars({"val_loss": step + offset, "val_ssim": -step}, step)


def test_tensorboard_reads_what_we_write(tmp_path):
    write(tmp_path, range(1, 6))
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert [(e.step, e.value) for e in accumulator.Scalars("val_loss")] == [(k, float(k)) for k in range(1, 6)]


def test_we_read_what_we_write(tmp_path):
    write(tmp_path, range(1, 6))
    with TrialLog(tmp_path) as log:
        log.image("pairs", np.arange(12, dtype=np.uint8).reshape(3, 4), 5)
        log.session_end("complete")
    trial = read_trial(tmp_path)
    assert trial.hparams == HPARAMS
    assert trial.scalars["val_ssim"] == {k: -k for k in range(1, 6)}
    assert trial.images["pairs"].startswith(b"\x89PNG")
    assert trial.damaged == []


def test_a_resumed_run_replaces_the_steps_it_repeats(tmp_path):
    write(tmp_path, range(1, 6))
    write(tmp_path, range(3, 5), restart=3, offset=100)
    assert read_trial(tmp_path).scalars["val_loss"] == {1: 1, 2: 2, 3: 103, 4: 104}


def test_tensorboard_too_forgets_the_steps_that_are_repeated(tmp_path):
    write(tmp_path, range(1, 6))
    write(tmp_path, range(3, 5), restart=3, offset=100)
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert [e.value for e in accumulator.Scalars("val_loss")] == [1, 2, 103, 104]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_truncated_file_is_reported_and_read_up_to_there(tmp_path, share):
    write(tmp_path, range(1, 101))
    path = next(tmp_path.glob("events*"))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    trial = read_trial(tmp_path)
    assert trial.damaged == [path.name]
    assert 0 < len(trial.scalars["val_loss"]) <= 100


def test_every_flipped_bit_is_reported(tmp_path):
    write(tmp_path, range(1, 20))
    path = next(tmp_path.glob("events*"))
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(raw), 100):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert read_trial(tmp_path).damaged == [path.name]


def test_hparams_of_all_trials_show_with_their_metrics(tmp_path):
    """The HPARAMS tab, asked through TensorBoard's own backend."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

    with TrialLog(tmp_path) as log:
        domains = {"lr": [1e-3, 1e-4], "activation": ["relu", "elu"]}, {"kernel_size": (3.0, 5.0)}
        log.hparams_experiment(*domains, HPARAMS_METRICS | VAE_METRICS)
    for k, status in enumerate(("complete", "pruned", "failed")):
        with TrialLog(tmp_path / f"t{k}") as log:
            log.session_start(f"t{k}", {**HPARAMS, "lr": 10.0 ** -(k + 3)})
            log.scalars({"best/val_psnr_db": 20.0 + k, "best/val_loss": 0.1 * k, "val_kl_nats": 7.0 + k}, 1)
            log.session_end(status)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    context = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path))))
    request = RequestContext()
    experiment = get_experiment.Handler(request, context, "", api_pb2.GetExperimentRequest(hparams_limit=99)).run()
    assert {i.name: i.differs for i in experiment.hparam_infos} == {
        "lr": True,
        "activation": True,
        "kernel_size": False,
    }
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=10,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN],
        col_params=[api_pb2.ColParams(metric=m.name) for m in experiment.metric_infos],
        include_metrics=True,
    )
    groups = list_session_groups.Handler(request, context, "", asked).run().session_groups
    found = {
        g.name: (
            g.hparams["lr"].number_value,
            {m.name.tag: round(m.value, 3) for m in g.metric_values},
            g.sessions[0].status,
        )
        for g in groups
    }
    assert set(found) == {"t0", "t1", "t2"}
    assert found["t1"][0] == 1e-4
    assert found["t1"][1]["best/val_psnr_db"] == 21.0
    assert found["t1"][1]["val_kl_nats"] == 8.0
    assert found["t2"][2] == api_pb2.STATUS_FAILURE
