"""No BLAS where numbers are made: its bits depend on shapes and threads, and an answer could not be replayed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFUSED = {"dot", "matmul", "inner", "vdot", "tensordot", "einsum"} | {
    # make a product inside
    "cov", "corrcoef", "convolve", "correlate", "polyfit",
}  # fmt: skip

# file and call: why it may stand
ALLOWED = {
    "scenarios/kernels/covariance.py": {
        "np.linalg.eigh": "repairs and factors a correlation, once a scenario set",
        "np.linalg.eigvalsh": "judges a correlation; makes no number",
        "np.linalg.qr": "factors a correlation, once a scenario set",
        "@": "puts the repaired correlation together, once a scenario set",
    },
    # without `optimize` loops of NumPy's own, in one order: no BLAS
    "valuation/kernels/path_models.py": {"np.einsum": "covariances of the drivers of a step, and their products, once a model"},
    "valuation/market/path_model.py": {"np.einsum": "correlations of the drivers, once a model"},
    "scenarios/kernels/entropy_pooling.py": {
        "np.einsum": "a Newton step of a search that ends where the views hold",
        "np.linalg.lstsq": "a Newton step of a search that ends where the views hold",
    },
}  # fmt: skip


def calls(source: str) -> Iterator[str]:
    """What the source uses of the refused: `@`, `.dot`, `np.linalg.eigh` and their like, however imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield "@"
        elif isinstance(node, ast.Attribute):
            of = node.value
            if isinstance(of, ast.Name) and of.id in ("np", "numpy"):
                if node.attr in REFUSED:
                    yield f"np.{node.attr}"
            elif "linalg" in (getattr(of, "attr", ""), getattr(of, "id", "")):
                yield f"{ast.unparse(of)}.{node.attr}"
            elif node.attr == "dot":
                yield ".dot"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            for path in (f"{module}.{a.name}".strip(".").split(".") for a in node.names):
                if path[0] in ("numpy", "scipy") and ("linalg" in path or path[-1] in REFUSED):
                    yield f"import {'.'.join(path)}"


def found() -> dict[str, set[str]]:
    files = sorted(f for package in ("scenarios", "valuation", "aggregation") for f in (ROOT / package).rglob("*.py"))
    assert len(files) > 100
    used = {str(f.relative_to(ROOT)): set(calls(f.read_text())) for f in files}
    return {f: c for f, c in used.items() if c}


def test_no_blas_but_what_is_allowed_and_all_that_is_allowed_is_there() -> None:
    """Use `aggregation.kernels.fixed_sums`, or say in ALLOWED why not; an entry that nothing needs goes."""
    assert found() == {f: set(c) for f, c in ALLOWED.items()}


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("a @ b", "@"),
        ("a @= b", "@"),
        ("np.einsum('i,i', a, b)", "np.einsum"),
        ("functools.partial(numpy.vdot, a)", "np.vdot"),
        ("a.dot(b)", ".dot"),
        ("(a + b).T.dot(c)", ".dot"),
        ("numpy.linalg.solve(a, b)", "numpy.linalg.solve"),
        ("from numpy import tensordot", "import numpy.tensordot"),
        ("from numpy.linalg import solve", "import numpy.linalg.solve"),
        ("from scipy import linalg", "import scipy.linalg"),
        ("import scipy.linalg as la", "import scipy.linalg"),
    ],
)
def test_each_way_to_blas_is_seen(line: str, call: str) -> None:
    assert list(calls(line)) == [call]


@pytest.mark.parametrize("line", ["(a * b).sum(axis=1)", "dot(a, b)", "x = 'a @ b'", "@compiled\ndef f(): ..."])
def test_what_is_no_blas_is_not(line: str) -> None:
    assert list(calls(line)) == []
