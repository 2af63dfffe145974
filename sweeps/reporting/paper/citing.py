"""A methods paragraph and BibTeX entries, to paste into a paper."""

from deepdlt.errors import many
from sweeps.folds import current_tables, over_all_folds
from sweeps.reporting.findings import Findings
from sweeps.store import COMPLETE

PACKAGES = {"torch": "PyTorch", "ray": "Ray Tune", "optuna": "Optuna"}
BIBTEX = r"""@software{deepdlt_sweeps,
  title  = {{DeepDLT Sweeps}: hyperparameter sweeps and stratified cross-validation of autoencoders on SEM images},
  author = {{The DeepDLT Sweeps developers}},
  version = {VERSION}
}
@techreport{vourvachakis2025deepdlt,
  title  = {{DeepDLT}: Autoencoder analysis on {DLIP} data},
  author = {Vourvachakis, G. S.},
  institution = {University of Crete},
  year   = {2025},
  url    = {https://github.com/GVourvachakis/DeepDLT}
}
@article{nadeau2003inference,
  title  = {Inference for the generalization error},
  author = {Nadeau, Claude and Bengio, Yoshua},
  journal = {Machine Learning},
  volume = {52}, pages = {239--281}, year = {2003}
}"""


def methods(found: Findings) -> str:
    """What was done, in the words of a methods section, as far as the sweep knows it."""
    logs, sweep_file = found.logs, found.logs.sweep_file
    data, trials = sweep_file.data, [trial for trial in logs.trials if trial.record.is_search]
    made = [f"{many(data.images, 'synthetic image' if data.synthetic else 'image')}" if data.images else "The images"]
    if data.crops and data.crop_size:
        pitch = f", {1000 * data.pixel_um:.4g} nm per pixel" if data.pixel_um else ""
        made.append(f"were divided into {data.crops:,} crops of {data.crop_size}x{data.crop_size} px{pitch}")
        if data.downsample:
            side = data.crop_size // data.downsample
            made[-1] += f", averaged over squares to {side}x{side} px"
    text = f"{' '.join(made)}. "
    if trials:
        done = sum(trial.status == COMPLETE for trial in trials)
        search = {"optuna": "Optuna's TPE sampler", "grid": "a grid search", "random": "a random search"}.get(
            sweep_file.search, "a search"
        )
        scheduler = f", scheduler {sweep_file.scheduler}" if sweep_file.scheduler not in ("", "none") else ""
        epochs = f", {many(sweep_file.epochs, 'epoch')} each" if sweep_file.epochs else ""
        text += (
            f"{many(len(trials), 'configuration')} from {search} were trained ({done} to the end{epochs}{scheduler})"
        )
        text += " and ranked by validation PSNR. "
    tables = current_tables(found.leading) or found.leading
    total = over_all_folds([t for t in tables if "test_psnr_db" in t.averages]) if tables else None
    if tables:
        labels = ", ".join(table.label for table in tables)
        n, were = len(found.tables), "was" if len(found.tables) == 1 else "were"
        text += (
            f"{many(n, 'configuration')} {were} cross-validated in {tables[0].n_folds} folds, stratified by {labels}"
        )
        text += (
            "; all crops of a process condition (or image) were kept in one fold. "
            if sweep_file.protocol == "corrected"
            else ". "
        )
    if total and total.low is not None and total.high is not None:
        interval = f"95 % CI {total.low:.2f} to {total.high:.2f} dB, corrected for overlapping training sets"
        text += f"Mean test PSNR was {total.mean:.2f} dB ({interval} [nadeau2003inference]). "
    versions = sweep_file.versions
    used = ", ".join(f"{title} {versions[name]}" for name, title in PACKAGES.items() if name in versions)
    text += f"Software: DeepDLT Sweeps {sweep_file.versions.get('deepdlt-sweeps', '')}".rstrip() + (
        f", {used}" if used else ""
    )
    seed = f"; seed {sweep_file.seed}" if sweep_file.seed is not None else ""
    fingerprint = f"; data fingerprint {data.fingerprint[:16]}" if data.fingerprint else ""
    return f"{text}{seed}{fingerprint}."


def bibtex(found: Findings) -> str:
    """Entries for the software, the study and the interval."""
    return BIBTEX.replace("VERSION", found.logs.sweep_file.versions.get("deepdlt-sweeps", "0.1.0"))
