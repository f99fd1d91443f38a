"""A card sees few shapes: what is scored has one, whatever batch a search tries."""

import pytest
import torch

from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.training.fit import evaluation_batch
from src.training.module import Classifier
from tests.conftest import Compose


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_batch_that_is_filled_up_has_the_same_scores(
    cfg: Compose, blobs: ImageSet, name: str
) -> None:
    torch.manual_seed(0)
    module = Classifier(cfg("data.img_size=32", f"model.name={name}"), blobs.classes, 1, 1).eval()
    shapes: list[tuple[int, ...]] = []
    module.model.register_forward_pre_hook(
        lambda model, inputs: shapes.append((*inputs[0].shape, inputs[0].stride()[1]))
    )
    found = []
    for at_a_time in (None, 64):
        module.scored_at_a_time = at_a_time
        # 64 and 26 images
        batches = BatchLoader(blobs, 64, shuffle=False)
        with torch.no_grad():
            scores = [module.validation_step(batch, 0) for batch in batches]
        metrics = {key: value.item() for key, value in module.val_metrics.compute().items()}
        module.val_metrics.reset()
        found.append((torch.cat(scores), metrics))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[1][1] == pytest.approx(found[0][1])
    assert [shape[0] for shape in shapes] == [64, 26, 64, 64]
    # Channels last, filled up or not: another order in memory is another shape to cuDNN.
    assert {shape[1:] for shape in shapes} == {(3, 32, 32, 1)}


def test_on_a_card_all_batches_of_a_search_are_scored_at_one_size(cfg: Compose) -> None:
    def scored(gpu: str, batch: int, *words: str) -> int:
        return evaluation_batch(cfg(f"gpu={gpu}", f"data.batch_size={batch}", *words))

    assert {scored("rtx3080", size) for size in (24, 32, 40, 48)} == {128}
    assert {scored("rtx3080", size, "gpu.batch_sizes=[8,16]") for size in (8, 16)} == {64}
    assert scored("rtx3080", 24, "model.grad_checkpointing=true") == 48
    # Where memory is short, no more than it allows.
    assert scored("rtx3080", 8) == 16
    assert scored("rtx3080", 48, "trainer.micro_batch_size=6") == 12
    assert [scored("cpu", size) for size in (16, 64)] == [32, 128]
