"""What pricing is expected to take: shipped figures as a range, then what earlier runs on the lake measured."""

from pathlib import Path

import pytest
from support import new_lake

from valuation.costs import KERNELS, Costs, Work, record

SWAPS = Work.of_type("interest_rate_swap", 900, 501)


def test_a_lake_that_has_measured_nothing_gives_a_range(tmp_path: Path) -> None:
    found = Costs(new_lake(tmp_path)).of(SWAPS)
    assert not found.measured
    assert 0 < found.low < found.seconds < found.high
    assert str(found) == f"{found.low:.2g} to {found.high:.2g}"


def test_the_second_run_is_expected_to_take_what_the_first_took(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    record(lake, [(SWAPS, 2e6)])
    found = Costs(lake).of(SWAPS)
    assert found.measured
    assert found.seconds == pytest.approx(2.0)
    assert found.low < 2.0 < found.high


def test_a_contract_and_a_state_cost_each_their_own(tmp_path: Path) -> None:
    """A swap takes 80 microseconds and 0.05 a state more, on a machine slower than the shipped figures: far fewer states must
    not be priced as a share of many, nor many as a multiple of one."""
    lake = new_lake(tmp_path)

    def took(n: int, states: int) -> float:
        return n * (80.0 + 0.05 * states)

    record(lake, [(Work.of_type("interest_rate_swap", 900, s), took(900, s)) for s in (1, 501)])
    for states in (1, 501, 3001):
        seconds = Costs(lake).of(Work.of_type("interest_rate_swap", 900, states)).seconds
        assert seconds == pytest.approx(took(900, states) / 1e6, rel=0.3)


def test_a_run_of_another_size_says_nothing(tmp_path: Path) -> None:
    """One contract is priced in the time of a hiccup: 4,000 are not expected to hiccup 4,000 times."""
    lake = new_lake(tmp_path)
    record(lake, [(Work.of_type("interest_rate_swap", 1, 501), 90_000.0)])
    assert Costs(lake).of(SWAPS) == Costs(new_lake(tmp_path / "new")).of(SWAPS)


def test_kernels_are_compiled_once_and_loaded_ever_after(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    record(lake, [(Work(KERNELS, {"equity_option": 1}), us) for us in (20e6, 0.3e6)])
    found = Costs(lake).of(Work(KERNELS, {"equity_option": 1}))
    assert found.seconds == pytest.approx(0.3)
    assert found.high > 20


def test_lines_that_cannot_be_read_say_nothing_and_a_lake_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    (file,) = (lake.state / "costs.jsonl",)
    file.write_text('{"name": "equity_op\n[]\n{"name": "x"}\n\xff\n')
    record(lake, [(SWAPS, 2e6)])
    assert Costs(lake).of(SWAPS).seconds == pytest.approx(2.0)
    file.unlink()
    file.mkdir()
    record(lake, [(SWAPS, 2e6)])
    assert not Costs(lake).of(SWAPS).measured


def test_the_file_is_cut_to_its_latest_lines(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    for us in (1e6, 2e6):
        record(lake, [(SWAPS, us)] * 8_000)
    assert (lake.state / "costs.jsonl").stat().st_size < 1 << 21
    assert Costs(lake).of(SWAPS).seconds == pytest.approx(2.0)
