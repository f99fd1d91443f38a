"""The keys of a GPU profile (group `gpu`)."""

from dataclasses import dataclass, field

# Of `trials_per_device`.
AUTO = "auto"


@dataclass
class GpuConfig:
    """What a card can take: the guide's table, one file a card in `conf/gpu/`."""

    name: str = "cpu"
    # cpu or cuda
    accelerator: str = "cpu"
    # Memory of one card; 0 for a CPU profile.
    memory_gb: float = 0.0
    # What PyTorch can take of it; 0: all.
    usable_gb: float = 0.0
    # Rates on the data sheet: 10^12 operations a second in 16 bits (accumulated in 32) and in
    # float32 (TF32 where there is), GB a second from memory. What `src.plan` computes times with.
    tflops: float = 0.1
    tflops_float32: float = 0.1
    bandwidth_gb: float = 10.0
    # Trials at a time on one card; auto: as many as fit and keep it busier, by what is measured.
    trials_per_device: int | str = 1
    # What a run takes when nothing is said, and what a search may choose from.
    batch_size: int = 32
    img_size: int = 64
    batch_sizes: list[int] = field(default_factory=lambda: [16, 32, 64])
    img_sizes: list[int] = field(default_factory=lambda: [64])
    # The largest batch that is safe on the card.
    max_batch_size: int = 256
    # Where the whole batch does not fit: compute blocks again in backward instead of keeping them,
    # before fewer images go through the model at a time.
    checkpointing: bool = False
    # 32-true, 16-mixed, bf16-mixed
    precision: str = "32-true"
