"""From uint8 crops through a network and back: value range, precision, reconstruction."""

from typing import Any

import torch
from torch import Tensor, nn

from deepdlt.config import TrainConfig

EMULATED = "6 to 16 times as slow as fp32 on an AMD EPYC with AVX2"


@torch.inference_mode()
def reconstruct(model: nn.Module, config: TrainConfig, crops: Tensor) -> Tensor:
    """Reconstructions of uint8 crops (n, 1, side, side): same shape, float32 in [0, 1]."""
    model.eval()
    chunks = (forward(model, config, scale(x.float().div(255), config)) for x in crops.split(config.batch_size))
    return torch.cat([shown(output, config) for output in chunks])


def forward(model: nn.Module, config: TrainConfig, x: Tensor) -> Any:
    """The model's output for scaled images (n, 1, side, side), computed in the configured precision."""
    with autocast(config, x.device):
        return model(x.contiguous(memory_format=torch.channels_last))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context in which a network computes in the configured precision."""
    bf16 = resolve_precision(config, device) is torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)


def reconstruction(output: Any) -> Tensor:
    """The images, float32, in the output of an autoencoder or a VAE."""
    return (output[0] if isinstance(output, tuple) else output).float()


def shown(output: Any, config: TrainConfig) -> Tensor:
    """The images in a network's output, as grey values in [0, 1].

    The CNN models end in a sigmoid, so their outputs are in [0, 1] even if their targets are in [-1, 1]. The residual
    models have the range of their targets.
    """
    x_recon = reconstruction(output)
    return (unscale(x_recon, config) if config.model.startswith("res_") else x_recon).clamp(0, 1)


def scale(x: Tensor, config: TrainConfig) -> Tensor:
    """Images in [0, 1] -> the network's input and target range."""
    return x * 2 - 1 if config.input_range == "symmetric" else x


def unscale(x: Tensor, config: TrainConfig) -> Tensor:
    """The inverse of `scale`."""
    return (x + 1) / 2 if config.input_range == "symmetric" else x


def resolve_precision(config: TrainConfig, device: torch.device) -> torch.dtype:
    """bfloat16 if the configuration allows it and the processor has it (avx512_bf16, amx, Ampere); else float32."""
    if config.precision == "fp32":
        return torch.float32
    return torch.bfloat16 if config.precision == "bf16" or has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor, or the GPU, computes bfloat16 natively."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported())


def slow_precision(config: TrainConfig, device: torch.device) -> list[str]:
    """A note for people where the configuration asks for a precision that this device only emulates."""
    if config.precision != "bf16" or has_bfloat16(device):
        return []
    what = "GPU" if device.type == "cuda" else "processor"
    return [f"`precision` bf16: this {what} has no bfloat16 and emulates it, {EMULATED}; `auto` takes fp32 here"]
