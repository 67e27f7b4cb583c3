"""Names for arrays by what they hold, one each; shapes stand in docstrings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]  # row numbers, offsets, counts
Codes = npt.NDArray[np.int32]  # places in a list of members, currencies or contracts
Dates = npt.NDArray[np.datetime64]
