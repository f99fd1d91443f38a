"""Words of a command line as people type them who know other tools, or another keyboard."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from doctune.commands import command, override, shell_word
from doctune.errors import UserError
from src.before.typed_words import check_words

# Words, and what is told of them: the whole message, or its end behind "...".
REFUSED = [
    # Input methods of Korean, Japanese and Chinese keyboards.
    ("optuna.n_trials＝3", "...: ＝ is full-width (U+FF1D); write optuna.n_trials=3"),
    ("gpu=cpu\u3000seed=1", "...: holds a full-width space (U+3000); write gpu=cpu seed=1"),
    ("optuna.n_trials=３０", "...: ３ is full-width (U+FF13); write optuna.n_trials=30"),
    ("optimizer．lr=1", "...: ． is full-width (U+FF0E); write optimizer.lr=1"),
    (
        "model=choice（tiny，resnet50）",
        "...: （ is full-width (U+FF08); write model=choice(tiny,resnet50)",
    ),
    ("optimizer.lr=0。1", "...: holds an ideographic full stop (U+3002); write optimizer.lr=0.1"),
    ("seed=1、2", "...: holds an ideographic comma (U+3001); write seed=1,2"),
    # Word processors, chats and web pages.
    ("—m", "—m: holds an em dash (U+2014); write -m"),
    ("–m", "–m: holds an en dash (U+2013); write -m"),
    ("—multirun", "—multirun: holds an em dash (U+2014); write --multirun"),
    ("optimizer.lr=1e−3", "...: holds a minus sign (U+2212); write optimizer.lr=1e-3"),
    (
        "optimizer.lr=“1e-3”",
        '...: holds a left double quotation mark (U+201C); write optimizer.lr="1e-3"',
    ),
    ("seed=1\u200b", "...: holds a zero width space (U+200B); write seed=1"),
    ("\ufeffseed=1", "...: holds a byte order mark (U+FEFF); write seed=1"),
    ("seed\u00a0=1", "...: holds a no-break space (U+00A0); write seed =1"),
    # Decimal commas and thousands.
    (
        "optimizer.lr=0,001",
        "...: with a comma these are 2 values, 0, 001; a decimal has a point, 0.001",
    ),
    (
        "optimizer.lr=1,5e-3",
        "...: with a comma these are 2 values, 1, 5e-3; a decimal has a point, 1.5e-3",
    ),
    (
        "data.n_images=1,000",
        "...: with a comma these are 2 values, 1, 000; a number is written without commas, 1000",
    ),
    # Half a word, or one too many.
    ("optimizer.lr==1e-3", "...: one = too many; write optimizer.lr=1e-3"),
    ("optimizer.lr:=1e-3", "...: a : too many; write optimizer.lr=1e-3"),
    ("optuna.n_trials=3,", "...: a comma too many at the end; write optuna.n_trials=3"),
    ("optimizer.lr=tag(log, interval(1e-4, 1e-2)", "...: a closing ) is missing; ..."),
    ("optimizer.lr=interval(1e-4,1e-2))", "...: a ) too many, or of the wrong kind"),
    ("optimizer.lr=interval(1e-4,1e-2]", "...: a ] too many, or of the wrong kind"),
    ("model.name='resnet50", "...: a closing ' is missing"),
    ("optimizer.lr = 1e-3", "optimizer.lr = 1e-3: no spaces around =; write optimizer.lr=1e-3"),
    ("optimizer.lr =1e-3", "optimizer.lr =1e-3: no spaces around =; write optimizer.lr=1e-3"),
    ("optimizer.lr= 1e-3", "optimizer.lr= 1e-3: no space behind =; write optimizer.lr=1e-3"),
    ("optimizer.lr:1e-3", "'optimizer.lr:1e-3' is no key=value; write optimizer.lr=1e-3"),
    ("optimizer.lr=1,\u00a0seed=2", "...: holds a no-break space (U+00A0); ..."),
    ("optimizer.lr=1;seed=2", "...: two overrides in one word; write optimizer.lr=1 seed=2"),
    # Two of what there is one of.
    (
        "hparams_search=fast hparams_search=balanced",
        "hparams_search is given twice (fast, balanced): leave one out",
    ),
    ("data=documents data=csv", "data is given twice (documents, csv): leave one out"),
    ("logger=[wandb,csv]", "logger=[wandb,csv]: takes one choice, without brackets"),
    # What Optuna, Ray, Hyperopt and Windows write.
    (
        "optimizer.lr=loguniform(1e-5,1e-2)",
        "...: there is no loguniform here; write 'optimizer.lr=tag(log, interval(1e-5,1e-2))'",
    ),
    (
        "optimizer.lr=trial.suggest_float(1e-5,1e-2)",
        "...; write 'optimizer.lr=interval(1e-5,1e-2)'",
    ),
    ("seed=randint(1,9)", "...; write 'seed=int(interval(1,9))'"),
    (
        "optimizer.lr=range(1e-5,1e-2)",
        "...: range counts in steps of 1; to search between them write "
        "'optimizer.lr=interval(1e-5,1e-2)'",
    ),
    (r"data.root=C:\Users\me", r"...: Hydra takes \ away; write data.root=C:/Users/me"),
    # A choice alone.
    ("fast", "'fast' is no key=value; write hparams_search=fast (--help shows all keys)"),
    ("resnet50", "'resnet50' is no key=value; write model=resnet50 (--help shows all keys)"),
]

ACCEPTED = [
    "-m hparams_search=fast gpu=rtx4090 optimizer.lr=3e-4",
    "optimizer.lr=1e-3,1e-4 data.batch_size=16,32,48",
    "model.drop_rate=0,1",
    "seed=1 seed=1",
    "+search_space=advanced +search_space=augment",
    "search_space=[core,dropout]",
    "experiment=[a,b]",
    "~logger",
    "'optimizer.lr=tag(log, interval(1e-5, 1e-2))'",
    "data.root='C:\\\\scans'",
    "data.root=/data/문서（최종）",
    "data.target_column=分類",
    "model.kwargs={act_layer: gelu}",
    "data.root=${oc.env:DATA}",
    "optuna.storage='postgresql://host/db?sslmode=require'",
    "--config-dir conf2 --config-name mine",
    "seed=range(0,5)",
    "seed=shuffle(range(0,5))",
    "optimizer.kwargs={betas: [0.9, 0.95]}",
]


def typed(line: str) -> list[str]:
    """Return the words of a row; one of a range is a word with its spaces."""
    return [line.strip("'")] if "interval(" in line or "kwargs" in line else line.split(" ")


@pytest.mark.parametrize(("line", "told"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_mistake_of_typing_is_told_with_what_to_write(line: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        check_words(typed(line))
    said = str(refused.value)
    assert "\n" not in said
    first, dots, last = told.rstrip(".").partition("...")
    if dots or told.endswith("..."):
        assert said.startswith(first)
        assert last.removesuffix("; ").lstrip(": ") in said
    else:
        assert said == told


@pytest.mark.parametrize("line", ACCEPTED)
def test_what_may_be_meant_so_is_left_to_hydra(line: str) -> None:
    assert check_words(typed(line)) == []


def test_of_a_key_that_is_given_twice_the_last_counts_and_that_is_told() -> None:
    # Scripts hand on "$@" behind values of their own.
    (note,) = check_words(["optimizer.lr=1e-3", "seed=1", "optimizer.lr=1e-4"])
    assert note.startswith("optimizer.lr is given twice (1e-3, 1e-4): 1e-4 counts")


def test_a_name_alone_is_the_doors_own_key() -> None:
    with pytest.raises(UserError, match="write study=fast-tiny-documents"):
        check_words(["fast-tiny-documents"], "study")


def test_a_folder_with_a_bracket_in_its_name_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans(1").mkdir()
    assert check_words(["data=scans(1"]) == []


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_text_survives_hydra_and_the_shell(text: str) -> None:
    import shlex

    words = shlex.split(command("src.report", study=text))
    assert words[:3] == ["python", "-m", "src.report"]
    parsed = OverridesParser.create().parse_override(words[3])
    assert parsed.key_or_group == "study"
    value = parsed.value()
    assert str(value) == text if isinstance(value, str) or text else value == ""


def test_what_needs_no_quotes_has_none_and_what_does_is_readable() -> None:
    assert command("src.report", study="fast-tiny") == "python -m src.report study=fast-tiny"
    spaced = command("src.confirm", "top=2", study="my study")
    assert spaced == "python -m src.confirm top=2 \"study='my study'\""
    assert shell_word("optimizer.lr=tag(log, interval(1, 2))").startswith("'optimizer.lr")
    assert override("storage", "postgresql://u@host/db") == "storage=postgresql://u@host/db"
