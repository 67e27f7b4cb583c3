"""varlake in Python: `varlake.open("folder")` is a lake in this process, `varlake.connect("http://...")` one behind an address.

Both have the same methods, one for each question, and give the same bits:

    import varlake

    lake = varlake.open("demo-lake")
    lake.var(as_of="2020-03-16", by="desk")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import BadInput, Conflict, NotAllowed, NotFound, NotReady, NotSignedIn, NotValued, VarlakeError

if TYPE_CHECKING:
    from service.python.in_process import LakeInProcess
    from service.python.remote import RemoteLake
    from service.python.results import Answer, Figures, Picture

__all__ = [
    "Answer",
    "BadInput",
    "Conflict",
    "Figures",
    "NotAllowed",
    "NotFound",
    "NotReady",
    "NotSignedIn",
    "NotValued",
    "Picture",
    "VarlakeError",
    "connect",
    "open",
]

# ruff: noqa: PLC0415 - importing varlake takes little time; a lake is opened when it is wanted


def open(  # noqa: A001 - as files are
    path: str | Path | None = None, *, create: bool = False
) -> LakeInProcess:
    """The lake in that folder, default the setting VARLAKE_LAKE; with `create` it is made where there is none.

    Raises `NotFound` where there is no lake.
    """
    from service.python.in_process import LakeInProcess

    return LakeInProcess(path, create=create)


def connect(address: str, *, token: str | None = None, seconds: float = 300.0) -> RemoteLake:
    """The lake of the service at that address, such as http://127.0.0.1:8050.

    token : a personal access token (`varlake tokens make`), which says who asks. seconds : that an answer may take. Raises
    `NotReady` where nothing answers, `NotSignedIn` where a token is missing or no longer valid.
    """
    from service.python.remote import RemoteLake

    return RemoteLake(address, token, seconds)


def __getattr__(name: str) -> object:
    if name in ("Answer", "Figures", "Picture"):
        from service.python import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
