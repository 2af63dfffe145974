"""Run the search and the cross-validation grid of a sweep on Ray, from where earlier runs left them."""

import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.execution.session import RaySession  # isort: skip  (sets what Tune reads when it is imported)

import numpy as np
import ray
from ray import tune
from ray.tune import TuneError

from sweeps import board, stopping
from sweeps.cluster import forget_nodes
from sweeps.errors import RayFailed
from sweeps.execution.node_watch import ClusterNodes, NodeWatch
from sweeps.execution.trainable import Job, train_cell
from sweeps.execution.trial_ends import RETRIES, Phase, Silence, SweepProgress
from sweeps.execution.trial_names import TrialNames
from sweeps.identity import SweepData, provenance, search_label
from sweeps.planning import longest_first, plan
from sweeps.request import (
    Request,
    Resources,
    Room,
    check_room,
    chosen_configurations,
    fit_to,
    fold_cells,
    grid_cells,
    search_cell,
)
from sweeps.space import Configuration
from sweeps.store import (
    COMPLETE,
    FAILED,
    PRUNED,
    SweepFile,
    TrialRecord,
    TuneConfig,
    address,
    best_first,
    read_record,
    read_records,
    read_sweep,
    read_trial,
    trial_config,
    trial_name,
    update_sweep,
)
from sweeps.tuning import (
    NOTHING,
    AtNextEpoch,
    DistinctOptunaSearch,
    ListedSearch,
    RaceSearch,
    close_study,
    forget_generations,
    reached,
    schedulers,
)


class SweepRun:
    """One run of a sweep; `wait_for_ray` is called before the first trial, if any is missing."""

    def __init__(
        self,
        request: Request,
        resources: Resources,
        data: SweepData,
        sweep: Path,
        wait_for_ray: Callable[[], None],
        *,
        quiet: bool = False,
        retry_failed: bool = False,
        nodes: ClusterNodes | None = None,
    ) -> None:
        self.request, self.resources, self.data, self.sweep = request, resources, data, sweep
        self.fingerprint = data.patches.fingerprint
        self.label = search_label(data.patches.images)
        self.quiet, self.wait_for_ray, self.nodes = quiet, wait_for_ray, nodes
        self.kept = (COMPLETE, PRUNED) if retry_failed else (COMPLETE, PRUNED, FAILED)
        self.made_by = provenance()
        amounts = resources.cpus_per_trial, resources.gpus_per_trial
        sweep_file, image_id = read_sweep(sweep) or SweepFile(), data.patches.image_id
        board.write_board(sweep, sweep_file)
        unseen = np.concatenate([data.splits[self.label, 0].val, data.splits[self.label, 0].test])
        crops = board.draw_crops(sweep, sweep_file, image_id, unseen, request.seed)
        pruned = request.scheduler != "none"
        where = address(sweep)
        self.job = Job(where, data.splits, image_id, *amounts, pruned, self.made_by, sweep_file=sweep_file, shown=crops)

    def run_search(self) -> None:
        """Run the search trials that are missing; those of an edited space's former choices do not count."""
        self._search()
        while stopping.takes_up_again():
            self._search()

    def _search(self) -> None:
        records = [r for r in read_records(self.sweep).values() if r.is_search]
        done = {r.identity: r for r in records if r.status in self.kept and not self.request.outside(r.config)}
        total, _ = plan.planned_trials(self.request)
        missing = total - len(done)
        if missing <= 0:
            return
        names = TrialNames(self.sweep, self._member_axes(), self.request.epochs)
        configurations = plan.searched_settings(self.request)
        if configurations is not None:
            cells = [search_cell(self.request, c, self.label, self.fingerprint) for c in configurations]
            trials = [names.trial(c, k) for k, c in enumerate(cells, 1) if c.identity not in done][:missing]
            trials = longest_first(trials) if self.request.scheduler == "none" else trials
            if trials:
                self._run("search", ListedSearch(trials), total, len(trials))
            return
        space = self.request.tune_space
        searcher = DistinctOptunaSearch(
            space,
            partial(_suggested, names, self.request, self.label, self.fingerprint),
            sweep=self.sweep,
            seed=self.request.seed + len(records),
            minimize=self.request.minimize,
        )
        for record in done.values():
            searcher.add_known(space.space.settings_of(record.config), record)
        searcher.try_first([*self._begun(), *space.points])
        self._run("search", searcher, total, missing)

    def run_folds(self) -> None:
        """Run those label x fold x seed cells of the best configurations that are not done.

        A race may have ended before a configuration that had stopped others failed: their cells are run then.
        """
        kept = self.kept
        while True:
            ran = self._run_cells(kept)
            if stopping.takes_up_again():
                continue
            if not ran or self.request.race is None or stopping.reason():
                return
            kept = (COMPLETE, PRUNED, FAILED)

    def _run_cells(self, kept: tuple[str, ...]) -> bool:
        """Run the cells whose record has none of these states; whether one of them got one."""
        records = read_records(self.sweep)
        chosen, grid = chosen_configurations(self.request, records.values()), grid_cells(self.request)
        compared = [each.unseeded for each in chosen]
        update_sweep(self.sweep, cv_configurations=tuple(compared), cv_cells=tuple(grid))
        cells = fold_cells(chosen, grid, self.request.folds, self.fingerprint)
        done = {identity for identity, record in records.items() if record.status in kept}
        trials = [trial_config(cell, cell.name_in(self.sweep)) for cell in cells if cell.identity not in done]
        if self.request.race is None:
            searcher = ListedSearch(longest_first(trials))
        else:
            searcher = RaceSearch(trials, self.sweep, grid, compared, self.request.race)
        if not searcher.left:
            return False
        self._run("cv", searcher, len(cells), len(trials))
        return any(read_record(self.sweep / trial_name(trial)) for trial in trials)

    def show_results(self) -> None:
        """Write what TensorBoard shows of trials together, or of the best of them."""
        records = read_records(self.sweep).values()
        board.write_bands(self.sweep, records)
        board.write_latent_maps(self.sweep, records, self.data.patches, self.data.splits)

    def _member_axes(self) -> list[str]:
        """The swept fields, when trials are members of a population that may change some of them."""
        return list(self.request.tune_space.domains) if self.request.scheduler in schedulers.POPULATIONS else []

    def _begun(self) -> Iterator[Configuration]:
        """Settings of search trials that were interrupted or damaged, or are to be retried: they come first."""
        for _, record, settings in self._of_the_space():
            if record is None or record.status not in self.kept:
                yield settings

    def _comparable(self) -> list[str]:
        """Search trials of earlier runs that new ones are compared with, however they ended."""
        return [directory.name for directory, _, _ in self._of_the_space()]

    def _of_the_space(self) -> Iterator[tuple[Path, TrialRecord | None, Configuration]]:
        """Folder, record and settings of each search trial of the space as it is now."""
        space = self.request.tune_space
        for directory in sorted(self.sweep.glob("s[0-9]*-*")):
            record = read_record(directory)
            settings = space.logged(record.config if record else read_trial(directory).hparams)
            if space.space.holds(settings):
                yield directory, record, settings

    def _progress(self, phase: str, total: int, missing: int) -> SweepProgress:
        known = read_records(self.sweep)
        ranked = best_first(r for r in known.values() if r.is_search and not self.request.outside(r.config))
        retry = FAILED not in self.kept
        name, then = "folds", 0
        if phase == "search":
            name, then = phase, plan.missing_trials(self.request, known, self.fingerprint, retry)[1]
        amount = Phase(name, total, total - missing, then)
        return SweepProgress(self.sweep, amount, self.made_by, quiet=self.quiet, best=next(iter(ranked), None))

    def _rooms(self) -> list[Room]:
        """What the nodes have on which trials may run."""
        if self.nodes is not None:
            self.nodes.check()
            return self.nodes.rooms()
        there = {"CPU": 0.0, "GPU": 0.0} | ray.cluster_resources()
        return [Room(there["CPU"], there["GPU"])]

    def _run(self, phase: str, searcher: Any, total: int, missing: int) -> None:
        """Let Tune ask a searcher at most `missing` times."""
        self.wait_for_ray()
        rooms, job = self._rooms(), self.job
        resources = fit_to(self.resources, rooms)
        check_room(resources, rooms)  # Ray would wait for ever
        progress = self._progress(phase, total, missing)
        amounts = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
        callbacks: list[tune.Callback] = [progress, Silence()]
        if self.nodes is not None:
            callbacks, job = [*callbacks, NodeWatch(self.nodes)], replace(job, expected=self.nodes.expected)
        trainable = tune.with_parameters(train_cell, crops=self.data.patches.crops, job=job)
        scheduler, at_a_time = schedulers.InTurn(), resources.max_concurrent
        if phase == "search":
            name, domains = self.request.scheduler, self.request.tune_space.domains
            known = reached(self.sweep, self._comparable()) if name in schedulers.ANYTIME else NOTHING
            epochs, seed = self.request.epochs, self.request.seed
            scheduler = schedulers.make_scheduler(name, epochs, missing, domains, seed, known=known)
            at_a_time = schedulers.max_concurrent_trials(name, missing, at_a_time)
            cpus = [room.cpus for room in rooms]
            amounts["cpu"] = schedulers.cpus_per_trial(
                name, amounts["cpu"], resources.max_concurrent, sum(cpus), max(cpus)
            )
        tuner = tune.Tuner(
            tune.with_resources(trainable, self.nodes.placement(amounts) if self.nodes else amounts),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=missing,
                scheduler=scheduler,
                max_concurrent_trials=at_a_time,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial_name(trial.config),
            ),
            run_config=tune.RunConfig(
                name=phase,
                storage_path=str(self.sweep / ".ray"),  # Ray's own state: a cache that nobody reads
                callbacks=callbacks,
                stop=AtNextEpoch(),
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                verbose=0,
            ),
        )
        try:
            with stopping.finishing_epochs():
                tuner.fit()
        except TuneError as error:
            last = str(error).strip().rpartition("\n")[2]
            raise RayFailed(f"Ray Tune gave up ({last}; --verbose says where)") from error
        finally:
            progress.close()
            stopping.raise_storage_failure()  # the cause, whatever Tune made of it
            if isinstance(searcher, DistinctOptunaSearch):
                close_study(self.sweep)


def run_sweep(
    request: Request, resources: Resources, data: SweepData, sweep: Path, options: Namespace, session: RaySession
) -> None:
    """Search, then cross-validate if asked.

    Args:
        options: `quiet`, `retry_failed` and `allow_code_change` of the command line.
        session: begun when the first trial is run, if not before.
    """
    cache = sweep / ".ray"
    session.afterwards(partial(shutil.rmtree, cache, ignore_errors=True))
    session.afterwards(partial(forget_generations, sweep))  # a member that trains until Ray has ended may need them
    shutil.rmtree(cache, ignore_errors=True)  # of a run that was killed
    nodes = None
    if session.cluster is not None:
        nodes = ClusterNodes(sweep, resources, other_code=options.allow_code_change)
        session.afterwards(partial(forget_nodes, sweep))
    settings = {"quiet": options.quiet, "retry_failed": options.retry_failed, "nodes": nodes}
    run = SweepRun(request, resources, data, sweep, session.wait, **settings)
    if not request.cv_only:
        run.run_search()
    if request.cv and not stopping.reason():
        run.run_folds()
    if not stopping.reason():
        run.show_results()


def _suggested(names: TrialNames, request: Request, label: str, data: str, settings: Configuration) -> TuneConfig:
    """What Tune runs for a suggestion; a function of plain values, because Tune pickles its searcher."""
    return names.trial(search_cell(request, settings, label, data))
