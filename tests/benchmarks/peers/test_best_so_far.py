"""What the table of the peers is made of."""

from tests.benchmarks.peers.best_so_far import Told, best, seconds_to, summary, table


def told(*trials: tuple[float, float, bool]) -> list[Told]:
    return [Told(at, value, complete, 9, {}) for at, value, complete in trials]


def test_only_trials_with_all_their_epochs_count() -> None:
    trials = told((10, 0.5, True), (20, 0.9, False), (30, 0.7, True), (40, 0.6, True))
    found = best(trials)
    assert found is not None
    assert found.value == 0.7
    assert best(trials, until=25) == trials[0]
    assert best(told((5, 0.9, False))) is None
    assert seconds_to(trials, 0.5) == 10
    assert seconds_to(trials, 0.6) == 30
    assert seconds_to(trials, 0.8) is None


def test_what_is_never_reached_counts_as_for_ever() -> None:
    assert summary([10.0, 20.0, 30.0]) == "20 (15 to 25)"
    assert summary([10.0, None, 30.0]) == "30 (20 to never)"
    assert summary([10.0, None, None]) == "- (1 of 3)"
    assert summary([]) == "- (0 of 0)"


def test_each_seed_is_held_to_its_own_best() -> None:
    found = {
        "ours": [told((10, 0.8, True)), told((10, 0.4, True))],
        "stock": [told((60, 0.9, True)), told((50, 0.2, True), (70, 0.38, True))],
    }
    lines = table(found, {"ours": [0.7, 0.5], "stock": [0.6, 0.6]})
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines[2:]}
    # 0.8 is 89 % of 0.9; 0.38 is 95 % of 0.4.
    assert [cell.strip() for cell in cells["ours"][:3]] == ["- (1 of 2)"] * 3
    assert [cell.strip() for cell in cells["stock"][:2]] == ["65 (62 to 68)"] * 2
    assert cells["stock"][2].strip() == "- (1 of 2)"
    assert cells["ours"][4].strip() == "0.600 (0.550 to 0.650)"
