"""Settings, from the environment (`VARLAKE_...`) or given on the command line. The one place; see docs/settings.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lake.errors import BadInput, invalid

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Settings(BaseModel):
    """Every setting with its default; the environment variable is the upper-case name with the prefix VARLAKE_.

    What is given goes before the environment. Raises `BadInput` with every setting that is not as it should be.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    lake: Path = Field(Path("varlake-lake"), description="folder of the lake")
    cache: Path | None = Field(None, description="folder of the vector cache; default inside the lake's state folder")
    cache_gib: float = Field(8.0, gt=0, description="the vector cache is kept below this size; oldest used goes first")
    memory_gib: float | None = Field(
        None, gt=0, description="so much of a valuation set's vectors may be in memory at once; default all of it"
    )
    spark_master: str | None = Field(None, description="Spark master; default local with all usable cores")
    spark_memory: str = Field("2g", description="memory of the Spark driver")
    host: str = Field("127.0.0.1", description="address the web process listens on")
    port: int = Field(8050, ge=0, le=65535, description="port the web process listens on")
    allowed_hosts: str | None = Field(
        None, description="names the web process answers to besides localhost and addresses, by comma"
    )
    trusted_proxy: str | None = Field(
        None, description="address of the proxy before the web process, whose X-Forwarded headers are believed"
    )
    access: Path | None = Field(
        None, description="file of users, tokens and sessions; default inside the lake's state folder"
    )
    session_hours: float = Field(12.0, gt=0, description="a browser signs in again after so many hours")
    session_idle_minutes: float = Field(60.0, gt=0, description="or after so many minutes without a request")
    oidc_issuer: str | None = Field(None, description="address of the identity provider (OpenID Connect)")
    oidc_client: str = Field("varlake", description="name of this service at the identity provider")
    oidc_secret: Path | None = Field(
        None, description="file with the secret of this service at the identity provider, where it has one"
    )
    oidc_claim: str = Field("sub", description="claim of the identity provider that says which user it is")
    oidc_groups: Path | None = Field(
        None,
        description="TOML file of what the groups of the identity provider may do and see here; default roles are of users alone",
    )
    oidc_groups_claim: str = Field(
        "groups", description="claim of the identity provider that lists the groups of a user"
    )
    oidc_name_claim: str = Field(
        "preferred_username", description="claim by which a user is named here who comes by a group for the first time"
    )
    fresh_minutes: float = Field(
        15.0, gt=0, description="users, tokens, sessions and approvals need a sign-in of a browser that is no older"
    )
    trader_levels: str = Field("0.95,0.975,0.99", description="confidence levels that traders may ask for, by comma")
    requests_a_minute: int = Field(1_200, ge=1, description="requests a user may send in a minute")
    failures_a_minute: int = Field(10, ge=1, description="failed sign-ins from one address in a minute")
    core_seconds_an_hour: int = Field(
        7_200, ge=1, description="seconds of one core that a user's questions and valuations may cost in an hour"
    )
    cors_origins: str | None = Field(
        None,
        description="origins of pages that may read the widgets of OpenBB, by comma, such as https://pro.openbb.co; default no page",
    )
    threads: int = Field(8, ge=1, description="threads of the web process")
    request_seconds: float = Field(60.0, gt=0, description="a request over HTTP is stopped after this time")
    heavy_at_once: int = Field(1, ge=1, description="requests that take long which are worked on at the same time")
    answer_mib: float = Field(32.0, gt=0, description="largest answer over HTTP")
    upload_mib: int = Field(256, ge=1, description="size of the files that one request may bring in, in MiB")
    decoded_mib: int = Field(
        1024,
        ge=1,
        description="a file may hold so much once decoded, in MiB, or eight times its size where that is more",
    )
    decode_seconds: int = Field(
        8,
        ge=1,
        description="a file may take so many seconds of processor time to decode, and five for each MiB of its size",
    )
    contract_seconds: int = Field(
        120, ge=1, description="a contract may take so many seconds of processor time to value in a process of its own"
    )
    contract_mib: int = Field(
        2048, ge=1, description="a contract may take so much memory to value in a process of its own, in MiB"
    )
    isolate: bool = Field(
        False,
        description="contracts are valued in processes of their own from the start, not only where one went wrong",
    )
    four_eyes: bool | None = Field(
        None,
        description="whether what others rely on waits for the approval of another; default where users are set up",
    )
    proposal_days: int = Field(
        14, ge=1, le=3650, description="days after which a proposal that nobody approved expires"
    )
    mappings: Path | None = Field(
        None, description="folder of kept mappings, NAME.toml each, that uploads may name too"
    )
    jobs_waiting: int = Field(1_000, ge=1, description="jobs that may wait for the engine; more are refused")
    log_level: str = Field("INFO", description="least level that is logged: DEBUG, INFO, WARNING, ERROR")
    gates: Path | None = Field(None, description="TOML file with own parameters of the gates on market data")
    token: str | None = Field(
        None, repr=False, description="personal token that `varlake mcp` sends to the service at its address"
    )
    results_password: str | None = Field(
        None, repr=False, description="password of the relational database that `varlake results publish` writes to"
    )
    delta_jars: Path | None = Field(None, description="folder with the jars Spark needs to read Delta by itself")
    ore_python: Path | None = Field(
        None, description="Python that has the wheel open-source-risk-engine; default the one varlake runs in"
    )
    chromium: Path | None = Field(
        None, description="browser that tests, measures and pictures of the web pages use; default Chromium on the path"
    )
    test_market_data: Path | None = Field(None, description="folder of the real market data the tests read")

    def __init__(self, **given: Any) -> None:
        variables = {name: f"VARLAKE_{name.upper()}" for name in type(self).model_fields}
        found = {name: os.environ[variable] for name, variable in variables.items() if variable in os.environ}
        try:
            super().__init__(**found | given)
        except ValidationError as error:
            names = {f"/{name}": variable for name, variable in variables.items()}
            raise invalid(error, "environment", Settings).calling(names) from None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The allowed hosts, in lower case."""
        return _listed(self.allowed_hosts)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of pages that may read the widgets, in lower case."""
        return tuple(origin.rstrip("/") for origin in _listed(self.cors_origins))


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(h for part in (text or "").split(",") if (h := part.strip().lower()))


def check_level(level: str) -> None:
    """Raises `BadInput` for a level of logs that there is not."""
    if level.upper() not in LEVELS:
        raise BadInput(f"VARLAKE_LOG_LEVEL is {level!r}; expected {', '.join(LEVELS)}.")
