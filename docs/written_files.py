"""What sweeps and commands write: each file, column, key and tag with unit and meaning, for files-and-columns.md."""

from collections.abc import Mapping

Column = tuple[str, str]
"""Unit (or ""), meaning."""
FROM_RECORD = "true: the event file is damaged, and the numbers are those of trial.json"
KIND = {
    "label": ("", "label that stratifies the split; empty for none"),
    "fold": ("", "fold of the cross-validation, from 1; 0: the split of the search"),
    "n_folds": ("", "number of folds; 0: the split of the search"),
}
SIZES = {
    "n_train": ("images", "number of training images (crops where `split_unit` is crop)"),
    "n_test": ("images", "number of test images (crops where `split_unit` is crop)"),
}
TESTED = {
    "test_loss": ("", "loss on the test crops"),
    "test_psnr_db": ("dB", "PSNR on the test crops, mean over crops"),
    "test_ssim": ("", "SSIM on the test crops, mean over crops"),
    "test_spectrum_db": ("dB", "log-spectral distance on the test crops, mean over crops"),
    "test_bits_per_dim": ("bits per pixel", "VAEs: negative ELBO on the test crops"),
    "test_kl_nats": ("nats", "VAEs: KL divergence per crop, mean over the test crops"),
    "test_active_units": ("", "VAEs: number of active latent dimensions on the test crops"),
}
VALIDATED = {
    "train_loss": ("", "training loss (see `train_loss_mode`)"),
    "val_loss": ("", "loss on the validation crops"),
    "val_psnr_db": ("dB", "PSNR on the validation crops, mean over crops"),
    "val_ssim": ("", "SSIM on the validation crops, mean over crops"),
    "val_bits_per_dim": ("bits per pixel", "VAEs: negative ELBO on the validation crops"),
    "val_kl_nats": ("nats", "VAEs: KL divergence per crop, mean over the validation crops"),
    "val_active_units": ("", "VAEs: number of active latent dimensions on the validation crops"),
    "val_loss_floor": ("", "inputs in [-1, 1]: lowest validation loss that outputs in [0, 1] can reach"),
}
TABLES: Mapping[str, tuple[str, Mapping[str, Column]]] = {
    "report/trials.csv": (
        "One row per trial and fold run, ranked trials first. The hyperparameters are columns, too. Columns of VAEs,"
        " of the log-spectral distance and of the loss floor are absent where no trial has a value.",
        {
            "rank": ("", "place in the ranking of the search by validation PSNR; empty for fold runs and for pruned,"
                     " failed and interrupted trials"),
            "trial": ("", "name of the trial's folder"),
            "kind": ("", "`search` or `cv` (fold run)"),
            "status": ("", "`complete`, `pruned`, `failed` or `interrupted`"),
            **KIND,
            "best_epoch": ("", "epoch of the lowest validation loss"),
            "epochs_done": ("epochs", "number of finished epochs"),
            **{name: (unit, f"{text}, at `best_epoch`") for name, (unit, text) in VALIDATED.items()},
            "used_train_loss": ("", "training loss of the tested checkpoint"),
            "used_val_loss": ("", "validation loss of the tested checkpoint"),
            **TESTED,
            "parameters": ("", "number of trained weights"),
            "epoch_s": ("s", "mean time of an epoch, validation included"),
            "seconds": ("s", "time of the training, of its last run if it was interrupted"),
            **SIZES,
            "threads": ("", "CPU threads"),
            "device": ("", "`cpu` or `cuda`"),
            "error": ("", "why the trial failed"),
            "used_precision": ("", "precision that `precision` auto chose: `float32` or `bfloat16`"),
            "from_record": ("", FROM_RECORD),
        },
    ),
    "report/cv.csv": (
        "Per cross-validated configuration and label: one row per fold run, then rows for mean, SD and 95 % CI over the"
        " folds (no such rows while a fold run is missing).",
        {
            "configuration": ("", "settings in which the configurations differ"),
            **KIND,
            "fold": ("", "fold, from 1; or `mean`, `sd`, `95 % low`, `95 % high`"),
            "seed": ("", "random seed of the fold run"),
            "state": ("", "status of the fold run, `missing`, `stopped` (eliminated by the race), or `average`"),
            "trial": ("", "name of the fold run's folder"),
            "from_record": ("", FROM_RECORD),
            **SIZES,
            "train_loss": ("", "training loss of the tested checkpoint"),
            "val_loss": ("", "validation loss of the tested checkpoint"),
            "val_loss_floor": VALIDATED["val_loss_floor"],
            **TESTED,
        },
    ),
    "report/leaderboard.csv": (
        "One row per cross-validated configuration with all fold runs complete, best first. Only written for two or"
        " more configurations. Rules: [statistics](statistics.md#leaderboard-best-tied-not-tied).",
        {
            "place": ("", "place on the leaderboard"),
            "title": ("", "settings in which the configurations differ"),
            "psnr_db": ("dB", "test PSNR, mean over images (or conditions)"),
            "low_db": ("dB", "lower end of its 95 % CI, for other test images"),
            "high_db": ("dB", "upper end of its 95 % CI"),
            "difference_db": ("dB", "`psnr_db` minus that of the best"),
            "difference_low_db": ("dB", "lower end of the 95 % CI of the difference"),
            "difference_high_db": ("dB", "upper end of the 95 % CI of the difference"),
            "p_holm": ("", "p-value of the paired permutation test against the best, with Holm's correction"),
            "over_folds_db": ("dB", "Δ across folds: mean difference to the best over the folds"),
            "over_folds_low_db": ("dB", "lower end of its corrected 95 % CI, for other training images"),
            "over_folds_high_db": ("dB", "upper end of its corrected 95 % CI"),
            "tied": ("", "true: not significantly worse than the best"),
            "mark": ("", "standing in words: best, tied with the best, or not"),
            "parameters": ("", "number of trained weights"),
            "units": ("", "number of images or conditions that the test compares"),
            "suggested": ("", "true: the tied configuration with the fewest parameters"),
        },
    ),
    "report/classes.csv": (
        "Per cross-validated configuration: one row per class of each label, from the folds stratified by this label.",
        {
            "configuration": ("", "settings in which the configurations differ"),
            "label": ("", "label"),
            "class": ("", "value of the label, or range of values"),
            "n_images": ("images", "tested images of the class"),
            "of": ("images", "all images of the class"),
            "psnr_db": ("dB", "test PSNR, mean over the images"),
            "ssim": ("", "test SSIM, mean over the images"),
            "spectrum_db": ("dB", "log-spectral distance, mean over the images"),
            "low_db": ("dB", "lower end of the 95 % CI of `psnr_db`"),
            "high_db": ("dB", "upper end of the 95 % CI of `psnr_db`"),
            "p_harder": ("", "one-sided p-value that the class has a lower PSNR than the others (Welch), not"
                         " corrected for the number of classes"),
        },
    ),
    "report/baselines.csv": (
        "One row per split and baseline: simple methods on the same test crops, with grey values in [0, 1].",
        {
            **KIND,
            "baseline": ("", "`constant`, `patch mean`, `PCA` or `low-pass DCT`"),
            "numbers": ("", "latent size: coefficients that describe a crop"),
            "loss": ("", "mean squared error"),
            "psnr_db": ("dB", "PSNR, mean over crops"),
            "pooled_psnr_db": ("dB", "PSNR of pooled MSE"),
            "ssim": ("", "SSIM, mean over crops"),
        },
    ),
    "metrics.csv": (
        "`deepdlt train`: one row per epoch, in the output folder.",
        {
            "epoch": ("", "epoch, from 1"),
            **VALIDATED,
            "val_nll_nats": ("nats", "VAEs: negative log-likelihood per crop"),
            "val_elbo_nats": ("nats", "VAEs: ELBO per crop, at one sample of z"),
            "val_decoder_variance": ("", "VAEs: variance of the decoder"),
            "val_loss_excess": ("", "inputs in [-1, 1]: `val_loss` minus `val_loss_floor`"),
            "best_epoch": ("", "epoch of the lowest validation loss so far"),
            "best_val_loss": ("", "validation loss at `best_epoch`"),
            "best_val_psnr_db": ("dB", "validation PSNR at `best_epoch`"),
            "best_val_ssim": ("", "validation SSIM at `best_epoch`"),
            "lr": ("", "learning rate at the end of the epoch"),
            "epoch_s": ("s", "time of the epoch, validation included"),
            "images_per_s": ("crops/s", "training speed, validation not included"),
            "finished": ("", "1 for the last epoch of the training, else 0"),
        },
    ),
    "Fold tables": (
        "`deepdlt folds` writes `label_aware_splitting_data/LABEL/fold_K/LABEL_{train,val,test}.csv`: one row per crop"
        " of a part of a fold. The labels of the image are columns, too.",
        {
            "crop": ("", "index of the crop in `crops.npy`"),
            "image_id": ("", "number of the image, from 0, in the order of the label table"),
            "x": ("px", "left edge of the crop in the image"),
            "y": ("px", "top edge of the crop in the image"),
            "brightness": ("", "factor by which the crop was multiplied"),
            "condition": ("", "number of the process condition: images of one number stay together"),
            "file": ("", "path of the image below the folder of images"),
            "pixel_um": ("µm", "pixel pitch of the image"),
            "LABEL_bin": ("", "number of the class of LABEL"),
        },
    ),
    "latent_map.csv": (
        "`deepdlt latents`, beside the map: one row per image or crop. The labels that colour the map are columns,"
        " too.",
        {
            "image_id": ("", "number of the image, from 0"),
            "file": ("", "path of the image"),
            "crop_x": ("px", "left edge of the crop (`--level crop` only)"),
            "crop_y": ("px", "top edge of the crop (`--level crop` only)"),
            "folder": ("", "folder of the image"),
            "map_x": ("", "horizontal position in the map"),
            "map_y": ("", "vertical position in the map"),
        },
    ),
    "audit.csv": (
        "`deepdlt audit --out audit.csv`: one row per image.",
        {
            "image_id": ("", "number of the image, from 0"),
            "file": ("", "path of the image"),
            "pattern": ("", "V, H or D, of the pulse that has one"),
            "angle": ("degrees", "label in the table"),
            "period_um": ("µm", "measured period of the fringes"),
            "expected_um": ("µm", "period expected from the label"),
            "ratio": ("", "measured / expected period"),
            "angle_measured": ("degrees", "half-angle that fits the measured period"),
            "score": ("", "strength of the fringes; below 1 the verdict is unclear"),
            "doubled": ("", "true: the relief repeats at every second fringe (crossed polarisation)"),
            "verdict": ("", "`agrees`, `contradicts` (inconsistent) or `unclear`"),
            "suggested_angle": ("degrees", "angle that several images with the same wrong label share; else empty"),
        },
    ),
}  # fmt: skip
"""File -> what it holds, and its columns. Every CSV column that users read is described here, once."""

SWEEP_JSON: Mapping[str, str] = {
    "space": "name of the search space",
    "question": "question of the search space",
    "protocol": "`corrected`, `report` or `mixed`",
    "epochs": "epochs per trial",
    "seed": "random seed of the sweep",
    "settings": "hyperparameters that the sweep fixes",
    "axes": "hyperparameters that the sweep varies, and their values",
    "conditions": "axes that only some configurations have",
    "search": "`optuna`, `grid` or `random`",
    "scheduler": "`none`, `asha`, `median`, `hyperband`, `pbt` or `pb2`",
    "minimize": "second objective, or null",
    "trials": "number of search trials asked for",
    "cv": "true: with cross-validation",
    "cv_top": "number of configurations to cross-validate",
    "cv_seeds": "random seeds of the fold runs",
    "race": "`alpha` and `margin` (dB) of the race, or null",
    "search_label": "label that stratifies the split of the search",
    "labels": "labels of the cross-validation",
    "folds": "folds per label",
    "data_fingerprint": "hash of the crops, the conditions and the label of the search",
    "data": "name, number of images and crops, crop size, usual pixel pitch in µm, files",
    "images": "labels of every image, and a hash of its bytes",
    "leakage": "leakage of the splits",
    "classes": "label -> class -> numbers of its images",
    "label_digests": "label -> hash of its values",
    "conditions_of_images": "process condition of every image",
    "grouped_by": "columns that make the conditions; empty if each image is its own",
    "code": "hash of the code that decides the results, and of its files",
    "versions": "versions of Python and of the libraries",
    "git_commit": "commit of the checkout, or null",
    "command": "command that resumes the sweep",
    "created": "time of the first start (UTC)",
    "codes": "hashes of every version of the code that worked on the sweep",
    "cv_configurations": "configurations of the cross-validation (absent before it has run)",
    "cv_cells": "label, fold and seed of each fold run, in order (absent before it has run)",
}
"""Key of sweep.json -> meaning."""
TRIAL_JSON: Mapping[str, str] = {
    "name": "name of the folder",
    "status": "`complete`, `pruned` or `failed`",
    "kind": "`search` or `cv` (fold run)",
    "config": "all hyperparameters",
    "label": "label of the split",
    "fold": "fold, 0 for the split of the search",
    "n_folds": "number of folds",
    "data": "hash of the crops, the conditions and the label of the search",
    "identity": "hash of kind, config, label, fold and data: equal identities are the same trial",
    "metrics": "values of the last epoch, as in `metrics.csv`",
    "test": "`loss`, `psnr_db`, `ssim`, `mse`, `spectrum_db` and terms of the ELBO, means over the test crops",
    "test_by_image": "the same per test image",
    "parameters": "number of trained weights",
    "seconds": "time of the training, s",
    "epoch_s": "mean time of an epoch, s",
    "threads": "CPU threads",
    "device": "`cpu` or `cuda`",
    "precision": "precision of the training",
    "environment": "processor and versions",
    "units": "what `n_train` and `n_test` count: `images` or `crops`",
    "n_train": "size of the training set",
    "n_test": "size of the test set",
    "schedule": "population-based training: settings from each epoch on",
    "code": "hash of the code",
    "versions": "versions of the libraries",
    "git_commit": "commit of the checkout",
    "error": "why the trial failed",
    "sha256": "checksum of the content: a record that does not verify is ignored, and the trial runs again",
}
"""Key of trial.json -> meaning; keys without a value are absent."""

TREE = """\
ray_results/SWEEP/
  sweep.json                    what was asked for: space, options, data, versions
  events.out.tfevents...        TensorBoard: columns of the HPARAMS tab, charts of CUSTOM SCALARS
  shown_crops.json              the crops whose reconstructions every trial shows
  bands/*/events...             TensorBoard: mean, lowest and highest value of the folds, per epoch
  baselines.json                results of the baselines on each split
  optuna.journal                Optuna's study (--search optuna); optuna-dashboard opens it
  .curves.json                  what the report has read from the event files; it can be deleted
  s0001-3fa2c1/                 search trial 1; the last six characters are from its identity
    trial.json                  result, written last and sealed: a trial is complete only with it
    events.out.tfevents...      TensorBoard: hyperparameters, curves, test results, pictures, text
    projector_config.pbtxt, latents.*   best three trials: latents of up to 1,024 crops for the PROJECTOR tab
    best.pt                     checkpoint of the lowest validation loss: the weights to use
    last.pt, previous.pt        checkpoints of the last two epochs: where the training resumes
    code.txt                    hash of the code that began the trial
    hang.txt                    only if the trial hung: where
    schedule.json               only with pbt and pb2: settings from each epoch on
  cv-angle-f1-5b07de/           fold run: label angle (Delta-tau for Δτ), fold 1; the same files
  report/
    report.html, report.md      the report
    trials.csv, cv.csv, leaderboard.csv, classes.csv, baselines.csv
    figures/*.{png,svg,pdf}     figures of the report, for slides and papers"""
OTHER_FILES = """\
data/
  synthetic/PRESET-HASH/        built-in images and their label table
  patches/patches-HASH/         crops of one folder of images, made once
    crops.npy                   uint8, (crops, 1, 64, 64)
    crops.csv                   image_id, x, y, brightness of each crop
    images.csv                  image_id, condition, file, pixel_um and the label table
    meta.json                   options, hash and notes on the pixels
  dlip/images/                  the published images (deepdlt download)
  runs/NAME/                    deepdlt train:
    metrics.csv                 one row per epoch
    result.json                 hyperparameters, test results (standard and study's), baselines, fringe periods
    best.pt, last.pt, previous.pt
    figures/*.png               curves, reconstructions, error maps, latent map"""
TAGS: Mapping[str, str] = {
    "train_loss, val_loss, val_psnr_db, val_ssim, ...": "values of each epoch, as in [metrics.csv](#metricscsv)",
    "best/val_loss, last/val_loss, ...": "search trials: best validation values so far; last ones",
    "test/loss, test/psnr_db, test/ssim, test/spectrum_db, ...": "test results, once at the end",
    "folds/test_loss, folds/test_psnr_db, ...": "fold runs: the same, which the HPARAMS tab averages",
    "pruned/epoch": "pruned trials: their last epoch",
    "within_folds/CURVE/mean, lowest, highest": "runs `bands/...`: a curve over the folds of a configuration",
    "crops/original over reconstruction over error": "the crops of `shown_crops.json`, up to 5 times in a training",
    "reconstruction/val, reconstruction/test": "8 crops of the trial's split (upper row), reconstructed (lower row)",
    "vae/samples, vae/traversals": "VAEs: images from random latents, and along the 8 most active dimensions, -3 to 3",
    "trial": "page of text: configuration, command, environment, how the trial ended",
    "extremes/test, extremes/train": "a crop of the image with the highest, the median and the lowest PSNR (upper row),"
    " and its reconstruction (lower row)",
}
