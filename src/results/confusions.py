"""Which classes a trial confuses, with images: from its out-of-fold predictions."""

import base64
import io
import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.data.wear_presets import wear_of
from src.results.stored_study import StoredStudy
from src.training.calibration import Calibration, calibration
from src.trial.out_of_fold import OutOfFold

log = logging.getLogger(__name__)

# Pairs of classes that are listed, and how many of them are shown with images.
MOST_PAIRS, MOST_WITH_IMAGES = 24, 6
# Classes that the whole matrix is drawn for.
MOST_CLASSES = 120
THUMBNAIL_PX = 112
JPEG_QUALITY = 80


@dataclass(frozen=True)
class Example:
    """An image that was taken for another class."""

    # data: address of a JPEG.
    image: str
    # What the image is called.
    name: str
    # Probability that the model gave to the wrong class.
    probability: float


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one class that were taken for another."""

    true: str
    predicted: str
    count: int
    # Of all images of the true class.
    share: float
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True)
class Mistakes:
    """The out-of-fold confusions of one trial."""

    trial: int
    classes: tuple[str, ...]
    # [true][predicted], counts.
    confusion: npt.NDArray[np.int64]
    pairs: list[ConfusedPair]
    # Images that any fold has held out, and those that were classified right.
    images: int
    right: int
    # How far its probabilities can be trusted; None where one fold was held out.
    calibration: Calibration | None = None

    @property
    def shown(self) -> list[ConfusedPair]:
        """Return the worst pairs, those that are shown with images."""
        return self.pairs[:MOST_WITH_IMAGES]

    @property
    def listed(self) -> list[ConfusedPair]:
        """Return the other ones, as far as they are listed."""
        return self.pairs[MOST_WITH_IMAGES:]

    def most_confused(self, count: int) -> list[int]:
        """Return the classes, in order, that take part in the most confusions."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:count]
        return sorted(order.tolist())


def find_mistakes(stored: StoredStudy, trial: int, examples: int) -> Mistakes | None:
    """Read what a trial got wrong.

    Args:
        stored: the study.
        trial: its number.
        examples: images of each confused pair; 0 loads no images.

    Returns:
        None where the trial left no out-of-fold predictions.
    """
    try:
        kept = OutOfFold.load(stored.trial_folder(trial))
    except (FileNotFoundError, UserError):
        return None
    guessed = kept.scores.argmax(1)
    size = len(kept.classes)
    confusion = kept.confusion()
    images = _images(stored, trial, kept) if examples else None
    pairs: list[ConfusedPair] = []
    wrong = confusion - np.diag(np.diag(confusion))
    for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]:
        true, predicted = divmod(int(place), size)
        if not wrong[true, predicted]:
            break
        chosen = np.flatnonzero((kept.labels == true) & (guessed == predicted))
        chosen = chosen[np.argsort(-kept.scores[chosen, predicted], kind="stable")]
        chosen = chosen[: examples if len(pairs) < MOST_WITH_IMAGES else 0]
        pairs.append(
            ConfusedPair(
                true=kept.classes[true],
                predicted=kept.classes[predicted],
                count=int(wrong[true, predicted]),
                share=float(wrong[true, predicted] / confusion[true].sum()),
                examples=[] if images is None else _examples(images, kept, chosen),
            )
        )
    right = int(np.diag(confusion).sum())
    return Mistakes(
        trial=trial,
        classes=kept.classes,
        confusion=confusion,
        pairs=pairs,
        images=len(kept.labels),
        right=right,
        calibration=calibration(kept.scores, kept.labels, kept.folds),
    )


def _images(stored: StoredStudy, trial: int, kept: OutOfFold) -> ImageSet | None:
    """Return the images as the trial saw them; the data may have moved or changed since."""
    try:
        config = stored.trial_config(trial)
        images = load_splits(config.data).train
        if wear_of(config) is not None:
            # Imported here, as it brings torch along.
            from src.data.wear import as_scored

            images = as_scored(config, images)
    except (UserError, OSError) as error:
        log.warning("no example images: %s", error)
        return None
    same = kept.rows.max(initial=0) < len(images.pixels)
    return images if same and np.array_equal(images.targets[kept.rows], kept.labels) else None


def _examples(images: ImageSet, kept: OutOfFold, chosen: npt.NDArray[np.int64]) -> list[Example]:
    return [
        Example(
            image=thumbnail(images.pixels[kept.rows[i]]),
            name=images.name_of(kept.rows[i]),
            probability=float(np.exp(kept.scores[i].max())),
        )
        for i in chosen
    ]


def thumbnail(pixels: npt.NDArray[np.uint8], side: int = THUMBNAIL_PX) -> str:
    """Return an image [H, W, 3], made no larger than `side` pixels, as the data: of a JPEG."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
