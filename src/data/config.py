"""The keys of the `data` and `augment` groups."""

from dataclasses import dataclass, field


@dataclass
class DataConfig:
    """Where the images come from and how they are cut into batches."""

    # documents: drawn by this program; image_folder: a folder a class; csv: a table of labels.
    source: str = "documents"
    # Folder of the images; unused by `documents`.
    root: str | None = None
    # csv: the table, and the folder of its images; both in `root`.
    csv_file: str = "train.csv"
    image_dir: str = "train"
    # csv: the columns of file name and class.
    id_column: str = "ID"
    target_column: str = "target"
    # csv: of its tables; null: UTF-8 or UTF-16, else cp949, shift_jis, gb18030, cp1252, ...
    encoding: str | None = None
    # csv: images with the same value here (a customer, a batch of scans) stay in one fold.
    group_column: str | None = None
    # csv: the names of the classes by target; auto: meta.csv if it is there.
    meta_file: str | None = "auto"
    class_name_column: str = "class_name"
    # A table of decisions on labels that are probably wrong, suspect_labels.csv of a search whose
    # column `accept` says relabel, leave out, keep, or nothing.
    labels: str | None = None
    # Pages to classify, without labels: a folder, a PDF, or a table of names. How they differ from
    # those to train on is shown, and which wear is nearest to them.
    to_classify: str | None = None
    # pad: whole pages on a white square; stretch: filled to the edges.
    fit: str = "pad"
    # Images that are missing or cannot be read: error, or skip.
    on_bad_image: str = "error"
    # Keep copies and scans of one sheet in one fold, or only files of equal content.
    near_duplicates: bool = True
    # Images of the built-in documents, all splits together.
    n_images: int = 2400
    # documents: office, phone or rough: pages to train on and of validation are flat, clean scans,
    # and test pages are worn so; none: all pages are alike, some good and some bad.
    wear_test: str = "none"
    # Shares of the images that are held out; `test` is never seen by a search.
    val_fraction: float = 0.15
    test_fraction: float = 0.25
    # Draws the built-in documents and the splits; kept apart from `seed`, so that
    # training again with another seed is training on the same data.
    seed: int = 0
    # Side of the square images that the model sees, in pixels.
    img_size: int = 64
    batch_size: int = 32
    # shuffle: every image once an epoch; balanced: every class equally often.
    sampling: str = "shuffle"
    # Decoded images are kept here, shared by all runs.
    cache_dir: str = "data_cache"


@dataclass
class AugmentConfig:
    """What is done to training batches, on the device; every image has its own draw."""

    # Multiplies every size and probability below, mixup's left out: one number to search.
    strength: float = 1.0
    # 0 switches mixup off; Beta(alpha, alpha) draws the share of each image.
    mixup_alpha: float = 0.0
    # Largest shift (share of the side), turn to either side (degrees), zoom (share).
    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    # Probability of a turn by 90 degrees to either side, of a half turn, of mirror images.
    quarter_turn: float = 0.0
    half_turn: float = 0.0
    hflip: float = 0.0
    vflip: float = 0.0
    # How much nearer the camera one edge of the page is than its middle, at most (share).
    perspective: float = 0.0
    # Largest standard deviation of the blur, as a share of the side.
    blur: float = 0.0
    # Largest change of contrast, of brightness, and darkness of a shadow (shares of full range).
    contrast: float = 0.0
    brightness: float = 0.0
    shadow: float = 0.0
    # Largest standard deviation of grey noise (share of full range).
    noise: float = 0.0
    # Largest share of the image that a box of one colour covers.
    erase: float = 0.0
    # ImageNet's, which timm's models expect.
    mean: list[float] = field(default_factory=lambda: [0.485, 0.456, 0.406])
    std: list[float] = field(default_factory=lambda: [0.229, 0.224, 0.225])
