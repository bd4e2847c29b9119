from __future__ import annotations

from edgecap_bench.rounds import turns

LABELS = ["a", "b", "c", "d"]


def _orders(rounds: int, seed: int) -> list[tuple[str, ...]]:
    taken = list(turns(LABELS, rounds, seed))
    assert [place for place, _ in taken] == [place for place in range(rounds) for _ in LABELS]
    return [tuple(label for place, label in taken if place == wanted) for wanted in range(rounds)]


def test_each_target_takes_one_turn_a_round() -> None:
    for order in _orders(20, seed=0):
        assert sorted(order) == LABELS


def test_order_changes_from_round_to_round_but_not_with_the_seed() -> None:
    orders = _orders(20, seed=3)
    assert len(set(orders)) > 5
    assert orders == _orders(20, seed=3)
    assert orders != _orders(20, seed=4)
    # Nobody always goes first, when caches and clocks are cold.
    assert {order[0] for order in orders} == set(LABELS)
