"""Classes and probabilities for new images, by a run or an ensemble; or the model as ONNX:

python -m src.predict run=outputs/RUN data=FOLDER
python -m src.predict run=outputs/RUN export=onnx
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import told_in_one_line
from src.before.door import door
from src.before.untrusted_config import check_environment
from src.inference import config as config  # registers the schema of conf/predict.yaml


# This door runs nothing that a config names.
@door("predict", subject="run", in_full=config.in_full)
def main(cfg: DictConfig) -> None:
    """Predict, or export."""
    with told_in_one_line():
        check_environment()
        wishes: Any = OmegaConf.to_object(cfg)
        # Before torch is imported, so that a mistake is told at once.
        if wishes.run is not None:
            config.check_run(wishes.run)
        from rich.console import Console

        from src.inference.onnx import export
        from src.inference.predict import predict

        work = predict if wishes.export is None else export
        try:
            work(wishes, Console())
        except KeyboardInterrupt:
            starting.stop("stopped; no table was written")


if __name__ == "__main__":
    main()
