"""A lake in this process: no server, the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregation import questions
from aggregation.session import Session
from lake.committer import DryRun
from lake.errors import NotValued
from lake.tables import Lake as Stored
from service import client
from service.choices import choices
from service.config import Settings
from service.encoding import about_answer, as_json
from service.ingests import Ingest
from service.jobs import BRANCH_DELETION, INGEST
from service.operations import spark_of, vector_cache
from service.python.lakes import Lake
from service.python.results import Answer, Figures
from service.python.works import WORKS
from service.rendering import display
from service.work import ingest, ingest_request

WAY = "Ask again with value=True to have it valued first; lake.plan says what that takes."


class LakeInProcess(Lake):
    """A folder that is a lake, read by this process, as it is at each question. What is stored is stored by this process too, or by
    the engine that holds the lake."""

    def __init__(self, path: str | Path | None = None, *, create: bool = False) -> None:
        """path : the folder; default the setting VARLAKE_LAKE. create : make it where there is none.

        Raises `NotFound` where there is no lake.
        """
        self._settings = Settings() if path is None else Settings(lake=Path(path))
        self.path = self._settings.lake
        if create:
            Stored.create(self.path)
        Stored.open(self.path)

    def __repr__(self) -> str:
        return f"<lake in {self.path}>"

    def _session(self, stored: Stored | None = None) -> Session:
        stored = stored or Stored.open(self.path)
        return Session(stored, vector_cache(self._settings, stored, "auto"), spark=spark_of(self._settings))

    def _ask(self, name: str, given: dict[str, Any], value: bool) -> Answer:
        session, question = self._session(), questions.question(name)
        query = questions.settled(session, questions.read(name, given))
        if value:
            result, query, session = client.valued(session, name, query, self._session)
        else:
            try:
                with display.progress_bar(name) as progress:
                    result = questions.ask(session.telling(progress), name, query)
            except NotValued as error:
                raise error.here(WAY) if question.value is not None else error from None
        return Answer(name, result.rows, about_answer(result), _Here(name, result, query, session))

    def _plan(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        session = self._session()
        planned = questions.plan(session, name, questions.settled(session, questions.read(name, given)))
        return dict(as_json(planned.to_dict()))

    def _do(self, name: str, given: dict[str, Any]) -> Figures:
        return Figures(client.done(self._settings, Stored.open(self.path), name, WORKS[name].kind, given))

    def remove_branch(self, name: str) -> Figures:
        return Figures(
            client.done(self._settings, Stored.open(self.path), "remove_branch", BRANCH_DELETION, {"name": name})
        )

    def choices(self) -> Figures:
        return Figures(choices(self._session()))

    def _ingest(
        self, what: str, kind: Ingest, files: list[Path], options: dict[str, Any], dry_run: bool
    ) -> Mapping[str, Any]:
        stored, request = Stored.open(self.path), ingest_request(what, files, options, self._settings)
        if dry_run:
            return dict(as_json(ingest(DryRun(stored), request)))
        return client.done(self._settings, stored, f"ingest {what}", INGEST, request.model_dump(mode="json"))


class _Here:
    """An answer that was made in this process."""

    def __init__(self, name: str, result: Any, query: Any, session: Session) -> None:
        self._name, self._result, self._query, self._session = name, result, query, session

    def said(self) -> dict[str, Any]:
        return dict(as_json(self._result.to_dict()))

    def picture(self, kind: str) -> bytes:
        from service.rendering.answers import drawn  # noqa: PLC0415 - for those who want one

        return drawn(self._name, self._result, self._query, kind, self._session)

    def replayed(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        from aggregation.replay import replay  # noqa: PLC0415 - takes a second to import

        return dict(as_json(replay(self._session.lake, answer).to_dict()))
