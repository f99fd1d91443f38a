"""Classes and probabilities for new images, by a run or an ensemble; or the model as ONNX:

python -m src.predict run=outputs/RUN data=FOLDER
python -m src.predict run=outputs/RUN export=onnx
"""

import sys
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from src.command_line.mistakes import hydra_in_short
from src.command_line.untrusted_config import check_environment
from src.errors import told_in_one_line
from src.inference import config as config  # registers the schema of conf/predict.yaml

# This door runs nothing that a config names.
CALLABLE: tuple[str, ...] = ()


@hydra.main(config_path="../conf", config_name="predict", execution_whitelist=CALLABLE)
def main(cfg: DictConfig) -> None:
    """Predict, or export."""
    from rich.console import Console

    from src.inference.onnx import export
    from src.inference.predict import predict

    with told_in_one_line():
        check_environment()
        wishes: Any = OmegaConf.to_object(cfg)
        work = predict if wishes.export is None else export
        try:
            work(wishes, Console())
        except KeyboardInterrupt:
            sys.exit("stopped; no table was written")


if __name__ == "__main__":
    sys.argv[1:] = config.in_full(sys.argv[1:])
    with hydra_in_short():
        main()
