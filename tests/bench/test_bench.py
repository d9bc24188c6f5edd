"""The benchmark measures what it says: it counts, it notices what is wrong, and it judges."""

import pytest

from tests.bench import registrations, small_groups
from tests.bench.cases import CACHE, build, cases, command, numbered
from tests.bench.load import Load
from tests.bench.run import judge, summarise


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build()


@pytest.mark.parametrize("name", ["c-floor", "fanout-c", "fanout-python", "fanout-transport", "fanout-deflate", "starlette-loop"])
def test_every_delivery_is_counted_once(name: str) -> None:
    with cases()[name].serve() as served, Load(served, connections=20, rounds=10, turns=2) as load:
        blocks = [load.block(), load.block()]

    assert load.opened["connections"] == 21
    assert [block["deliveries"] for block in blocks] == [200, 200]
    assert all(block["server_cpu"] > 0 and block["p99_ms"] >= block["p50_ms"] > 0 for block in blocks)


def test_a_wrong_message_is_noticed() -> None:
    with (
        command([str(CACHE / "floor"), "PORT"], lines=lambda number: numbered(7)) as served,
        Load(served, connections=5, rounds=5, turns=1) as load,
        pytest.raises(SystemExit, match="wrong or lost"),
    ):
        load.block()


def test_a_server_that_refuses_is_noticed() -> None:
    with (
        command([str(CACHE / "floor"), "PORT"], lines=lambda number: '{"t":"refused"}') as served,
        Load(served, connections=5, rounds=5, turns=1) as load,
        pytest.raises(SystemExit, match="given up"),
    ):
        load.block()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["product-c", "product-python"])
def test_the_product_is_measured_from_command_to_screen(name: str) -> None:
    with cases()[name].serve() as served, Load(served, connections=20, rounds=10, turns=2) as load:
        assert [load.block()["deliveries"], load.block()["deliveries"]] == [200, 200]


@pytest.mark.slow
@pytest.mark.parametrize("rate", [100.0, 0.0])
def test_every_registration_is_answered_and_measured_beside_a_support(rate: float) -> None:
    row = registrations.register(people=20, rate=rate)
    assert row["registration_all_s"] >= (19 / rate if rate else 0)
    assert row["registration_p99_ms"] >= row["registration_p50_ms"] > 0
    assert row["times_cpu"] > 1
    assert [one["met"] for one in registrations.judge([row, {**row, "rate": 100.0 - rate}])][:2] == [True, True]


@pytest.mark.slow
def test_every_card_and_what_is_typed_is_counted_at_everybody_in_the_room() -> None:
    row = small_groups.groups(rooms=2, seats=4, pace=small_groups.Pace(seconds=2, cards=10, writers=2, updates=3))
    assert (row["people"], row["cards"], row["updates"]) == (8, 20, 24)
    assert row["supports"] > 0
    for name in ("card", "note"):
        assert row[f"{name}_worst_ms"] >= row[f"{name}_p99_ms"] >= row[f"{name}_p50_ms"] > 0
    quick = {**row, "assign_s": 0.1, "card_p99_ms": 250.0, "note_p99_ms": 250.0}
    assert [one["met"] for one in small_groups.judge([quick])] == [True, True, True]
    assert [one["met"] for one in small_groups.judge([{**quick, "card_p99_ms": 251.0}])] == [True, False, True]
    assert [one["met"] for one in small_groups.judge([{**quick, "note_p99_ms": 251.0}])] == [True, True, False]


def test_a_target_is_the_median_of_the_turns() -> None:
    def block(case: str, turn: int, us: float) -> dict[str, object]:
        times = {"p50_ms": 1.0, "p99_ms": 2.0, "bytes": 250.0}
        return {"kind": "block", "case": case, "turn": turn, "connections": 1001, "cpu_us": us, **times}

    def opened(case: str) -> dict[str, object]:
        return {"kind": "open", "case": case, "turn": 0, "connections": 1001, "cpu_us": 300.0, "resident_kb": 20.0}

    measured = [opened("c-floor"), opened("fanout-c")]
    for turn, (floor, ours) in enumerate([(4.5, 5.0), (9.5, 10.0), (4.0, 5.0)]):
        measured += [block("c-floor", turn, floor), block("fanout-c", turn, ours)]

    [judged] = judge(measured)
    assert (judged["peer"], judged["ratio"], judged["met"]) == ("c-floor", 0.9, True)
    assert [row["cpu_us"] for row in summarise(measured)] == [4.5, 5.0]
