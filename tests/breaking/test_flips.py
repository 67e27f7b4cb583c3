"""One bit flipped anywhere in a lake: the right figures, or an error that says what is damaged, and never another figure."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from command_line import plain, varlake
from conftest import break_all, tries
from forked import forked
from operations import copied
from small_lake import FRIDAY, MONDAY

from lake.committer import Committer
from lake.tables import Lake

pytestmark = [pytest.mark.breaking, pytest.mark.timeout(3600)]
QUESTIONS = [
    ("var", "--as-of", str(MONDAY), "--by", "desk", "--currency", "EUR"),
    ("compare", "--from", str(FRIDAY), "--to", str(MONDAY), "--by", "desk"),
    ("stress", "--as-of", str(MONDAY), "--scenario", "equity -20%; vol +10pt", "--value"),
]
KINDS = {
    "positions": "positions/**/*.parquet",
    "vectors": "pnl_vectors/**/*.parquet",
    "market": "market_data/**/*.parquet",
    "other tables": "[crsv]*/*.parquet",
    "log": "*/_delta_log/*.json",
    "checkpoint": "*/_delta_log/*.checkpoint.parquet",
    "cache": "_varlake/cache/**/*",
}


def ask(lake: Path, questions: list[tuple[str, ...]]) -> tuple[list[object], str]:
    """What the questions answer, without the time they took; and all that was said of what went wrong."""
    answers, said = [], ""
    for question in questions:
        done = varlake(*question, "--json", lake=lake)
        answers.append(plain(json.loads(done.stdout)) if done.returncode == 0 else None)
        said += done.stderr
    return answers, said


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_never_makes_another_figure(kind: str, valued_lake: Path, tmp_path: Path) -> None:
    with copied(valued_lake, tmp_path / "whole") as whole:
        with Committer(Lake.open(whole), "test") as committer:
            for log in whole.glob("*/_delta_log"):
                committer.checkpoint(log.parent.name)
        forked(ask, whole, QUESTIONS[:2])  # fills the cache, which is copied with the lake
        with copied(whole, tmp_path / "sound") as sound:
            expected, said = forked(ask, sound, QUESTIONS)
        assert all(expected), said
        sizes = {p.relative_to(whole): p.stat().st_size for p in sorted(whole.glob(KINDS[kind])) if p.is_file()}
        draws, number = random.Random(kind), itertools.count()
        flips = [
            (path, draws.randrange(sizes[path]), draws.randrange(8))
            for path in draws.choices([p for p, size in sizes.items() if size], k=tries("flips") // len(KINDS) + 1)
        ]

        def trial(flip: tuple[Path, int, int]) -> str | None:
            path, byte, bit = flip
            with copied(whole, tmp_path / f"lake{next(number)}") as lake:
                data = bytearray((lake / path).read_bytes())
                data[byte] ^= 1 << bit
                (lake / path).write_bytes(data)
                answers, said = forked(ask, lake, QUESTIONS)
            flipped = f"bit {bit} of byte {byte} of {path}"
            if "Traceback" in said or "panicked" in said:
                return f"{flipped}: {said[-600:]}"
            if any(a not in (e, None) for a, e in zip(answers, expected, strict=True)):
                return f"{flipped}: another answer"
            if None in answers and path.name not in said and path.parts[0] not in said:
                return f"{flipped}: refused without its name: {said[-600:]}"
            return None

        break_all(f"bits flipped in {kind}", trial, flips)
