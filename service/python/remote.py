"""A lake behind an address, where `varlake serve` answers: the same methods, the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

import httpx2
import pyarrow as pa

from aggregation import questions
from lake.errors import BadInput, Conflict, NotReady, NotSignedIn, NotValued, VarlakeError, validated
from lake.words import clause
from service.client import error_of
from service.encoding import MEDIA_TYPES, to_json
from service.ingests import OWN_MACHINE, Ingest, companions, named
from service.jobs import proposed
from service.python.in_process import WAY
from service.python.lakes import Lake
from service.python.results import Answer, Figures
from service.python.works import WORKS
from service.rendering import display

PREFIX = "api/v1/"
_POLL_SECONDS, _LONGEST_POLL = 0.1, 1.0


class RemoteLake(Lake):
    """The lake that a service answers for. What takes long is a job there: its progress is shown, and an interrupt cancels it."""

    def __init__(self, address: str, token: str | None = None, seconds: float = 300.0) -> None:
        """address : such as http://127.0.0.1:8050. token : a personal access token, which says who asks. seconds : that an answer
        may take.

        Raises `NotReady` where nothing answers, `NotSignedIn` where it takes a token, or another one.
        """
        if not address.startswith(("http://", "https://")):
            raise BadInput(f"{address!r} is no address of a service; expected one such as http://127.0.0.1:8050.")
        self.address = address.rstrip("/") + "/"
        given = {} if token is None else {"Authorization": f"Bearer {token.strip()}"}
        self._http = httpx2.Client(
            base_url=self.address + PREFIX, headers=given, timeout=httpx2.Timeout(seconds, connect=10)
        )
        try:
            self._sent("GET", "health")
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<lake at {self.address}>"

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> RemoteLake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sent(self, method: str, route: str, **request: Any) -> httpx2.Response:
        """The response; raises what the service's problem says."""
        try:
            answer = self._http.request(method, route, **request)
        except httpx2.TimeoutException:
            raise NotReady(
                f"{self.address} did not answer in time. Ask for less, or connect with more seconds."
            ) from None
        except httpx2.TransportError as error:
            raise NotReady(
                f"{self.address} cannot be reached: {clause(str(error))}. Is `varlake serve` running there, and the address right?"
            ) from None
        if answer.is_success:
            return answer
        told = _problem(answer, self.address)
        if isinstance(told, NotSignedIn):
            raise NotSignedIn(f"{told.message} Here: varlake.connect({self.address!r}, token=...).")
        raise told

    def _json(self, method: str, route: str, **request: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._sent(method, route, **request).json()
        return found

    def _posted(self, route: str, body: Any, kind: str = "json") -> httpx2.Response:
        headers = {"Content-Type": MEDIA_TYPES["json"], "Accept": MEDIA_TYPES[kind]}
        return self._sent("POST", route, content=to_json(body).encode(), headers=headers)

    def _ask(self, name: str, given: dict[str, Any], value: bool) -> Answer:
        body = _body(name, given)
        if value:
            told = self._followed(self._posted(f"{name}/value", body).json(), name)
            body = told["receipt"]["question"]  # it names the valuation that was made
        try:
            got = self._posted(name, body, "arrow").content
        except NotValued as error:
            error = NotValued(error.message.partition(f" POST /{PREFIX}")[0])  # the way there is another one here
            raise error.here(WAY) if questions.question(name).value is not None else error from None
        except VarlakeError:
            if not value:
                raise
            # a job may price what an answer over HTTP may not, and stores none of it
            return Answer(
                name, pa.Table.from_pylist(told["rows"]), _about(told), _Sent(self, name, body, told["receipt"], told)
            )
        table = pa.ipc.open_stream(got).read_all()
        about = {k.decode(): json.loads(v) for k, v in (table.schema.metadata or {}).items()}
        return Answer(name, table.replace_schema_metadata(None), about, _Sent(self, name, body, about["receipt"]))

    def _plan(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._posted(f"{name}/plan", _body(name, given)).json()
        return found

    def _do(self, name: str, given: dict[str, Any]) -> Figures:
        work = WORKS[name]
        body = validated(named(work.model), given, "request").model_dump(mode="json", exclude_unset=True)
        return Figures(self._followed(self._posted(work.route[1:], body).json(), name))

    def remove_branch(self, name: str) -> Figures:
        return Figures(self._followed(self._json("DELETE", f"branches/{quote(name, safe='')}"), "remove_branch"))

    def choices(self) -> Figures:
        return Figures(self._json("GET", "choices"))

    def _ingest(
        self, what: str, kind: Ingest, files: list[Path], options: dict[str, Any], dry_run: bool
    ) -> Mapping[str, Any]:
        asked = validated(kind.options, options, "ingest").model_dump(mode="json", exclude_unset=True)
        for name, field in kind.options.model_fields.items():
            if OWN_MACHINE in field.metadata and name in asked:
                raise BadInput(f"{name} is a file that is written where the lake is; leave it out.")
        if kind.folder:
            files = [
                path
                for file in files
                for path in (sorted(file.iterdir()) if file.is_dir() else [file])
                if path.is_file()
            ]
        beside = [
            Path(asked[name]) for name in companions(kind.options) if name in asked and Path(asked[name]).is_file()
        ]
        asked |= {name: Path(asked[name]).name for name in companions(kind.options) if name in asked}
        sent = list(dict.fromkeys([*files, *beside]))
        with ExitStack() as opened:
            parts = [("files", (path.name, opened.enter_context(path.open("rb")))) for path in sent]
            got = self._json("POST", kind.route[1:], params={**asked, "dry_run": dry_run}, files=parts)
        return got if dry_run else self._followed(got, f"ingest {what}")

    def _followed(self, job: dict[str, Any], name: str) -> dict[str, Any]:
        """The result of a job once it has ended; an interrupt cancels it. Raises what it failed for."""
        route, wait = f"jobs/{job['job_id']}", _POLL_SECONDS
        try:
            with display.progress_bar(name) as progress:
                while job["state"] in ("queued", "running"):
                    sleep(wait)
                    wait = min(2 * wait, _LONGEST_POLL)
                    job = self._json("GET", route)
                    if job["state"] == "queued":
                        self._check_engine(job)
                    told = job["progress"]
                    progress(told["stage"] or "waiting", told["done"], told["total"])
        except KeyboardInterrupt:
            self._sent("DELETE", route)
            raise
        if job["state"] == "proposed":
            raise proposed(job["job_id"])
        if job["state"] == "done":
            found: dict[str, Any] = job["result"]
            return found
        if job["problem"] is None:
            raise Conflict(f"Job {job['job_id']} was cancelled. What was stored until then stays.")
        raise error_of(job["problem"])

    def _check_engine(self, job: Mapping[str, Any]) -> None:
        engine = self._json("GET", "health")["engine"]
        if not engine["alive"]:
            raise Conflict(
                f"No engine runs at {self.address}; job {job['job_id']} is kept and is done when one starts."
            )


class _Sent:
    """An answer that a service has sent."""

    def __init__(
        self,
        lake: RemoteLake,
        name: str,
        body: Any,
        receipt: Mapping[str, Any],
        said: dict[str, Any] | None = None,
    ) -> None:
        self._lake, self._name, self._body, self._receipt, self._said = lake, name, body, receipt, said

    def said(self) -> dict[str, Any]:
        if self._said is not None:
            return self._said
        said: dict[str, Any] = self._lake._posted(self._name, self._body).json()
        self._check(said["receipt"]["answer_digest"])
        said.pop("next_cursor", None)
        return said

    def picture(self, kind: str) -> bytes:
        drawn = self._lake._posted(self._name, self._body, kind)
        self._check(drawn.headers["Varlake-Answer"])
        found: bytes = drawn.content
        return found

    def _check(self, answer_digest: str) -> None:
        if answer_digest != self._receipt["answer_digest"]:
            raise Conflict("The lake holds something newer than this answer by now. Ask the question again.")

    def replayed(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._lake._posted("replay", answer).json()
        return found


def _body(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The question as it is sent: what is wrong with it is told without asking."""
    return questions.read(name, given).model_dump(mode="json", by_alias=True, exclude_unset=True)


def _about(said: Mapping[str, Any]) -> dict[str, Any]:
    return {**said, "question": said["receipt"]["question"]}


def _problem(answer: httpx2.Response, address: str) -> VarlakeError:
    """The error that a response is."""
    try:
        return error_of(answer.json())
    except (ValueError, KeyError, TypeError):
        return NotReady(
            f"{address} answered {answer.status_code} and no problem that varlake tells; is it a varlake service?"
        )
