"""Saved views of the web pages."""

from __future__ import annotations

from flask import Response
from pydantic import ConfigDict, Field

from service.api import models
from service.api.context import context, principal
from service.api.document import blueprint
from service.api.requests import Body, Parameters
from service.api.responses import json_answer
from service.saved_views import NewView, SavedView, SavedViews, ViewChange

api = blueprint("views", __name__, __doc__)


class NewViewBody(Body, NewView):
    """A view to save."""

    model_config = ConfigDict(title="NewView")


class ViewChangeBody(Body, ViewChange):
    """What to change of a saved view."""

    model_config = ConfigDict(title="ViewChange")


class ViewPath(Parameters):
    view_id: str = Field(description="id of the view")


class Views(models.Answer):
    rows: list[SavedView]


def _views() -> SavedViews:
    return SavedViews.of(context().lake)


@api.get("/views", responses={200: Views})
def views(query: Parameters) -> Response:
    """The saved views of whoever asks and those that are shared, by name; JSON alone."""
    return json_answer({"rows": [v.model_dump() for v in _views().seen_by(principal())]})


@api.post("/views", responses={200: SavedView})
def save_view(body: NewViewBody) -> Response:
    """Save a view, in place of one's own view of that name."""
    return json_answer(_views().save(body, principal()).model_dump())


@api.put("/views/<view_id>", responses={200: SavedView})
def change_view(path: ViewPath, body: ViewChangeBody) -> Response:
    """Rename a view of one's own, share it, or share it no longer."""
    return json_answer(_views().change(path.view_id, body, principal()).model_dump())


@api.delete("/views/<view_id>", responses={200: SavedView})
def delete_view(path: ViewPath) -> Response:
    """Delete a view of one's own; the answer is the view as it was."""
    return json_answer(_views().remove(path.view_id, principal()).model_dump())
