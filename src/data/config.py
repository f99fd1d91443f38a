"""The keys of the `data` and `augment` groups."""

from dataclasses import dataclass, field


@dataclass
class DataConfig:
    """Where the images come from and how they are cut into batches."""

    # documents: rendered by this program
    source: str = "documents"
    # Folder of the images; unused by `documents`.
    root: str | None = None
    # Images of the built-in documents, all splits together.
    n_images: int = 2400
    # Shares of the images that are held out; `test` is never seen by a search.
    val_fraction: float = 0.15
    test_fraction: float = 0.25
    # Draws the built-in documents and the splits; kept apart from `seed`, so that
    # training again with another seed is training on the same data.
    seed: int = 0
    # Side of the square images that the model sees, in pixels.
    img_size: int = 64
    batch_size: int = 32
    # Decoded images are kept here, shared by all runs.
    cache_dir: str = "data_cache"


@dataclass
class AugmentConfig:
    """What is done to training batches, on the device."""

    # 0 switches mixup off; Beta(alpha, alpha) draws the share of each image.
    mixup_alpha: float = 0.0
    # Random shift (share of the side), rotation (degrees), contrast and brightness (share).
    shift: float = 0.0
    rotate: float = 0.0
    contrast: float = 0.0
    # Probability of a horizontal mirror image and of a half turn.
    hflip: float = 0.0
    half_turn: float = 0.0
    # ImageNet's, which timm's models expect.
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])
