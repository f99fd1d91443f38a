"""The keys of `python -m src.predict`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString

from doctune.errors import UserError

# Of an ensemble: {"members": [{"run": folder inside, "weight": number}, ...], ...}
ENSEMBLE = "ensemble.json"

SOURCES = ("image_folder", "csv")
# As in the training data.
AUTO = "auto"


@dataclass
class ImagesConfig:
    """Which images; the keys have the meaning that they have in the group `data` of training."""

    # image_folder: all images and PDF pages in `root` and below, or the one file that it is;
    # csv: those that a table in `root` names, in its order.
    source: str = "image_folder"
    root: str | None = None
    csv_file: str = "test.csv"
    image_dir: str = "test"
    # The column of the file names; auto: called as in the training data.
    id_column: str = AUTO
    # Of that table; null: UTF-8 or UTF-16.
    encoding: str | None = None


def source_path(data: ImagesConfig) -> Path:
    """Return the folder, the table or the one file that the images come from."""
    root = Path(str(data.root))
    return root / data.csv_file if data.source == "csv" else root


@dataclass
class PredictConfig:
    """The root of `conf/predict.yaml`."""

    # Folder of a run or of an ensemble.
    run: str | None = None
    data: ImagesConfig = field(default_factory=ImagesConfig)
    # The table of classes, and its two columns; auto: called as in the training data's table, ID
    # and target where there was none.
    output: str = "${run}/predictions.csv"
    id_column: str = AUTO
    target_column: str = AUTO
    # auto: as in the training data, the target of its table or the name of a folder; name: of the
    # class; id: its number, counted from 0 in the order of classes.json.
    target_as: str = "auto"
    # file: a second table beside `output`; columns: behind the class; none.
    probabilities: str = "file"
    # With the temperature that was found for the run or ensemble; false: as the models give them.
    # It changes no class.
    calibrated: bool = True
    # What an image that cannot be read is called; null leaves it out.
    default_class: str | None = None
    batch_size: int = 64
    # auto, cpu, cuda, mps
    accelerator: str = "auto"
    # Average over skewed and scaled views of images whose prediction is unsure.
    tta: bool = False
    # Unsure: the most probable class is less than this ahead of the next one; 1: all images. null:
    # what src.ensemble has found for an ensemble, all images for a run.
    tta_margin: float | None = None
    # onnx: write the model as `<run>/model.onnx` instead of predicting.
    export: str | None = None


def in_full(words: Sequence[str]) -> list[str]:
    """Write out the short forms of the command line.

    `data=PATH` stands for `data.source=image_folder data.root=PATH`, or for a table for
    `data.source=csv data.root=FOLDER data.csv_file=NAME`, its images beside it unless
    `data.image_dir` says otherwise; `data=image_folder` and `data=csv` name the source alone.
    """
    found: list[str] = []
    for word in words:
        key, _, value = word.partition("=")
        path = Path(value.strip("'\""))
        if key != "data" or not value:
            found.append(word)
        elif value in SOURCES:
            found.insert(0, f"data.source={value}")
        elif path.suffix.lower() == ".csv":
            table = {"source": "csv", "root": path.parent, "csv_file": path.name, "image_dir": "."}
            found[:0] = [f"data.{key}={_quoted(str(value))}" for key, value in table.items()]
        else:
            found[:0] = ["data.source=image_folder", f"data.root={_quoted(str(path))}"]
    return found


def check_run(run: str) -> None:
    """Refuse a folder that is not there.

    Raises:
        UserError: names it.
    """
    if not Path(run).is_dir():
        raise UserError(f"run={run}: there is no such folder")


def _quoted(value: str) -> str:
    """Quote for Hydra's grammar, to which = and brackets in file names mean something."""
    return QuotedString(value, Quote.single).with_quotes()


ConfigStore.instance().store(name="predict_schema", node=PredictConfig)
