"""Every hyperparameter, with its range and its source.

A search space, a trial and a checkpoint use the same names of these fields.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from deepdlt.errors import CommandError
from deepdlt.rules import Usual, beyond_usual, choices, number, one_of, out_of_range, parse, wrong_types
from deepdlt.synonyms import meant

PROTOCOLS: dict[str, dict[str, str]] = {
    # The recommended protocol: the study's experiment without its errors.
    "corrected": {
        "input_range": "unit",
        "metrics": "standard",
        "split_unit": "condition",
        "holdout": "stratified",
        "evaluate": "best",
        "train_loss_mode": "eval",
        "vae_likelihood": "optimal",
        "vae_reduction": "mean",
    },
    # The study's own protocol, including its known errors, so that its tables can be compared.
    "report": {
        "input_range": "symmetric",
        "metrics": "report",
        "split_unit": "crop",
        "holdout": "halves",
        "evaluate": "last",
        "train_loss_mode": "running",
        "vae_likelihood": "squared_error",
        "vae_reduction": "batch_sum",
    },
}

VAES = ("cnn_vae", "res_vae")
CROP_SIZES, DOWNSAMPLINGS = (64, 128, 256), (1, 2, 4)
LEAST_SIDE = 64
"""Pixels of a network's input."""
HALVINGS = 3
"""Of the side of the input, until the latent map."""
ADAMS = ("adam", "adamw")


class ConfigError(CommandError, ValueError):
    """One or more hyperparameters break their rule; the message has one line per problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training, fully described. The defaults are the study's cross-validation settings, protocol `corrected`.

    Raises:
        ConfigError: a field has a wrong type or value; the message lists every problem.
    """

    # --- model -----------------------------------------------------------------------------------------------
    model: str = one_of("cnn_ae", "cnn_vae", "res_ae", "res_vae")
    """Network: the study's convolutional autoencoder (`cnn_ae`, its Table 1) or variational autoencoder (`cnn_vae`,
    its Table 7), or a residual autoencoder (`res_ae`) or residual variational autoencoder (`res_vae`)."""
    activation: str = one_of("relu", "selu", "elu", "leaky_relu", "silu")
    """Activation function of the network. `leaky_relu` has the slope 0.1; the study used it for the VAE."""
    init: str = one_of("default", "matched")
    """Initial weights: PyTorch's (`default`), or normal ones with the variance that suits the activation (`matched`:
    LeCun for SELU, He for the others). The zero and cosine layers of the residual models keep their own weights."""
    dropout: float = number(0.2, "in [0, 1)", lambda x: 0 <= x < 1, Usual(0, 0.5))
    """Probability, in [0, 1), that training sets a whole feature map to zero (Dropout2d): in each encoder block of the
    CNN models and in each residual block of the residual models."""
    kernel_size: int = number(3, "odd and in 1..15", lambda x: 1 <= x <= 15 and x % 2 == 1)
    """CNN models: side of the encoder's kernels in pixels, an odd number from 1 to 15. The study used 3, and 5 in its
    Experiment 3."""
    decoder_kernel_size: int = number(2, "2 or 3", lambda x: x in (2, 3))
    """CNN models: side of the decoder's transposed convolutions in pixels: 2 (the study's code and Table 7) or 3 (its
    Table 1)."""
    width: int = number(32, "a multiple of 8", lambda x: x >= 8 and x % 8 == 0)
    """Residual models: number of channels at half the side of the input (32x32 pixels of 64x64), a multiple of 8,
    preferably of 16. The models have twice as many channels at a quarter of the side and four times as many at an
    eighth."""
    blocks: int = number(1, "in 1..8", lambda x: 1 <= x <= 8)
    """Residual models: number of residual blocks per resolution, in the encoder and in the decoder each, 1 to 8."""
    latent_channels: int = number(16, ">= 0", lambda x: x >= 0)
    """Residual models: number of channels of the latent map, >= 0; the map is 8x8 where the network's input is 64x64.
    With 64 or more the map holds as many values as the crop, so it is no bottleneck. With 0 the latent is a vector of
    `latent_dim` values."""
    latent_dim: int = number(128, ">= 1", lambda x: x >= 1)
    """Number of latent dimensions of `cnn_vae`, and of the residual models with `latent_channels` 0; >= 1."""

    # --- loss ------------------------------------------------------------------------------------------------
    loss: str = one_of("mse", "l1", "charbonnier")
    """Autoencoders: loss per pixel, the squared error (`mse`), the absolute error (`l1`), or the smooth absolute error
    (`charbonnier`). For a VAE, `vae_likelihood` sets the loss."""
    ms_ssim_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: weight, >= 0, of the term 1 - MS-SSIM (3 scales) in the loss."""
    focal_frequency_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: weight, >= 0, of the focal frequency loss (Jiang et al. 2021) in the loss."""
    spectrum_weight: float = number(0.0, ">= 0", lambda x: x >= 0)
    """Autoencoders: weight, >= 0, of the mean difference of the log10 radial power spectra in the loss."""
    beta: float = number(1.0, ">= 0", lambda x: x >= 0, Usual(1e-3, 10, where=("model", VAES)))
    """VAEs: weight of the KL term, >= 0 (beta-VAE, Higgins et al. 2017). The study used 1."""
    decoder_sigma: float = number(0.1, "> 0", lambda x: x > 0)
    """VAEs with `vae_likelihood` gaussian: standard deviation of the decoder, > 0, in grey values of [0, 1]."""
    kl_warmup: int = number(0, ">= 0", lambda x: x >= 0)
    """VAEs: number of epochs, >= 0, over which the weight of the KL term rises linearly from 0 to `beta`."""
    free_bits: float = number(0.0, ">= 0", lambda x: x >= 0)
    """VAEs: KL divergence in nats per latent dimension, >= 0, below which the loss does not reduce it further
    (Kingma et al. 2016)."""

    # --- optimisation ----------------------------------------------------------------------------------------
    optimizer: str = one_of("adam", "adamw", "sgd")
    """Optimizer: Adam with an L2 penalty (`adam`), Adam with decoupled weight decay, applied to the weights but not to
    norms and biases (`adamw`), or stochastic gradient descent with momentum and without decay (`sgd`)."""
    lr: float = number(
        5e-4,
        "> 0",
        lambda x: x > 0,
        Usual(1e-5, 1e-2, where=("optimizer", ADAMS)),
        Usual(1e-4, 0.5, where=("optimizer", ("sgd",))),
    )
    """Learning rate, > 0. With a schedule, its highest value."""
    schedule: str = one_of("constant", "cosine", "onecycle", "plateau")
    """Course of the learning rate: `constant`; `cosine` decay to 0; `onecycle`, a rise and a fall (Smith & Topin 2018);
    or `plateau`, times 0.3 at the third epoch without a lower validation loss."""
    warmup: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1)
    """Fraction of all steps, in [0, 1), in which the learning rate rises to `lr`. With 0, `onecycle` uses 0.3."""
    weight_decay: float = number(
        1e-5,
        ">= 0",
        lambda x: x >= 0,
        Usual(0, 1e-2, where=("optimizer", ("adam",))),
        Usual(0, 0.3, where=("optimizer", ("adamw",))),
    )
    """Weight of the L2 penalty (`adam`) or of the decoupled decay (`adamw`), >= 0. `sgd` does not use it."""
    momentum: float = number(0.9, "in [0, 1)", lambda x: 0 <= x < 1, Usual(0, 0.99, where=("optimizer", ("sgd",))))
    """Momentum of `sgd`, in [0, 1). The other optimizers do not use it."""
    ema: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1, Usual(0.9, 0.9999, off=0))
    """Decay per step, in [0, 1), of the exponential moving average of the weights; 0 for no average. The averaged
    weights are validated, tested and saved as the best."""
    batch_size: int = number(32, ">= 2", lambda x: x >= 2, Usual(8, 512))
    """Number of crops per step, >= 2 (batch normalisation needs two)."""
    epochs: int = number(10, ">= 1", lambda x: x >= 1)
    """Number of passes over the training crops, >= 1."""
    early_stopping: int = number(0, ">= 0", lambda x: x >= 0)
    """Number of epochs without a lower validation loss, >= 0, after which the training stops; 0 for never."""

    # --- augmentation of the training crops, drawn anew in every epoch -----------------------------------------
    augment_symmetry: str = one_of("none", "flips", "dihedral")
    """Random symmetries of the training crops: `none`; `flips` (mirror images and half turns, which change no label);
    or `dihedral` (quarter turns as well, which exchange the patterns V and H)."""
    augment_brightness: float = number(0.0, "in [0, 1)", lambda x: 0 <= x < 1, Usual(0, 0.5))
    """Range of the random brightness: each training crop is multiplied by a factor from U(1 - a, 1 + a), a in [0, 1).
    With 0 the crops carry the study's fixed variation of 0.2 instead."""
    input_noise: float = number(0.0, ">= 0", lambda x: x >= 0, Usual(0, 0.3))
    """Standard deviation, >= 0, in grey values of [0, 1], of the noise that training adds to the input but not to the
    target (denoising)."""

    # --- crops -------------------------------------------------------------------------------------------------
    crop_size: int = number(64, "64, 128 or 256", lambda x: x in CROP_SIZES)
    """Side of a crop in pixels of the image: 64 (the study), 128 or 256. A crop of 64 pixels of the published images
    shows 0.4 to 1.3 fringe periods. Fewer crops are cut of larger ones: 100 per image of 64 pixels, 50 of 128, 25 of
    256."""
    downsample: int = number(1, "1, 2 or 4", lambda x: x in DOWNSAMPLINGS)
    """Side in pixels, 1, 2 or 4, of the squares whose mean becomes one pixel of the network's input. 64 pixels from
    256 (`crop_size` 256, `downsample` 4) show 16 times the area at the cost of a crop of 64."""
    eval_crops: str = one_of("random", "grid")
    """Crops for validation and test: at `random` places like the training crops, or the tiles of a `grid`, which cover
    each pixel at most once."""

    # --- protocol: `PROTOCOLS` sets these together, each can be set alone --------------------------------------
    input_range: str = one_of("unit", "symmetric")
    """Range of inputs and targets: [0, 1] (`unit`), or [-1, 1] (`symmetric`, the study), whose negative half the
    sigmoid output of the CNN models cannot reach."""
    metrics: str = one_of("standard", "report")
    """Definition of PSNR and SSIM: data range 1 and Gaussian SSIM (`standard`), or the study's, with a PSNR range of
    each image's own and SSIM after min-max normalisation (`report`)."""
    split_unit: str = one_of("condition", "image", "crop")
    """Unit that a split never divides: all images of a process `condition`, an `image`, or a `crop` (the study, where
    crops of one image are in the training and the test set)."""
    holdout: str = one_of("stratified", "halves")
    """Division of the held-out crops into validation and test set: `stratified`, or the sorted rows cut into `halves`
    (the study)."""
    evaluate: str = one_of("best", "last")
    """Checkpoint that is tested: the one with the lowest validation loss (`best`), or that of the last epoch (`last`,
    the study)."""

    train_loss_mode: str = one_of("eval", "running")
    """Training loss that is logged: after the epoch, without dropout, on as many training crops as are validated
    (`eval`), or the mean over the epoch's batches, with dropout (`running`, the study)."""
    vae_likelihood: str = one_of("optimal", "gaussian", "squared_error")
    """VAEs: likelihood of the decoder, a Gaussian with the variance that fits best (`optimal`: sigma-VAE, Rybkin et al.
    2021), a Gaussian with the standard deviation `decoder_sigma` (`gaussian`), or the study's sum of squared errors
    (`squared_error`: a Gaussian of variance 0.5 without its constant)."""
    vae_reduction: str = one_of("mean", "batch_sum")
    """VAEs: reduction of the loss over the images of a batch, the `mean`, or the sum (`batch_sum`, the study; with
    batches of 32 the logged value is about 32 times larger)."""

    # --- run ---------------------------------------------------------------------------------------------------
    precision: str = one_of("auto", "fp32", "bf16")
    """Precision of the network: 32 bits (`fp32`), bfloat16 autocast (`bf16`), or bfloat16 where the processor or GPU
    computes it natively and 32 bits elsewhere (`auto`)."""
    seed: int = number(0, "in 0..2**32-1", lambda x: 0 <= x < 2**32)
    """Random seed of weights, dropout, VAE noise, augmentation and data order, 0 to 2**32 - 1. The split has a seed of
    its own."""

    def __post_init__(self) -> None:
        if problems := wrong_types(self) or [*out_of_range(self), *_broken_combinations(self)]:
            raise ConfigError("\n".join(problems))

    @property
    def side(self) -> int:
        """Pixels of the side of the network's input and output."""
        return self.crop_size // self.downsample

    @property
    def latent_side(self) -> int:
        """Side of the latent map."""
        return self.side >> HALVINGS

    @property
    def latent_size(self) -> int:
        """Number of latent values that describe a crop."""
        if self.model == "cnn_ae":
            return 128 * self.latent_side**2
        is_map = self.model != "cnn_vae" and self.latent_channels
        return self.latent_channels * self.latent_side**2 if is_map else self.latent_dim

    @property
    def protocol(self) -> str:
        """`report`, `corrected`, or `mixed` if single fields of the protocol were changed."""
        for name, values in PROTOCOLS.items():
            if all(getattr(self, key) == value for key, value in values.items()):
                return name
        return "mixed"


CHOICES = choices(TrainConfig)
"""Field -> its allowed texts."""
REFERENCE_SIZE = 128
"""Latent dimensions of the study's VAE: baselines of this size stand beside those of the network's own size."""
FOR_AUTOENCODERS = ("loss", "ms_ssim_weight", "focal_frequency_weight", "spectrum_weight")


def make_config(protocol: str, **settings: Any) -> TrainConfig:
    """A TrainConfig with the fields of the protocol; `settings` override them.

    Raises:
        ConfigError: unknown protocol or field (with the nearest name), or a value outside its range.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}; choose {' or '.join(PROTOCOLS)}")
    names = [field.name for field in fields(TrainConfig)]
    problems = [unknown_field(key) for key in settings if key not in names]
    known = {key: value for key, value in settings.items() if key in names}
    try:
        config = TrainConfig(**{**PROTOCOLS[protocol], **known})
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def unusual(config: TrainConfig) -> list[str]:
    """Notes on values that are allowed but outside the usual range of their field, one line each; usually none."""
    return beyond_usual(config)


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """`["lr=1e-3", "optimizer=sgd"]` -> {"lr": 0.001, "optimizer": "sgd"}, each with the type of its field.

    Of a repeated key the last value counts. Does not check names, nor ranges: `make_config` does.

    Raises:
        ConfigError: a text without `=`, or a value of another type than the field's; the message lists every problem.
    """
    types: dict[str, Any] = {field.name: field.type for field in fields(TrainConfig)}
    settings, problems = {}, []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            problems.append(f"--set takes KEY=VALUE, got {text!r}")
        elif name == "protocol":
            problems.append("--set does not take `protocol`; use --protocol")
        else:
            try:
                settings[name] = parse(name, types.get(name, str), value)
            except ValueError as error:
                problems.append(f"--set: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def config_dict(config: TrainConfig) -> dict[str, Any]:
    """The fields as a flat dict of strings and numbers, in the order of the class."""
    return asdict(config)


def field_called(name: str) -> str | None:
    """The hyperparameter that a person means by this name: its own, a common synonym, or a similar name; else None."""
    return meant(name, [field.name for field in fields(TrainConfig)])


def unknown_field(key: str) -> str:
    """What to say of a name that is no hyperparameter's."""
    near = field_called(key)
    remedy = f"did you mean `{near}`?" if near else "docs/hyperparameters.md lists them"
    return f"`{key}` is not a hyperparameter; {remedy}"


CHANGEABLE = ("lr", "dropout", "weight_decay", "momentum", "free_bits", "augment_brightness", "input_noise")
"""Fields that may change between two epochs. They change neither the network nor the validation loss. With another
`beta` or another weight of a loss term, the losses before and after could not be compared."""

OWN = ("seed", "epochs")
"""Fields that a training keeps when it takes over the weights of another; both concern only the epochs to come."""


def _broken_combinations(config: TrainConfig) -> list[str]:
    """One message for each pair of fields whose values do not go together."""
    c, crops_divided = config, config.split_unit == "crop"
    rules = [
        (
            c.model in VAES and getattr(c, name) not in ("mse", 0),
            f"`{name}` is for autoencoders only, got {getattr(c, name)!r} with {c.model}; VAEs have `vae_likelihood`",
        )
        for name in FOR_AUTOENCODERS
    ]
    rules += [
        (
            c.schedule == "plateau" and c.warmup > 0,
            f"`warmup` must be 0 with `schedule` plateau, got {c.warmup!r}: plateau has no steps to warm up in",
        ),
        (
            c.holdout == "halves" and not crops_divided,
            "`holdout` halves needs `split_unit` crop: halves of the sorted rows divide images",
        ),
        (
            c.eval_crops == "grid" and crops_divided,
            "`eval_crops` grid needs `split_unit` condition or image: it evaluates whole images",
        ),
    ]
    rules.append(
        (
            c.crop_size // c.downsample < LEAST_SIDE,
            f"`downsample` {c.downsample} leaves {c.crop_size // c.downsample} px of `crop_size` {c.crop_size};"
            f" the networks need {LEAST_SIDE}: take `crop_size` {LEAST_SIDE * c.downsample}",
        )
    )
    return [message for broken, message in rules if broken]
