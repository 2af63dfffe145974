"""The data path that the study describes: BMP files, DataLoader with 2 workers, fp32, scikit-image metrics.

Written for this comparison from the study's sections 2.2 and 4.3; it is not the study's code.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from deepdlt.config import TrainConfig
from deepdlt.models import build_model


class BmpFolder(Dataset):
    """Images of a folder, opened, turned into tensors and normalised one by one."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.bmp"))
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: int) -> torch.Tensor:
        return self.transform(Image.open(self.files[item]).convert("L"))


def write_bmp(crops: np.ndarray, folder: Path) -> None:
    """One file per crop (n, 1, h, w)."""
    folder.mkdir(parents=True)
    for number, crop in enumerate(crops[:, 0]):
        Image.fromarray(crop).save(folder / f"{number:06d}.bmp")


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, train: Path, val: Path) -> tuple[float, float, float]:
    """Train and validate once; validation loss, PSNR, SSIM."""
    criterion = nn.MSELoss()
    model.train()
    for x in DataLoader(BmpFolder(train), batch_size=32, shuffle=True, num_workers=2):
        optimizer.zero_grad()
        loss = criterion(model(x), x)
        loss.backward()
        optimizer.step()
        loss.item()
    found = measure(model, DataLoader(BmpFolder(val), batch_size=32, num_workers=2))
    return found["val_loss"], found["val_psnr_db"], found["val_ssim"]


def measure(model: nn.Module, loader: DataLoader) -> dict[str, float]:
    """Mean loss of the batches, and PSNR and SSIM image by image with scikit-image."""
    model.eval()
    criterion, losses, psnr, ssim = nn.MSELoss(), [], [], []
    with torch.no_grad():
        for x in loader:
            output = model(x)
            losses.append(criterion(output, x).item())
            for original, recon in zip(x[:, 0].numpy(), output[:, 0].numpy(), strict=True):
                psnr.append(peak_signal_noise_ratio(original, recon, data_range=original.max() - original.min()))
                unit = [(image - image.min()) / (image.max() - image.min()) for image in (original, recon)]
                ssim.append(structural_similarity(*unit, win_size=5, data_range=1.0))
    return {"val_loss": float(np.mean(losses)), "val_psnr_db": float(np.mean(psnr)), "val_ssim": float(np.mean(ssim))}


def make_model() -> tuple[nn.Module, torch.optim.Optimizer]:
    """The network layer by layer as in the study's Table 1, and its Adam."""
    model = build_model(TrainConfig())
    model.encoder = nn.Sequential(*model.encoder)
    return model, torch.optim.Adam(model.parameters(), lr=5e-4, weight_decay=1e-5)
