"""What an ensemble has come to: scores, the sentences that they allow, how to predict with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doctune.commands import command, override
from src.inference.config import ENSEMBLE
from src.inference.unsure import Spent

# Its folder in the study's.
FOLDER = "ensemble"


@dataclass(frozen=True)
class Scores:
    """Macro-F1 of a member, or of all together."""

    name: str
    # "" for the ensemble itself; "not in it" for a model that is compared with only.
    weight: str
    validation: float
    test: float


@dataclass(frozen=True)
class EnsembleResult:
    """An ensemble that was built and scored."""

    # Members first, then all together.
    scores: list[Scores]
    sentences: list[str]
    # What predicts with it.
    command: str

    @classmethod
    def from_json(cls, result: Mapping[str, Any], folder: Path) -> "EnsembleResult":
        """Read what `src.ensemble` writes, in its folder."""
        weights = {member["run"]: member["weight"] for member in result["members"]}
        named = result["macro_f1"]
        scores = [
            Scores(
                name,
                f"{weights[name]:.2f}" if name in weights else "not in it",
                found["val"],
                found["test"],
            )
            for name, found in named["members"].items()
        ]
        scores.append(Scores("ensemble", "", named["ensemble"]["val"], named["ensemble"]["test"]))
        tta = result["tta"]
        used = ["tta=true"] if tta and tta["used"] else []
        predict = command("src.predict", override("run", str(folder)), "data=PATH", *used)
        sentences = [*_verdict(result), *_under_wear(result), *([_tta(tta)] if tta else [])]
        sentences += _calibrated(result)
        return cls(scores, sentences, predict)


def load_ensemble(folder: Path) -> EnsembleResult | None:
    """Return the ensemble of a study by the study's folder; None without one that can be read."""
    try:
        result = json.loads((folder / FOLDER / ENSEMBLE).read_text(encoding="utf-8"))
        return EnsembleResult.from_json(result, folder / FOLDER)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _verdict(result: Mapping[str, Any]) -> list[str]:
    gain, trial = result["test_gain"], result["single"]["trial"]
    if len(result["members"]) == 1:
        return [f"The ensemble is trial {result['members'][0]['trial']} alone."]
    text = (
        f"Ensemble against trial {trial}, the best of the search: {gain['mean']:+.4f} on the "
        f"{result['test_images']} images of the test split (95 % of resamples: "
        f"{gain['low']:+.4f} to {gain['high']:+.4f})."
    )
    if gain["low"] > 0:
        return [text, "The gain is more than chance."]
    if gain["high"] < 0:
        return [text, f"The single model is better: predict with run=.../trial-{trial}."]
    return [text, "That may be chance: the test split is too small to tell them apart."]


def _under_wear(result: Mapping[str, Any]) -> list[str]:
    """Say what pages the figures are of, and what they are on the pages as they are."""
    if not result.get("wear"):
        return []
    clean = result["macro_f1"]["ensemble"]
    return [
        f"These figures are of pages worn by quick_validation.wear={result['wear']}; as the pages "
        f"are, the ensemble has {clean['val_clean']:.4f} on the validation split and "
        f"{clean['test_clean']:.4f} on the test split."
    ]


def _calibrated(result: Mapping[str, Any]) -> list[str]:
    """Say what the temperature does; earlier versions found none."""
    found = result.get("calibration")
    if not found:
        return []
    facts = found["tta"] or found["plain"]
    (before, after), (loss, lower) = facts["error"], facts["log_loss"]
    # Of few pages that may be chance; whoever predicts has to know, and choose.
    worse = ", which is worse here: calibrated=false writes the former" if lower > loss else ""
    return [
        f"Its probabilities are {100 * before:.1f} percentage points from the share that is right "
        f"on the test split, and {100 * after:.1f} with a temperature of "
        f"{facts['temperature']:.2f} from the validation split (log loss {loss:.3f}, then "
        f"{lower:.3f}); src.predict writes the latter{worse}."
    ]


def _tta(tta: Mapping[str, Any]) -> str:
    """Say whether test-time augmentation is in the figures, of which pages, and what it costs."""
    everywhere = tta.get("validation_all", tta["validation"])
    figures = (
        f"macro-F1 on the validation split {tta['validation_without']:.4f} without it, "
        f"{everywhere:.4f} with it on every page"
    )
    if not tta["used"]:
        return f"Test-time augmentation does not help ({figures}) and was left out."
    # Written before margins were chosen, it has neither.
    if "margin" not in tta:
        return f"Test-time augmentation helps ({figures}) and is in these figures."
    spent = Spent(**tta["spent"])
    return (
        f"Test-time augmentation helps and is in these figures: {tta['validation']:.4f} where only "
        f"pages with a margin below {tta['margin']:g} are given more views ({figures}). That was "
        f"{spent.in_words()}."
    )
