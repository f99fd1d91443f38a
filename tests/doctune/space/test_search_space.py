"""Typed entries, Hydra's grammar, and how they meet."""

import math
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from doctune.commands import override as to_override
from doctune.errors import UserError
from doctune.space.entries import check_condition, conditions_of, typed_distributions
from doctune.space.parameters import examples
from doctune.space.search_space import Branch, SearchSpace, build_search_space
from doctune.study.study import AS_IN_CONFIG


def typed(**entry: Any) -> Any:
    return OmegaConf.create({"lr": {"key": "optimizer.lr", **entry}})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"type": "loguniform", "low": "1e-5", "high": 1e-2},
            FloatDistribution(1e-5, 1e-2, log=True),
        ),
        ({"type": "uniform", "low": 0, "high": 1}, FloatDistribution(0, 1)),
        ({"type": "uniform", "low": 0, "high": 1, "step": 0.5}, FloatDistribution(0, 1, step=0.5)),
        ({"type": "int", "low": 1, "high": 5}, IntDistribution(1, 5)),
        ({"type": "int", "low": 0, "high": 8, "step": 4}, IntDistribution(0, 8, step=4)),
        ({"type": "logint", "low": 1, "high": 64}, IntDistribution(1, 64, log=True)),
        ({"type": "categorical", "choices": [16, 32, 16]}, CategoricalDistribution((16, 32))),
    ],
)
def test_types(entry: dict[str, Any], expected: Any) -> None:
    assert typed_distributions(typed(**entry)) == {"optimizer.lr": expected}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"type": "uniform", "low": 2, "high": 1}, "search_space.lr: low 2 is not below high 1"),
        ({"type": "uniform", "low": 1, "high": 1}, "is not below"),
        ({"type": "loguniform", "low": 0, "high": 1}, "search_space.lr.low: 0 must be above 0"),
        ({"type": "logunifrom", "low": 1, "high": 2}, "did you mean loguniform?"),
        ({"type": "categorical", "choices": []}, "search_space.lr.choices: [] is empty"),
        ({"type": "categorical"}, "is empty"),
        ({"type": "uniform", "low": "a", "high": 2}, "search_space.lr.low: 'a' is not a number"),
        ({"type": "uniform", "low": 0, "high": math.inf}, "is not a finite number"),
        ({"type": "uniform", "high": 2}, "search_space.lr.low: None is not a number"),
        ({"type": "int", "low": 0.5, "high": 2}, "must be whole numbers"),
        ({"type": "uniform", "low": 0, "hihg": 2}, "search_space.lr.hihg: unknown; did you mean"),
        ({"low": 0, "high": 2}, "search_space.lr.type: None is unknown"),
        (
            {"type": "categorical", "choices": [1, 2, True]},
            "search_space.lr.choices: 1 and true are one value to Optuna",
        ),
    ],
)
def test_wrong_entries_are_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        typed_distributions(typed(**entry))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_entry_without_key_and_two_entries_for_one_key() -> None:
    with pytest.raises(UserError, match=r"search_space\.a\.key: missing"):
        typed_distributions(OmegaConf.create({"a": {"type": "uniform", "low": 0, "high": 1}}))
    entry = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    with pytest.raises(UserError, match="set by another entry"):
        typed_distributions(OmegaConf.create({"a": entry, "b": entry}))


def test_entry_left_out_by_its_condition_or_set_to_null() -> None:
    entry = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    space = OmegaConf.create({"a": {**entry, "unless": 32}, "b": None, "c": {**entry, "key": "c"}})
    assert list(typed_distributions(space)) == ["c"]


def test_what_may_take_its_time_is_asked_last_or_not_at_all() -> None:
    asked: list[str] = []

    def ask(about: str) -> bool:
        asked.append(about)
        return about == "yes"

    OmegaConf.register_resolver("asks_the_app", ask, replace=True)
    kept = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    entries = {
        "kept": {**kept, "unless": "${asks_the_app:no}"},
        "left": {**kept, "key": "l", "unless": "${asks_the_app:yes}"},
        "elsewhere": {**kept, "key": "e", "unless": "${asks_the_app:e}", "when": {"a": 1}},
        "plain": {**kept, "key": "p", "unless": "${off}"},
        "chosen": {
            **{"key": "c", "type": "categorical", "choices": "${asks_the_app:choices}"},
            "unless": "${asks_the_app:choices}",
        },
    }
    space = OmegaConf.create({"search_space": entries, "off": True}).search_space
    assert list(typed_distributions(space, at_once=True)) == ["k", "l"]
    assert list(conditions_of(space)) == ["search_space.elsewhere"]
    assert not asked
    del space["chosen"]
    assert list(typed_distributions(space)) == ["k"]
    assert asked == ["no", "yes"]
    space.left.low = 2
    with pytest.raises(UserError, match=r"search_space\.left: low 2"):
        typed_distributions(space)
    # What is wrong with an entry is told before it is asked for.
    assert asked == ["no", "yes", "no"]


LR = {"type": "loguniform", "low": 1e-5, "high": 1e-2}


def test_a_value_on_the_command_line_takes_the_key_out() -> None:
    space = build_search_space(typed(**LR), [], ["optimizer.lr=3e-4", "seed=1"])
    assert space.distributions == {}
    assert space.job_overrides({}) == ["optimizer.lr=0.0003", "seed=1"]


def test_a_sweep_on_the_command_line_puts_the_key_in() -> None:
    space = build_search_space(None, [], ["optimizer.lr=tag(log, interval(1e-5,1e-3))", "~logger"])
    assert space.distributions == {"optimizer.lr": FloatDistribution(1e-5, 1e-3, log=True)}
    assert space.job_overrides({"optimizer.lr": 1e-4}) == ["optimizer.lr=0.0001", "~logger"]


def test_the_later_source_wins() -> None:
    space = build_search_space(typed(**LR), ["optimizer.lr=0.1"], ["optimizer.lr=choice(1,2)"])
    assert list(space.distributions) == ["optimizer.lr"]
    assert space.fixed == {}
    space = build_search_space(typed(**LR), ["optimizer.lr=choice(1,2)"], ["optimizer.lr=0.1"])
    assert space.distributions == {}


def test_a_wrong_sweep_on_the_command_line_is_one_line() -> None:
    with pytest.raises(UserError, match="x=interval"):
        build_search_space(None, [], ["x=interval(2,0)"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("1,true", "1 and true are one value to Optuna, and true would never run; leave one out"),
        ("choice(false,2,0)", "false and 0 are one value"),
        ("choice(1,1.0)", "1 and 1.0 are one value"),
    ],
)
def test_choices_that_optuna_cannot_tell_apart_are_refused(typed: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        build_search_space(None, [], [f"x={typed}"])
    assert str(error.value).startswith(f"x={typed}: {told}")


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**6), 10**6),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20),
    )
)
def test_sampled_values_survive_hydras_grammar(value: Any) -> None:
    override = OverridesParser.create().parse_override(to_override("key", value))
    back = override.value()
    assert (str(back) if isinstance(value, str) else back) == value


def test_examples_hold_every_choice_and_both_ends() -> None:
    distributions = {
        "a": CategoricalDistribution(["x", "y", "z"]),
        "b": FloatDistribution(0.0, 1.0),
    }
    found = examples(distributions)
    assert {e["a"] for e in found} == {"x", "y", "z"}
    assert {e["b"] for e in found} == {0.0, 1.0}
    assert examples({}) == [{}]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("k='1',2", ["1", 2]),
        ("k=choice('1','2')", ["1", "2"]),
        ("k=choice('a,b',c)", ["a,b", "c"]),
        ("k=choice('null',x)", ["null", "x"]),
        ("k=null,max", [None, "max"]),
        ("k='null',null", ["null", None]),
        ("k='true',true", ["true", True]),
        ("k='1e-3',1e-3", ["1e-3", 1e-3]),
        ("k=[1,2],[null]", [[1, 2], [None]]),
        ("k={a:1},{a:'1'},null", [{"a": 1}, {"a": "1"}, None]),
        ("k=[],'[]'", [[], "[]"]),
        ("k=str(1,2)", ["1", "2"]),
        ("k=' a b ',x", [" a b ", "x"]),
        ("+k='1',a", ["1", "a"]),
        ("++k=a,a,b", ["a", "b"]),
        ("k=1,2,1,'1'", [1, 2, "1"]),
        # Told apart, as they are texts to Optuna.
        ("k=[1],[true],1", [[1], [True], 1]),
    ],
)
def test_a_job_gets_what_was_typed(word: str, values: list[Any]) -> None:
    space = build_search_space(None, [], [word])
    ((key, dist),) = space.distributions.items()
    assert isinstance(dist, CategoricalDistribution)
    given = [space.job_overrides({key: choice})[0] for choice in dist.choices]
    parsed = [OverridesParser.create().parse_override(text).value() for text in given]
    assert parsed == values
    assert [type(value) for value in parsed] == [type(value) for value in values]


OWN = {"lr": 0.5, "layers": 4, "pooling": None, "sizes": [1, 2], "name": "1", "sub": {"x": True}}


@pytest.mark.parametrize(
    ("word", "params", "as_in_config"),
    [
        ("pooling=null,max", {"pooling": None}, []),
        ("pooling=avg,max", {}, ["pooling"]),
        ("++pooling=null,max", {"++pooling": None}, []),
        # Which the config as it is goes without.
        ("+more=null,max", {}, ["+more"]),
        ("+more=interval(0,1)", {}, ["+more"]),
        ("sizes=[1,2],[3]", {"sizes": "[1,2]"}, []),
        ("sizes=[1],[3]", {}, ["sizes"]),
        ("name='1','2'", {"name": "1"}, []),
        ("name=1,2", {}, ["name"]),
        ("sub.x=true,false", {"sub.x": True}, []),
        ("sub.x=1,0", {}, ["sub.x"]),
        ("lr=interval(0.1,1.0)", {"lr": 0.5}, []),
        # Outside of the range, but the config's own all the same.
        ("lr=interval(0.6,1.0)", {"lr": 0.5}, []),
        ("layers=range(5,9)", {"layers": 4}, []),
        ("pooling=interval(0.6,1.0)", {}, ["pooling"]),
        ("name=interval(0.6,1.0)", {}, ["name"]),
    ],
)
def test_the_defaults_are_the_configs_own_values(
    word: str, params: dict[str, Any], as_in_config: list[str]
) -> None:
    config = OmegaConf.create(OWN)
    space = build_search_space(None, [], [word])
    found = space.defaults(config)
    assert (found.params, found.as_in_config, found.missing) == (params, as_in_config, [])
    # Composed by OmegaConf, a trial of them is the config itself.
    study = optuna.create_study()
    study.enqueue_trial(found.params, user_attrs={AS_IN_CONFIG: found.as_in_config})
    trial = study.ask()
    space.suggest(trial)
    job = OmegaConf.create(OWN)
    for text in space.job_overrides(trial.params):
        override = OverridesParser.create().parse_override(text)
        OmegaConf.update(job, override.key_or_group, override.value())
    assert job == config


def test_entries_with_a_condition_apply_where_it_holds() -> None:
    entry = {"key": "k", "type": "uniform", "low": 0, "high": 1}
    config = OmegaConf.create(
        {
            "model": {"name": "test_convnext", "pretrained": False},
            "hydra": {"runtime": {"choices": {"model": "convnext_tiny"}}},
        }
    )

    def applies(when: dict[str, Any]) -> bool:
        return bool(typed_distributions(OmegaConf.create({"a": {**entry, "when": when}}), config))

    assert applies({"model": "convnext_tiny"})
    assert applies({"model": ["swin_base", "convnext_tiny"]})
    assert applies({"model": "convnext_*", "model.pretrained": False})
    assert not applies({"model": "swin_base"})
    assert not applies({"model.name": "*convnext*", "model.pretrained": True})


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"modle": "a"}, "when: no config group or key is called 'modle'; did you mean model?"),
        ({"model.nmae": "a"}, "'model.nmae'; did you mean model.name?"),
        ({"model": "convnxt"}, "group 'model' has no option 'convnxt'; did you mean convnext?"),
        ({"model": ["convnext", "vit*"]}, "has no option 'vit*'; known are convnext, swin"),
        ("convnext", "'convnext' is no condition"),
    ],
)
def test_conditions_that_can_never_hold_are_named(when: Any, message: str) -> None:
    config = OmegaConf.create(
        {"model": {"name": "x"}, "hydra": {"runtime": {"choices": {"model": "convnext"}}}}
    )
    with pytest.raises(UserError) as error:
        check_condition("search_space.a", when, config, lambda group: ["convnext", "swin"])
    assert message in str(error.value)


MODELS = {"cnx": (1e-5, 5e-4), "eff": (5e-4, 5e-3), "eff2": (5e-4, 5e-3)}
ENTRIES: dict[str, dict[str, Any]] = {
    "model": {"key": "model", "type": "categorical", "choices": list(MODELS)},
    "lr": {"key": "lr", "type": "loguniform", "low": "${low}", "high": "${high}"},
    "decay": {"key": "decay", "type": "uniform", "low": 0, "high": 0.1},
    "scale": {"key": "scale", "type": "uniform", "low": 1, "high": 2, "when": {"model": "cnx"}},
}


def job(overrides: list[str]) -> Any:
    """Compose a job the way Hydra would: the group `model` brings its range along."""
    values = dict(override.split("=") for override in overrides)
    low, high = MODELS[values["model"]]
    return OmegaConf.create(
        {
            **{"low": low, "high": high, "lr": 1e-3, "decay": 0.0, "scale": 1.5},
            "hydra": {
                "runtime": {"choices": {"model": values["model"]}},
                "sweeper": {"search_space": ENTRIES},
            },
        }
    )


def tree(entries: dict[str, Any] = ENTRIES, *arguments: str) -> SearchSpace:
    config = job(["model=eff"])
    config.hydra.sweeper.search_space = entries
    return build_search_space(config.hydra.sweeper.search_space, [], arguments, config, job)


def test_each_model_has_its_own_range_and_its_own_parameters() -> None:
    space = tree()
    assert list(space.roots) == ["model"]
    names = {values[0]: set(branch.distributions) for values, branch in space.branches.items()}
    assert names["cnx"] == {"lr[cnx]", "decay[cnx]", "scale[cnx]"}
    assert names["eff"] == {"lr[eff]", "decay[eff]"}
    for model, (low, high) in MODELS.items():
        assert space.distributions[f"lr[{model}]"] == FloatDistribution(low, high, log=True)


def test_a_root_that_changes_no_range_shares_all_parameters() -> None:
    entries = {**ENTRIES, "lr": {**ENTRIES["lr"], "low": 1e-4, "high": 1e-3}}
    config = job(["model=eff"])

    def compose(overrides: list[str]) -> Any:
        composed = job(overrides)
        composed.hydra.sweeper.search_space = entries
        return composed

    typed = OmegaConf.create(entries)
    space = build_search_space(typed, [], [], config, compose)
    assert set(space.distributions) == {"model", "lr", "decay", "scale"}
    assert "scale" not in space.branches[("eff",)].distributions


def test_trials_get_the_parameters_of_their_model_alone() -> None:
    space = tree()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        space.suggest(trial)
        model = trial.params["model"]
        seen.add(model)
        assert set(trial.params) == {"model", *space.branches[(model,)].distributions}
        words = dict(word.split("=") for word in space.job_overrides(trial.params))
        low, high = MODELS[model]
        assert low <= float(words["lr"]) <= high
        assert set(words) == {"model", "lr", "decay"} | ({"scale"} if model == "cnx" else set())
    assert seen == set(MODELS)


def test_queued_parameters_go_on_in_their_branch() -> None:
    space = tree()
    study = optuna.create_study()
    study.enqueue_trial({"model": "cnx", "lr[cnx]": 2e-5})
    trial = study.ask()
    space.suggest(trial)
    assert (trial.params["model"], trial.params["lr[cnx]"]) == ("cnx", 2e-5)
    assert set(trial.params) == {"model", "lr[cnx]", "decay[cnx]", "scale[cnx]"}


def test_defaults_of_a_tree_are_those_of_the_models_own_branch() -> None:
    assert tree().defaults(job(["model=eff"])).params == {
        **{"model": "eff", "lr[eff]": 1e-3, "decay[eff]": 0.0}
    }
    some = {**ENTRIES, "model": {**ENTRIES["model"], "choices": ["cnx", "eff"]}}
    defaults = tree(some).defaults(job(["model=eff2"]))
    assert (defaults.params["model"], defaults.params["lr[cnx]"]) == ("cnx", 1e-3)
    # As that is another config, no trial is called the defaults.
    assert defaults.missing == ["model"]


def test_examples_of_a_tree_compose_in_every_branch() -> None:
    found = tree().examples()
    assert {example["model"] for example in found} == set(MODELS)
    assert {example.get("scale[cnx]") for example in found} == {1.0, 2.0, None}


def test_the_command_line_fixes_and_widens_in_every_branch() -> None:
    fixed = tree(ENTRIES, "lr=1e-3")
    assert "scale" in fixed.distributions
    assert not [name for name in fixed.distributions if name.startswith("lr")]
    swept = tree(ENTRIES, "lr=interval(0.1,0.2)")
    assert swept.distributions["lr"] == FloatDistribution(0.1, 0.2)


def test_a_range_cannot_decide_about_other_parameters() -> None:
    entries = {**ENTRIES, "scale": {**ENTRIES["scale"], "when": {"decay": 0.0}}}
    with pytest.raises(UserError, match=r"search_space\.scale\.when: 'decay' is searched as"):
        tree(entries)


def test_a_study_with_other_choices_is_refused_with_both() -> None:
    study = optuna.create_study(study_name="s")
    study.ask({"a": CategoricalDistribution((16, 32)), "b": FloatDistribution(0, 1)})
    same = SearchSpace({}, {(): Branch({"a": CategoricalDistribution((16, 32))})})
    same.check_study(study)
    wider = SearchSpace({}, {(): Branch({"b": FloatDistribution(0, 2)})})
    wider.check_study(study)
    other = SearchSpace({}, {(): Branch({"a": CategoricalDistribution((16, 64))})})
    with pytest.raises(UserError, match=r"a was searched in {16, 32}, now in {16, 64}"):
        other.check_study(study)
