"""Start Ray, run the search and the cross-validation grid, leave nothing running."""

import argparse
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

# Tune reads these when it is imported.
os.environ.update(
    RAY_AIR_NEW_OUTPUT="0",
    RAY_USAGE_STATS_ENABLED="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",  # our event files are the log
    TUNE_DISABLE_SIGINT_HANDLER="1",  # every epoch is on disk: stop at once
    TUNE_PRINT_ALL_TRIAL_ERRORS="0",
)

import ray
from ray import tune

from deepdlt.config_rules import VAES
from sweeps import cross_validation, plan, search
from sweeps.optuna_search import DistinctOptunaSearch
from sweeps.progress import SweepProgress
from sweeps.records import COMPLETE, FAILED, PRUNED, Cell, read_record, read_records
from sweeps.sweep_data import SweepData, git_commit, versions
from sweeps.tensorboard_logs import HPARAMS_METRICS, VAE_METRICS, TrialLog, read_trial
from sweeps.trainable import Job, train_cell, trial_config

ROOT = Path(__file__).resolve().parent.parent
WORKER_ENV = {
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",  # a reused actor waits for its last trial to end (else Tune hangs)
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
}


class SweepRun:
    """One run of a sweep; `start_ray` is called before the first trial, if any is missing."""

    def __init__(
        self,
        request: plan.Request,
        resources: plan.Resources,
        data: SweepData,
        sweep: Path,
        quiet: bool,
        start_ray: Callable[[], None],
    ) -> None:
        self.request, self.resources, self.data, self.sweep = request, resources, data, sweep
        self.fingerprint = data.patches.fingerprint
        self.label = plan.search_label(data.patches.images, request.labels)
        self.quiet, self.start_ray = quiet, start_ray
        code = {"versions": versions(), "git_commit": git_commit()}
        amounts = resources.cpus_per_trial, resources.gpus_per_trial
        self.job = Job(sweep, data.splits, data.patches.image_id, *amounts, code)

    def run_search(self) -> None:
        """Run the search trials that are missing; those of an edited space's former choices do not count."""
        swept = list(search.domains(self.request.domains))
        records = [r for r in read_records(self.sweep).values() if r["kind"] == "search"]
        inside = [r for r in records if search.contains(self.request.domains, {n: r["config"][n] for n in swept})]
        done = {r["identity"]: r for r in inside if r["status"] in (COMPLETE, PRUNED)}
        total, _ = plan.planned_trials(self.request)
        missing = total - len(done)
        if missing <= 0:
            return
        names = _Names(self.sweep)
        configurations = plan.searched_settings(self.request)
        if configurations is not None:
            cells = [self._search_cell(settings) for settings in configurations]
            trials = [names.trial(cell) for cell in cells if cell.identity not in done][:missing]
            self._run(trials, total, len(trials))
            return
        searcher = DistinctOptunaSearch(
            self.request.domains,
            partial(_suggested, names, self.request, self.label, self.fingerprint),
            epochs=self.request.epochs,
            seed=self.request.seed + len(records),
            journal=self.sweep / "optuna.journal",
        )
        for record in done.values():
            searcher.add_known({name: record["config"][name] for name in swept}, record)
        searcher.try_first([*self._begun(), *self.request.points])
        self._run(searcher, total, missing)

    def run_folds(self, cells: list[Cell]) -> None:
        """Run those of these label x fold cells that are not complete."""
        records = read_records(self.sweep)
        done = {identity for identity, record in records.items() if record["status"] == COMPLETE}
        trials = [trial_config(cell, cell.name()) for cell in cells if cell.identity not in done]
        if trials:
            self._run(trials, len(cells), len(trials))

    def _search_cell(self, settings: dict[str, Any]) -> Cell:
        return plan.search_cell(self.request, settings, self.label, self.fingerprint)

    def _begun(self) -> Iterator[dict[str, Any]]:
        """Settings of search trials that were interrupted, failed or damaged: they are tried again, first."""
        swept = search.domains(self.request.domains)
        for directory in sorted(self.sweep.glob("s[0-9]*-*")):
            record = read_record(directory)
            if record is not None and record["status"] != FAILED:
                continue
            logged = record["config"] if record else read_trial(directory).hparams
            settings = {name: search.as_value(domain, logged[name]) for name, domain in swept.items() if name in logged}
            if search.contains(self.request.domains, settings):
                yield settings

    def _run(self, trials: list[dict[str, Any]] | DistinctOptunaSearch, total: int, missing: int) -> None:
        """Give Tune a list of trials, or a searcher to ask `missing` times."""
        self.start_ray()
        there = ray.cluster_resources()
        resources = plan.fit_to(self.resources, there.get("CPU", 0), there.get("GPU", 0))
        listed = isinstance(trials, list)
        phase = "cv" if listed and trials[0]["trial"]["cell"]["kind"] == "cv" else "search"
        progress = SweepProgress(self.sweep, total, done=total - missing, quiet=self.quiet)
        amounts = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
        trainable = tune.with_parameters(train_cell, crops=self.data.patches.crops, job=self.job)
        tuner = tune.Tuner(
            tune.with_resources(trainable, amounts),
            param_space={"trial": tune.grid_search([t["trial"] for t in trials])} if listed else {},
            tune_config=tune.TuneConfig(
                search_alg=None if listed else trials,
                num_samples=1 if listed else missing,
                scheduler=search.make_scheduler(self.request.scheduler, self.request.epochs)
                if phase == "search"
                else None,
                max_concurrent_trials=resources.max_concurrent,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.config["trial"]["name"],
            ),
            run_config=tune.RunConfig(
                name=phase,
                storage_path=str(self.sweep / ".ray"),  # Ray's own state: a cache that nobody reads
                callbacks=[progress],
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            progress.close()


def run_sweep(
    request: plan.Request, resources: plan.Resources, data: SweepData, sweep: Path, args: argparse.Namespace
) -> None:
    """Search, then cross-validate if asked; whatever happens, Ray is stopped if it was started here."""
    for stale in sweep.glob("events.out.tfevents.*"):  # TensorBoard takes the first declaration: keep one
        stale.unlink()
    with TrialLog(sweep) as log:
        log.hparams_experiment(*_hparam_domains(request), HPARAMS_METRICS | (VAE_METRICS if _has_vae(request) else {}))
    with ExitStack() as stack:

        def start_ray() -> None:
            if not ray.is_initialized():
                stack.enter_context(_ray(args.address, args.verbose))

        run = SweepRun(request, resources, data, sweep, args.quiet, start_ray)
        stack.callback(shutil.rmtree, sweep / ".ray", ignore_errors=True)
        if not request.cv_only:
            run.run_search()
        if request.cv:
            run.run_folds(cross_validation.planned_folds(request, read_records(sweep), run.fingerprint))


class _Names:
    """Numbers search trials in the order of their start; a trial that was begun before keeps its name."""

    def __init__(self, sweep: Path) -> None:
        self.known = {identity: record["name"] for identity, record in read_records(sweep).items()}
        directories = sorted(path.name for path in sweep.glob("s[0-9]*-*"))
        self.begun = {name.rpartition("-")[2]: name for name in directories if name not in self.known.values()}
        self.next = 1 + max((int(name[1:].partition("-")[0]) for name in directories), default=0)

    def trial(self, cell: Cell) -> dict[str, Any]:
        name = self.known.get(cell.identity) or self.begun.pop(cell.identity[:6], None)
        if name is None:
            name = cell.name(self.next)
            self.next += 1
        self.known[cell.identity] = name
        return trial_config(cell, name)


def _suggested(names: _Names, request: plan.Request, label: str, data: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What Tune runs for a suggestion; a function of plain values, because Tune pickles its searcher."""
    return names.trial(plan.search_cell(request, settings, label, data))


@contextmanager
def _ray(address: str | None, verbose: bool) -> Iterator[None]:
    """Ray on this machine, or the cluster at an address."""
    if not verbose:
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    options: dict[str, Any] = (
        {"num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False} if address is None else {}
    )
    ray.init(
        address=address or "local",
        log_to_driver=verbose,
        logging_level="INFO" if verbose else "CRITICAL",
        runtime_env={"env_vars": WORKER_ENV},
        **options,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ray.init's own handler would hide the interruption
    try:
        yield
    finally:
        ray.shutdown()


def _has_vae(request: plan.Request) -> bool:
    models = search.axes(request.domains).get("model") or [request.config({}).model]
    return any(model in VAES for model in models)


def _hparam_domains(request: plan.Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of the HPARAMS tab: the swept fields, and what kind of trial it is."""
    swept = {
        name: values if isinstance(values, list) else (values["low"], values["high"])
        for name, values in search.axes(request.domains).items()
    }
    return swept, {
        "kind": ["search", "cv"],
        "label": [*plan.LABELS, *request.labels],
        "fold": list(range(request.folds + 1)),
    }
