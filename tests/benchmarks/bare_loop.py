"""The least that trains a model of timm's on image files: an app of Hydra's, and nothing before it.

No checks, no cache, no folds, no search; batches are decoded by a `DataLoader` as they are needed.
"""

import hydra
import timm
import torch
from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@hydra.main(config_path=None, config_name=None, version_base=None)
def main(cfg: DictConfig) -> None:
    """Train `cfg.model` for an epoch on the folders of classes in `cfg.root`."""
    transform = Compose([Resize((cfg.side, cfg.side)), ToTensor(), Normalize(MEAN, STD)])
    images = ImageFolder(cfg.root, transform)
    loader = DataLoader(images, cfg.batch, shuffle=True, num_workers=cfg.loaders)
    model = timm.create_model(cfg.model, num_classes=len(images.classes))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for pixels, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(pixels), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


if __name__ == "__main__":
    main()
