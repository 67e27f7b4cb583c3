"""Arrow without pandas, for processes that have no use for it.

Arrow imports pandas when it converts its first value, to know objects of pandas when it meets them, which takes twice as long as Arrow
itself. Where it finds none it goes on without, and asks again only for a conversion to pandas.
"""

from __future__ import annotations

import importlib.abc
import sys
from typing import Any


class _NoPandas(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not looked for yet", name=fullname)


def load_without_pandas() -> None:
    """Has Arrow convert its first value while pandas cannot be found; it can be imported afterwards as ever.

    For processes that give Arrow no objects of pandas: it would take those for plain sequences until it is asked for some itself.
    """
    hidden = _NoPandas()
    sys.meta_path.insert(0, hidden)
    try:
        import pyarrow as pa  # noqa: PLC0415 - here, since `pyarrow.compute` converts a value when it is imported

        pa.scalar(0)
    finally:
        sys.meta_path.remove(hidden)
