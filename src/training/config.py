"""The keys of the groups `model`, `optimizer`, `scheduler`, `trainer`, `callbacks`, `logger`."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ModelConfig:
    """A timm model and the regularisation that is built into it."""

    # Any name that `timm.list_models()` knows.
    name: str = "test_resnet"
    # ImageNet weights from the hub; needs the internet once.
    pretrained: bool = False
    # Weights from a local file instead (safetensors, or a torch file of weights only).
    checkpoint_path: str | None = None
    # Dropout before the classifier.
    drop_rate: float = 0.0
    # Stochastic depth (Huang et al., ECCV 2016, arXiv 1603.09382): the rate that most models rise
    # to from block to block, and some have in all; src.plan says which.
    drop_path_rate: float = 0.0
    # How the last feature map becomes one vector: avg, max, avgmax, for transformers token or
    # map; null takes the model's own.
    pooling: str | None = None
    # Layer scale (Touvron et al., ICCV 2021, arXiv 2103.17239): first value of each block's
    # factor, in ConvNeXt and most transformers; null takes the model's own. Weights that were
    # trained bring their own factors along, so this is for training from scratch.
    layer_scale: float | None = None
    # Kinds of `pooling` that a search may choose from; null: the model's own first, and avg and max
    # where it takes them.
    poolings: list[str] | None = None
    # Where a search looks for this model's learning rate; null: where the preset says.
    lr_low: float | None = None
    lr_high: float | None = None
    # Gradient checkpointing (Chen et al., 2016, arXiv 1604.06174): blocks are computed again in
    # backward instead of being kept. Less memory, about a third more time, the same gradients.
    grad_checkpointing: bool = False
    # More arguments for timm.create_model, for instance {act_layer: gelu}.
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class OptimizerConfig:
    """An optimizer of timm's factory, with weight decay on the matrices of layers alone."""

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.05
    # How slowly the mean of squared gradients follows them; null: as the optimizer has it, or none.
    beta2: float | None = None
    # Where a search looks for this optimizer's learning rate; null: as the model or preset says.
    lr_low: float | None = None
    lr_high: float | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class SchedulerConfig:
    """The learning rate over the steps of a run."""

    # cosine: to `min_lr_ratio` of the peak at the last step; constant: stays at the peak.
    name: str = "cosine"
    # Linear warm-up, in epochs (fractions allowed), cut to half of the run at most.
    warmup_epochs: float = 1.0
    min_lr_ratio: float = 0.01


@dataclass
class LossConfig:
    """Cross entropy."""

    # Szegedy et al., CVPR 2016, arXiv 1512.00567.
    label_smoothing: float = 0.1
    # For uneven classes. balanced: rare ones weigh more, by the inverse of their frequency;
    # logit_adjustment: scores are trained with the logarithm of their class's frequency added
    # (Menon et al., ICLR 2021, arXiv 2007.07314), which they then leave out.
    class_weights: str = "none"


@dataclass
class TrainerConfig:
    """Lightning's Trainer; any argument of it that is not named here goes into `kwargs`."""

    max_epochs: int = 15
    # auto, cpu, cuda, mps
    accelerator: str = "auto"
    # Cards of one training; `data.batch_size` is that of all together.
    devices: int = 1
    # 32-true, 16-mixed, bf16-mixed
    precision: str = "32-true"
    # auto, ddp: every card has the whole model; fsdp: a part of it.
    strategy: str = "auto"
    accumulate_grad_batches: int = 1
    # Images that go through the model at a time; null: the whole batch. Losses, gradients and
    # schedule stay those of the whole batch, but batch norm sees so many images only. Set by
    # itself where a batch does not fit into memory.
    micro_batch_size: int | None = None
    # Batch norm's statistics are taken anew over so many training images before a model is scored,
    # where it has batch norm (PreciseBN: Wu and Johnson, 2021, arXiv 2105.07576); 0: the running
    # average of training, which after few steps is stale.
    precise_bn: int = 512
    log_every_n_steps: int = 10
    # torch.compile: kernels are made for the model, which takes minutes the first time and then
    # comes from a cache on disk that all trials share (TORCHINDUCTOR_CACHE_DIR moves it).
    compile: bool = False
    # Tensors in channels-last order: faster convolutions on most hardware.
    channels_last: bool = True
    # Who runs depthwise convolutions on a card: cudnn, which compiles kernels for every new batch
    # or image size, in 8 to 13 s each; torch, whose own kernels are there at once but take twice as
    # long a step; or auto: torch up to 25,700 images of 224 px that a process trains on at one
    # batch size, where the two are even on an H200 (docs/card.md).
    depthwise: str = "auto"
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class CallbacksConfig:
    """What watches a run."""

    # Gradients are scaled down to this norm; null switches clipping off.
    gradient_clip_norm: float | None = 1.0
    # Keep the weights of the best validation epoch (plain runs; trials keep none).
    checkpoint: bool = True
    # Progress of a plain run on the screen.
    progress: bool = True


@dataclass
class LoggerConfig:
    """Where curves and parameters go."""

    # csv, tensorboard, mlflow, wandb or none
    name: str = "csv"
    # steps, or epochs: trials of other batch sizes line up, a point an epoch.
    x_axis: str = "steps"
    # MLflow's experiment, W&B's project.
    project: str = "doctune"
    # MLflow's store: a database or a server.
    uri: str = "sqlite:///${paths.multirun_dir}/mlflow.db"
    # W&B: write to disk, without network or key.
    offline: bool = False
