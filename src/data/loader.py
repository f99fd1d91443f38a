"""Batches from images in memory: one indexing operation a batch, no Python per image.

A `torch.utils.data.DataLoader` takes image by image and collates them, which at 64 px costs more
than the training step of a small model. With a batch sampler as its `sampler` it indexes once a
batch as well; what is here beside that keeps the set on the device, gathers ahead into memory that
it can fetch from, and cuts batches into equal parts for several cards.
"""

from collections.abc import Iterator

import numpy as np
import torch

from doctune.errors import UserError
from src.data.image_set import ON_DEVICE, ImageSet, Indices
from src.data.threads import map_ahead

Batch = tuple[torch.Tensor, torch.Tensor]


class BatchLoader:
    """Yields (uint8 [B, 3, H, W], int64 [B]); every iteration is an epoch in a new order.

    Args:
        image_set: where the images are.
        batch_size: images a batch.
        shuffle: draw a new order for every epoch, from `seed`.
        balanced: an epoch, as long as without, holds every class equally often; images of rare
            classes come several times, those of frequent ones in some epochs only. Needs
            `shuffle`.
        seed: the orders of the epochs depend on it alone.
        drop_last: leave out an incomplete last batch, unless it is the only one.
        part: (k, n) yields the k-th of n equal parts of every batch, one a card. With `shuffle` a
            batch that cannot be cut evenly loses the rest; without, every image is in one part,
            and batches are even, so that all parts have as many and none is empty.
        device: a CUDA device; a set that takes no more than `ON_DEVICE` of its memory is kept there
            whole, and batches are gathered there.
        ahead: gather batches in a thread while the device works on earlier ones, in memory that
            it can fetch them from; by default where there is a CUDA device. On a CPU the thread
            would only take time from the training.

    Raises:
        UserError: there are fewer images than parts.
    """

    def __init__(
        self,
        image_set: ImageSet,
        batch_size: int,
        *,
        shuffle: bool,
        balanced: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        part: tuple[int, int] = (0, 1),
        device: torch.device | None = None,
        ahead: bool | None = None,
    ) -> None:
        if len(image_set) < part[1]:
            raise UserError(
                f"trainer.devices={part[1]}: there are only {len(image_set)} images to share out"
            )
        self._set = image_set
        self._part = part
        self._labels = torch.from_numpy(image_set.labels)
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._drop_last = drop_last and len(image_set) >= batch_size
        self._on_device = _copy_to(device, image_set)
        # Asked once: where there is no device it takes longer than gathering a batch.
        self._pinned = torch.cuda.is_available()
        self._ahead = self._pinned if ahead is None else ahead
        self._order = np.random.default_rng(seed)
        present = np.unique(image_set.labels)
        self._by_class = [np.flatnonzero(image_set.labels == c) for c in present] * balanced

    def __len__(self) -> int:
        whole, rest = divmod(len(self._set), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def __iter__(self) -> Iterator[Batch]:
        size = len(self._set)
        order = self._draw(size) if self._shuffle else np.arange(size)
        batches = map(self._own, self._cut(order))
        yield from (
            map_ahead(self._gather, batches, 1)
            if self._ahead and self._on_device is None
            else map(self._gather, batches)
        )

    def _cut(self, order: Indices) -> list[Indices]:
        count, size = len(self), self._batch_size
        if self._part[1] > 1 and not self._shuffle:
            return np.array_split(order, count)
        return [order[i * size : (i + 1) * size] for i in range(count)]

    def _own(self, batch: Indices) -> Indices:
        which, parts = self._part
        if self._shuffle:
            batch = batch[: len(batch) // parts * parts]
        return batch[which::parts]

    def _gather(self, chosen: Indices) -> Batch:
        if self._on_device is not None:
            images, labels = self._on_device
            rows = torch.from_numpy(chosen)
            if images.is_cuda:
                rows = rows.pin_memory().to(images.device, non_blocking=True)
            return images[rows].permute(0, 3, 1, 2), labels[rows]
        images = torch.from_numpy(self._set.pixels[self._set.rows[chosen]])
        if self._pinned:
            images = images.pin_memory()
        # Stored as [B, H, W, 3]: the view is channels-last already.
        return images.permute(0, 3, 1, 2), self._labels[torch.from_numpy(chosen)]

    def _draw(self, size: int) -> Indices:
        """Return the order of an epoch, int64 [size]."""
        if not self._by_class:
            return self._order.permutation(size)
        each, rest = divmod(size, len(self._by_class))
        # Who gets one more is drawn anew for every epoch.
        wanted = each + (self._order.permutation(len(self._by_class)) < rest)
        drawn = [
            # All images of a class before any of them again.
            np.concatenate([self._order.permutation(rows) for _ in range(-(-count // len(rows)))])[
                :count
            ]
            for rows, count in zip(self._by_class, wanted.tolist(), strict=True)
            if count
        ]
        return self._order.permutation(np.concatenate(drawn))


def _copy_to(device: torch.device | None, image_set: ImageSet) -> Batch | None:
    """Return pixels [N, H, W, 3] and labels [N] on the device, None where they are too many."""
    if device is None or device.type != "cuda":
        return None
    size = len(image_set) * int(np.prod(image_set.pixels.shape[1:]))
    if size > ON_DEVICE * torch.cuda.get_device_properties(device).total_memory:
        return None
    pixels, labels = torch.from_numpy(image_set.images), torch.from_numpy(image_set.labels)
    return pixels.to(device), labels.to(device)
