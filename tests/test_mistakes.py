"""What people get wrong, as one table: each is told in a line or two, before any training.

A row is a command line, and words that the message has: the key, and what to do.
"""

import shutil
from dataclasses import fields
from pathlib import Path

import optuna
import pytest

from src.before.config import ExperimentConfig
from src.before.mistakes import hydra_in_short
from src.before.starting import STARTING
from tests.conftest import REPOSITORY, TINY, Door

FAST = ("-m", "hparams_search=fast")
LR = "search_space.learning_rate"

TRAIN: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    # Words that Hydra cannot read, groups and keys that are not there.
    (("optimizer.lr",), ("'optimizer.lr' is no key=value",)),
    (("optimizer.lr=tag(log, interval(1,2)",), ("optimizer.lr=tag(log", "a closing ) is missing")),
    (("gpu=rtx4091",), ("gpu=rtx4091", "did you mean rtx4090?", "t4")),
    (("model=resnet5",), ("model=resnet5", "did you mean resnet50?")),
    (("augment=hevy",), ("augment=hevy", "did you mean heavy?")),
    (("logger=wanb",), ("logger=wanb", "did you mean wandb?")),
    (("optimzer=sgd",), ("optimzer", "did you mean optimizer?")),
    (("optimizer.lrr=1",), ("optimizer.lrr", "did you mean optimizer.lr?")),
    (("paths.output=x",), ("paths.output", "did you mean paths.output_dir?")),
    (("batch_size=16",), ("batch_size", "did you mean data.batch_size?")),
    (("optuna.ntrials=3",), ("optuna.ntrials", "did you mean optuna.n_trials?")),
    (("model.kwargs={act_layer: gelu}",), ("write +model.kwargs={act_layer: gelu}",)),
    (("--config-name=trian",), ("--config-name=trian", "no such config")),
    (("--nonsense",), ("--nonsense", "no such flag", "--help")),
    (("--optimizer.lr=1",), ("--optimizer.lr=1", "as in optimizer.lr=1")),
    (("--multi-run",), ("--multi-run", "did you mean --multirun?")),
    (("--cfg=jobb",), ("--cfg", "jobb", "hydra")),
    # Values of the wrong type or size.
    (("optimizer.lr=abc",), ("optimizer.lr=abc", "not a number")),
    (("seed=1.5",), ("seed=1.5", "not a whole number")),
    (("optuna.enabled=perhaps",), ("optuna.enabled=perhaps", "not true or false")),
    (("optimizer.lr=-1",), ("optimizer.lr=-1", "more than 0")),
    (("trainer.max_epochs=0",), ("trainer.max_epochs=0", "at least 1")),
    (("data.img_size=8",), ("data.img_size=8", "at least 16")),
    (("data.batch_size=4096",), ("data.batch_size=4096", "safe up to 512", "gpu.max_batch_size")),
    (("model.drop_rate=1.5",), ("model.drop_rate=1.5", "from 0 up to")),
    (("callbacks.gradient_clip_norm=0",), ("callbacks.gradient_clip_norm=0",)),
    # Names within a key.
    (("trainer.precision=8",), ("trainer.precision=8", "bf16-mixed")),
    (("trainer.accelerator=gpu0",), ("trainer.accelerator=gpu0", "cuda")),
    (("trainer.devices=0",), ("trainer.devices=0", "at least 1")),
    (
        ("trainer.devices=3", "data.batch_size=32"),
        ("data.batch_size=32", "trainer.devices=3", "take 30 or 33"),
    ),
    (("trainer.strategy=fsdp",), ("trainer.strategy=fsdp", "trainer.devices=2")),
    (("trainer.strategy=ddpp",), ("trainer.strategy=ddpp", "choose auto, ddp, fsdp")),
    (("+trainer.kwargs.fast_dev_run=true",), ("trainer.kwargs.fast_dev_run=true", "single batch")),
    (("optimizer=sgd", "optimizer.kwargs.momentum=0"), ("optimizer.kwargs", "nesterov=false")),
    (
        ("trainer.devices=2", "trainer.strategy=fsdp", "optimizer.name=lamb"),
        ("optimizer.name=lamb", "trainer.strategy=fsdp", "choose adam"),
    ),
    (
        ("trainer.devices=2", "trainer.strategy=fsdp", "trainer.micro_batch_size=4"),
        ("trainer.micro_batch_size=4", "trainer.accumulate_grad_batches"),
    ),
    (("optimizer.name=adamm",), ("optimizer.name=adamm",)),
    (("scheduler.name=linear",), ("scheduler.name=linear",)),
    (("logger.name=wanb",), ("logger.name=wanb", "wandb")),
    (("loss.class_weights=balance",), ("loss.class_weights=balance", "balanced")),
    (("data.sampling=balance",), ("data.sampling=balance", "did you mean balanced?")),
    # The card, the model, the data.
    (("gpu=rtx4090",), ("gpu=rtx4090", "no CUDA device", "gpu=auto", "gpu=cpu")),
    (("model.name=resnet51",), ("model.name=resnet51", "resnet50")),
    (("model.name=test_vit", "data.img_size=20"), ("data.img_size=20", "divisible by patch")),
    (("model.pooling=mean",), ("model.pooling=mean", "avgmax")),
    (("model.layer_scale=1e-6",), ("model.layer_scale=1e-06", "has no layer scale")),
    (("model.checkpoint_path=/no/file",), ("model.checkpoint_path=/no/file",)),
    (("data.source=disk",), ("data.source=disk",)),
    (("data.n_images=50",), ("data.n_images=50",)),
    (("data.labels=no.csv",), ("data.labels=no.csv", "no such file")),
    (("data.test_fraction=1.5",), ("data.test_fraction=1.5",)),
    (("data=image_folder",), ("data.root: not given",)),
    (("data=image_folder", "data.root=/none"), ("data.root=/none", "no such folder")),
    (("data=image_folder", "data.root=."), ("data.root=.", "CLASS/IMAGE")),
    (("data=csv", "data.root=."), ("train.csv", "no such file")),
    # What would do nothing, or something else.
    (("data.root=.",), ("data.root=.", "data=documents reads no folder", "data=image_folder")),
    (("data=image_folder", "data.n_images=300"), ("data.n_images=300", "only data=documents")),
    (("data=image_folder", "data.csv_file=a.csv"), ("data.csv_file=a.csv", "only data=csv")),
    (("data=shared",), ("data=shared", "your own images are data=image_folder data.root=shared")),
    (("data=shared/a.csv",), ("data=csv data.root=shared data.csv_file=a.csv",)),
    (("data=image_folder", "data.root=shared/a.csv"), ("is a file, not a folder",)),
    (("data=image_folder", "data.root=s3://scans"), ("is an address; download it",)),
    (("+trainer.max_steps=10",), ("nothing reads this key", "+trainer.kwargs.max_steps=")),
    (("+lr=1",), ("nothing reads this key; did you mean optimizer.lr?",)),
    (("scheduler.min_lr_ratio=5",), ("scheduler.min_lr_ratio=5", "from 0 to 1")),
    (("optimizer.lr=nan",), ("optimizer.lr=nan", "finite")),
    (("trainer.precision=16-mixed",), ("trainer.precision=16-mixed", "needs a GPU", "bf16-mixed")),
    (("optuna.study_name=../up",), ("optuna.study_name=../up", "one folder in multirun")),
    (("optuna.storage='sqlite:///a\\b.db'",), ("written with /", "sqlite:///a/b.db")),
    (("hydra.run.dir=/proc/nope",), ("/proc/nope: No such file or directory", "another folder")),
    # Values that refer to others.
    (
        ("data.img_size=${gpu.image_size}",),
        ("data.img_size=${gpu.image_size}: there is no key", "did you mean gpu.img_size?"),
    ),
    (("optimizer.lr=${optimizer.lr}",), ("optimizer.lr=${optimizer.lr}: refers to itself",)),
    (("data.root=${oc.env:NO_SUCH}",), ("data.root=${oc.env:NO_SUCH}", "NO_SUCH is not set")),
    (("seed=${nothing:1}",), ("seed=${nothing:1}: there is nothing called nothing",)),
    # Choices by a number, or by nothing.
    (("gpu=4090",), ("gpu=4090: there is no such choice; did you mean rtx4090?",)),
    (("gpu=RTX4090",), ("gpu=RTX4090", "did you mean rtx4090?")),
    (("data=null",), ("data=null", "known are csv, documents, image_folder")),
    (("gpu=cuda:0",), ("gpu=cuda:0", "CUDA_VISIBLE_DEVICES=0")),
    # The field's other names.
    (("optimizer.learning_rate=1",), ("did you mean optimizer.lr?",)),
    (("wd=0.1",), ("wd: there is no such key; did you mean optimizer.weight_decay?",)),
    (("epochs=3",), ("did you mean trainer.max_epochs?",)),
    (("bs=16",), ("did you mean data.batch_size?",)),
    (("arch=resnet50",), ("did you mean model.name?",)),
    (("imgsz=224",), ("did you mean data.img_size?",)),
    (("data_dir=/scans",), ("did you mean data.root?",)),
    (("trainer.gpus=1",), ("did you mean trainer.devices?",)),
    (("gpu.strategy=ddp",), ("did you mean trainer.strategy?",)),
    (("num_train_epochs=3",), ("did you mean trainer.max_epochs?",)),
    (("optimizer.LR=1",), ("did you mean optimizer.lr?",)),
    (("trainer.precision=fp16",), ("did you mean 16-mixed?",)),
    (("model=vit_tiny_patch16_224",), ("any model of timm is model.name=vit_tiny_patch16_224",)),
    (("model=vit_b_16",), ("any model of timm is model.name=vit_base_patch16_224",)),
    (("model.name=timm/resnet50.a1_in1k",), ("did you mean resnet50.a1_in1k",)),
    (("--lr", "0.01"), ("--lr: there is no such flag", "as in lr=")),
    (("--epochs=10",), ("--epochs=10: there is no such flag", "max_epochs=10")),
    (
        ("--config", "configs/optuna_config.yaml"),
        ("--config-dir=configs", "hparams_search=precise"),
    ),
    (("--multirun=true",), ("--multirun/-m: takes no value",)),
    (("-m", "--cfg", "job"), ("Only one of --run, --multirun, --cfg",)),
    (("--resolve",), ("--resolve flag can only be used in conjunction with --cfg",)),
    (("optimizer.lr=1e-3,5e-4",), ("optimizer.lr=1e-3,5e-4: several values need -m",)),
    (("optuna.n_trials\uff1d3",), ("\uff1d is full-width",)),
    (("hparams_search=fast", "hparams_search=swin"), ("given twice (fast, swin): leave one out",)),
    # A search without -m, or -m without a search.
    (("hparams_search=fast",), ("hparams_search=fast", "-m")),
    (("optimizer.lr=choice(1e-3,1e-2)",), ("optimizer.lr=choice(1e-3,1e-2)", "-m")),
    (("-m", "optuna.n_trials=3"), ("optuna.n_trials=3", "hparams_search=fast")),
]

SEARCHES: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("hparams_search=fats",), ("hparams_search=fats", "did you mean fast?", "ultimate")),
    (("hparams_search=focus",), ("optuna.from_study=null", "earlier")),
    # The search space.
    ((f"{LR}.low=1",), (LR, "is not below")),
    ((f"{LR}.low=0",), (f"{LR}.low", "above 0 on a log scale")),
    ((f"{LR}.type=loguniform2",), (f"{LR}.type", "did you mean loguniform?")),
    ((f"{LR}.key=optimizer.lrr",), ("search space", "optimizer.lrr", "optimizer.lr?")),
    ((f"+{LR}.hihg=1",), (f"{LR}.hihg", "did you mean high?")),
    (("search_space.learning_rat.low=1",), ("search_space.learning_rat", "learning_rate?")),
    (
        ("search_space.dropout.type=categorical", "+search_space.dropout.choices=[]"),
        ("search_space.dropout.choices", "empty"),
    ),
    (("+search_space=advancd",), ("search_space=advancd", "did you mean advanced?")),
    (("optimizer.lr=interval(1e-2,1e-3)",), ("optimizer.lr=interval(1e-2,1e-3)", "low")),
    (("optimizer.lr=tag(log, interval(0,1))",), ("optimizer.lr=tag(log", "low > 0")),
    (("model=choice(tiny,resnet5)",), ("model=resnet5", "did you mean resnet50?")),
    (("model.name=choice(test_resnet,resnet51)",), ("model.name=resnet51", "resnet50")),
    (("data.batch_size=choice(32,4096)",), ("data.batch_size=4096", "safe up to 512")),
    # The study.
    (("optuna.n_trials=0",), ("optuna.n_trials", "below 1")),
    (("optuna.n_trials=abc",), ("optuna.n_trials=abc", "not a whole number")),
    (("optuna.timeout=-1",), ("optuna.timeout", "below 0")),
    (("optuna.n_jobs=0",), ("optuna.n_jobs", "below 1")),
    (("optuna.max_failure_rate=2",), ("optuna.max_failure_rate", "is above 1")),
    (
        ("quick_validation.epochs=3,5",),
        ("quick_validation.epochs: trials with", "3 and 5", "optuna.study_name=NAME"),
    ),
    (("optuna.stop_when=-1",), ("optuna.stop_when", "below 0")),
    (("pruning.let_through=2",), ("pruning.let_through", "above 1")),
    (("optuna.storage=nonsense",), ("optuna.storage=nonsense", "sqlite:///")),
    (
        ("optuna.storage=mysql://u@127.0.0.1/x",),
        ("optuna.storage=mysql://u@127.0.0.1/x", "install"),
    ),
    (
        ("optuna.storage=postgresql://u:secret@127.0.0.1:1/x",),
        ("optuna.storage=postgresql://u", "cannot be opened", "refused"),
    ),
    (
        # It is no path that has the backslash.
        ("optuna.storage='postgresql://u:secret\\x@127.0.0.1:1/x'",),
        ("optuna.storage=postgresql://u", "cannot be opened", "refused"),
    ),
    (("optuna.storage=nosuchdb://x",), ("optuna.storage=nosuchdb://x", "sqlite:///FILE")),
    (("optuna.storage=redis://localhost:6379",), ("optuna.storage=redis", "postgresql://HOST")),
    (("optuna.storage=journal://optuna.log",), ("three slashes; write journal:///optuna.log",)),
    (("optuna.storage=grpc://u:secret@localhost:1",), ("gRPC proxy", "the database behind it")),
    (("optuna.storage=postgresql://localhost:port/x",), ("'port' is no number",)),
    (
        ("optuna.storage=postgresql://u:secret@h/x?sslmode=require",),
        ("\"optuna.storage='postgresql://u@h/x?",),
    ),
    (("optuna.objectives=accuracy",), ("is a list; write optuna.objectives=[accuracy]",)),
    (("optuna.objectives=[val/f1]",), ("'val/f1' is unknown; did you mean f1?",)),
    (("optuna.timeout=2h",), ("optuna.timeout=2h", "in seconds it is 7200")),
    (("optuna.timeout=${optuna.tiemout}",), ("did you mean optuna.timeout?",)),
    (("data.batch_size=interval(16,64)",), ("write 'data.batch_size=int(interval(16,64))'",)),
    (("model.pooling=choice(null,avg)",), ("write model.pooling=null,avg",)),
    (("model.drop_rate=0,5",), ("model.drop_rate=5", "from 0 up to")),
    (("search_space.lr.low=1e-5",), ("did you mean search_space.learning_rate?",)),
    (("+search_space.lr.low=1e-5",), ("lr.key: missing", "mean search_space.learning_rate?")),
    (("hydra/sweeper=optuna",), ("the presets are made for optuna_async",)),
    (("data=image_folder", "data.root=/none"), ("data.root=/none", "no such folder")),
    (("optuna.from_study=earlie",), ("optuna.from_study=earlie", "did you mean earlier?")),
    (("optuna.from_study=best.yaml",), ("optuna.from_study=best.yaml", "no such file")),
    (("optuna.study_name=earlier",), ("'earlier' cannot go on", "epochs was 9, now 2", "NAME")),
    (("optuna.objectives=[f2]",), ("optuna.objectives", "'f2' is unknown", "f1")),
    (("optuna.objectives=[]",), ("optuna.objectives=[]", "at least one")),
    (("optuna.objectives=[f1,f1]",), ("optuna.objectives", "once")),
    (("optuna.objectives=[train_seconds]",), ("optuna.objectives", "[f1, train_seconds]")),
    (("optuna.direction=min",), ("optuna.direction=min", "leave the direction out")),
    (("hydra/sweeper/sampler=tpee",), ("hydra/sweeper/sampler=tpee", "did you mean tpe?")),
    (("hydra/launcher=rayy",), ("hydra/launcher=rayy", "did you mean ray?")),
    # Pruning and quick validation.
    (("pruning.patience=-1",), ("pruning.patience=-1", "at least 0")),
    (("pruning.pacience=3",), ("pruning.pacience", "did you mean pruning.patience?")),
    (
        ("hparams_search=focus", "optuna.from_study=earlier", "focus.share=2"),
        ("focus.share=2", "from 0 to 1"),
    ),
    (("quick_validation.folds=0",), ("quick_validation.folds=0", "at least 1")),
    (("quick_validation.min_steps=-1",), ("quick_validation.min_steps=-1", "at least 0")),
    (("quick_validation.seconds=0",), ("quick_validation.seconds=0", "more than 0, or null")),
    (
        ("quick_validation.seconds=9", "optuna.objectives=[f1,train_seconds]"),
        ("optuna.objectives", "quick_validation.seconds=9", "leave out train_seconds"),
    ),
    (("quick_validation.seconds=9,20",), ("quick_validation.seconds: trials with 9.0 and 20.0",)),
    (("trainer.precise_bn=-1",), ("trainer.precise_bn=-1", "at least 0")),
    (("quick_validation.wear=documnt",), ("wear=documnt", "did you mean document?")),
    (("quick_validation.wear=none,light",), ("quick_validation.wear", "cannot be compared")),
    (
        ("quick_validation.folds=500",),
        ("quick_validation.folds=500", "and not all to train on"),
    ),
    (("quick_validation.batch_size_override=4096",), ("batch_size_override=4096", "safe up to")),
    (("gpu=rtx3080",), ("gpu=rtx3080", "no CUDA device", "gpu=auto")),
]

OTHERS: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("src.report", (), ("study=NAME is missing", "earlier")),
    ("src.worker", ("study=earlie",), ("study=earlie", "did you mean earlier?")),
    ("src.report", ("study=earlie",), ("study=earlie", "did you mean earlier?")),
    ("src.report", ("stduy=earlier",), ("stduy", "did you mean study?")),
    ("src.report", ("study=earlier", "examples=many"), ("examples=many", "not a whole number")),
    ("src.confirm", ("study=earlie",), ("study=earlie", "did you mean earlier?")),
    ("src.confirm", ("study=earlier", "repeat=5"), ("repeat", "did you mean repeats?")),
    ("src.ensemble", ("study=earlie",), ("study=earlie", "did you mean earlier?")),
    ("src.ensemble", ("study=earlier", "membrs=3"), ("membrs", "did you mean members?")),
    ("src.predict", ("data=scans",), ("run=FOLDER", "data=PATH")),
    ("src.predict", ("run=outputs/none", "data=scans"), ("run=outputs/none", "no such folder")),
    ("src.report", ("--study=earlier",), ("--study=earlier", "as in study=earlier")),
    ("src.confirm", ("--nonsense",), ("--nonsense", "no such flag")),
    ("src.ensemble", ("--nonsense",), ("--nonsense", "no such flag")),
    ("src.predict", ("--nonsense",), ("--nonsense", "no such flag")),
    ("src.report", ("earlier",), ("write study=earlier",)),
    (
        "src.report",
        (
            "study=earlier",
            "optuna.storage=sqlite:///a:b:c",
        ),
        ("no such file",),
    ),
    ("src.report", ("optuna.storage=postgresql://h:port/x",), ("'port' is no number",)),
    ("src.predict", ("outputs/run",), ("write run=outputs/run",)),
    ("src.plan", ("data.root=.",), ("data=documents reads no folder",)),
    ("src.plan", ("optimizer.lr=${optimizer.lr}",), ("refers to itself",)),
    ("src.look", ("data=image_folder",), ("data.root", "not given")),
    ("src.look", ("most=0",), ("most=0", "at least 1")),
    ("src.plan", ("--jsn",), ("--jsn", "did you mean --json?")),
    ("src.plan", ("gpu=rtx309",), ("gpu=rtx309", "rtx3080")),
    ("src.plan", ("hparams_search=fats", "gpu=cpu"), ("hparams_search=fats", "did you mean fast?")),
]


@pytest.fixture(scope="module")
def left_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a study without trials that was searched at 9 epochs a fold."""
    file = tmp_path_factory.mktemp("earlier") / "optuna.db"
    study = optuna.create_study(
        study_name="earlier", storage=f"sqlite:///{file}", direction="maximize"
    )
    study.set_user_attr("settings", {"quick_validation.epochs": 9})
    return file


@pytest.fixture
def earlier(tmp_path: Path, left_before: Path) -> None:
    """Leave a study in the folder."""
    (tmp_path / "multirun").mkdir()
    shutil.copy(left_before, tmp_path / "multirun")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.csv").write_text("ID,target\n")


def told_shortly(said: str, told: tuple[str, ...], folder: Path) -> None:
    """Check a message, and that nothing has been trained."""
    lines = [line for line in said.splitlines() if not line.startswith("drawing pages")]
    for word in told:
        assert word in said
    # A changed study shows what has changed, a line each.
    assert len(lines) <= (5 if "cannot go on" in said else 2), said
    assert "Traceback" not in said
    assert "secret" not in said
    assert not list(folder.rglob("metrics.*"))


def tiny(words: tuple[str, ...]) -> list[str]:
    """Return the words of a tiny search, but for keys and groups that a row sets itself."""
    mine = {word.split("=")[0] for word in words}
    given = any(word.startswith("data=") for word in words)
    return [
        word
        for word in TINY
        if word.split("=")[0] not in mine and not (given and word.startswith("data."))
    ]


def row_id(part: str | tuple[str, ...]) -> str:
    """Return what stands for a part of a row in the name of its test."""
    return part if isinstance(part, str) else " ".join(part)[:50]


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize(("words", "told"), TRAIN, ids=row_id)
def test_in_training(
    door: Door, tmp_path: Path, cache_dir: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    said = door("src.train", *tiny(words), f"data.cache_dir={cache_dir}", *words, code=1)
    told_shortly(said, told, tmp_path)


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize(("words", "told"), SEARCHES, ids=row_id)
def test_in_a_search(
    door: Door, tmp_path: Path, cache_dir: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    preset = () if words[0].startswith("hparams_search=") else FAST[1:]
    cache = f"data.cache_dir={cache_dir}"
    said = door("src.train", "-m", *preset, *tiny(words), cache, *words, code=1)
    told_shortly(said, told, tmp_path)
    assert not list(tmp_path.glob("multirun/*/0"))


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize(("module", "words", "told"), OTHERS, ids=row_id)
def test_at_the_other_doors(
    door: Door, tmp_path: Path, module: str, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    told_shortly(door(module, *words, code=1), told, tmp_path)


def test_every_section_of_the_config_and_every_door_has_its_mistakes() -> None:
    rows = [("src.train", *words) for words, _ in TRAIN]
    rows += [("src.train -m", *words) for words, _ in SEARCHES]
    rows += [(module, *words) for module, words, _ in OTHERS]
    assert len(set(rows)) == len(rows)
    doors = {row[0] for row in rows}
    assert doors == {
        "src.train -m",
        *(f"src.{path.stem}" for path in (REPOSITORY / "src").glob("[a-z]*.py")),
    }
    typed = {word.lstrip("+~").partition("=")[0].partition(".")[0] for row in rows for word in row}
    assert {section.name for section in fields(ExperimentConfig)} - typed == set()


def test_a_folder_that_takes_nothing_is_told_in_one_line(tmp_path: Path, door: Door) -> None:
    # Root could write into a folder without rights.
    (tmp_path / "file").touch()
    words = (*FAST, *TINY, "paths.multirun_dir=file/folder")
    line = door("src.train", *words, code=1).splitlines()[-1]
    assert line.startswith("file/folder")
    assert "Not a directory; mend it, or take another folder with paths.multirun_dir" in line


def test_a_damaged_study_is_told_in_one_line(tmp_path: Path, door: Door) -> None:
    (tmp_path / "optuna.db").write_bytes(b"no database" * 1000)
    storage = f"optuna.storage=sqlite:///{tmp_path / 'optuna.db'}"
    (line,) = door("src.train", *FAST, *TINY, storage, code=1).splitlines()
    assert line.startswith(storage)
    assert "move it away" in line


def test_ctrl_c_while_it_starts_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["src.train"])
    with pytest.raises(SystemExit) as end, hydra_in_short():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err == f"{STARTING}\n"
