"""Evaluation: every number of a batch is that of its images one by one."""

import numpy as np
import pytest
import torch

from deepdlt.config import TrainConfig, make_config
from deepdlt.metrics.losses import gaussian_nll
from deepdlt.models import build_model
from deepdlt.models.inference import reconstruct, scale
from deepdlt.training.evaluation import evaluate, mean_floor

SMALL = {"width": 8, "latent_channels": 0, "latent_dim": 8, "precision": "fp32"}


def evaluated(patches, config, n=12, terms="all"):
    torch.manual_seed(0)
    model = build_model(config)
    return evaluate(model, config, torch.as_tensor(patches.crops), torch.arange(n), terms), model.eval()


@pytest.mark.parametrize("model", ["cnn_ae", "res_ae"])
def test_the_batch_size_of_the_evaluation_does_not_matter(patches, model):
    small, large = (evaluated(patches, TrainConfig(model=model, batch_size=b, **SMALL))[0] for b in (5, 32))
    assert set(small) == {"loss", "psnr_db", "ssim", "mse", "spectrum_db"}
    for name, values in small.items():
        torch.testing.assert_close(values, large[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("likelihood", ["optimal", "gaussian"])
def test_the_elbo_is_that_of_torch_distributions(patches, likelihood):
    config = TrainConfig(model="cnn_vae", vae_likelihood=likelihood, decoder_sigma=0.2, **SMALL)
    values, model = evaluated(patches, config)
    x = torch.as_tensor(patches.crops[:12]).float() / 255
    with torch.no_grad():
        mu, logvar = model.encode(x)
    posterior = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
    x_recon = model.decode(posterior.mean + posterior.stddev * noise).detach()
    sigma = (x_recon - x).square().mean().sqrt() if likelihood == "optimal" else torch.tensor(0.2)
    log_p = torch.distributions.Normal(x_recon, sigma).log_prob(x).sum((1, 2, 3))
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(values["elbo_nats"], log_p - kl, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(values["kl_nats"], kl, rtol=1e-4, atol=1e-4)
    assert float(values["active_units"]) == int((mu.var(0, unbiased=False) > 0.01).sum())


def test_the_bits_per_dimension_do_not_depend_on_the_range_of_the_network(patches):
    """The same Gaussian, seen in [0, 1] and in [-1, 1]: a density changes, a probability of grey levels does not."""
    bits = []
    for input_range in ("unit", "symmetric"):
        config = TrainConfig(model="cnn_vae", vae_likelihood="gaussian", input_range=input_range, **SMALL)
        model = build_model(config)
        grey = float(scale(torch.tensor(0.4), config))
        model.encode = lambda x: (torch.zeros(len(x), 8), torch.zeros(len(x), 8))
        model.decode = lambda z, grey=grey: torch.full((len(z), 1, 64, 64), grey)
        bits.append(evaluate(model, config, torch.as_tensor(patches.crops), torch.arange(12))["bits_per_dim"])
    torch.testing.assert_close(bits[0], bits[1], rtol=1e-4, atol=1e-4)


def test_the_floor_is_reached_by_the_best_output_in_the_unit_interval(patches):
    crops, indices = torch.as_tensor(patches.crops), torch.arange(20)
    config = make_config("report", precision="fp32")
    model = build_model(config)
    model.forward = lambda x: x.clamp(0, 1)
    loss = evaluate(model, config, crops, indices)["loss"].mean()
    assert float(loss) == pytest.approx(mean_floor(config, crops, indices), rel=1e-5)
    assert mean_floor(make_config("corrected"), crops, indices) == 0.0
    assert mean_floor(make_config("report", model="res_ae"), crops, indices) is None
    assert mean_floor(make_config("corrected", loss="l1"), crops, indices) is None


def test_the_elbo_bounds_the_importance_weighted_evidence_from_below(patches):
    """With one sample per image it is an estimate: on average it lies below the bound of 200 samples."""
    config = TrainConfig(model="res_vae", vae_likelihood="gaussian", **SMALL)
    values, model = evaluated(patches, config, n=24)
    x = torch.as_tensor(patches.crops[:24]).float() / 255
    variance = torch.tensor(config.decoder_sigma**2)
    torch.manual_seed(1)
    with torch.inference_mode():
        mu, logvar = model.encode(x)
        weights = []  # log p(x|z) p(z) / q(z|x) (Burda et al. 2016)
        for noise in torch.randn(200, *mu.shape):
            z = mu + (0.5 * logvar).exp() * noise
            ratio = 0.5 * (noise.square() - z.square() + logvar).flatten(1).sum(1)  # the constants cancel
            weights.append(ratio - gaussian_nll(model.decode(z), x, variance))
        bound = torch.stack(weights).logsumexp(0) - np.log(200)
    assert values["elbo_nats"].mean() < bound.mean()


def test_the_variance_of_the_decoder_is_that_of_the_training_crops(patches):
    config = TrainConfig(model="cnn_vae", **SMALL)
    fitted, model = evaluated(patches, config)
    model.decoder_variance = 2 * float(fitted["decoder_variance"])
    given = evaluate(model, config, torch.as_tensor(patches.crops), torch.arange(12))
    expected = fitted["nll_nats"].mean() + 4096 / 2 * (np.log(2) + 1 / 2 - 1)
    assert float(given["nll_nats"].mean()) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("model", ["res_ae", "res_vae"])
def test_a_residual_network_shows_its_image_whatever_its_range(patches, model):
    """Untrained, with 64 channels, these networks return their input."""
    config = TrainConfig(model=model, width=16, latent_channels=64, input_range="symmetric", precision="fp32")
    crops = torch.as_tensor(patches.crops[:3])
    torch.testing.assert_close(reconstruct(build_model(config), config, crops), crops / 255, atol=1e-4, rtol=0)


def test_reconstructions_do_not_depend_on_the_batch(patches):
    torch.manual_seed(0)
    crops = torch.as_tensor(patches.crops[:9])
    model = build_model(TrainConfig(precision="fp32"))
    small, large = (reconstruct(model, TrainConfig(precision="fp32", batch_size=b), crops) for b in (2, 32))
    torch.testing.assert_close(small, large, atol=1e-5, rtol=0)
    assert np.isfinite(small.numpy()).all()
