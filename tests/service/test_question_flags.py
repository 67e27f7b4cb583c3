"""Options of questions that hold unless it is said otherwise, and names that two of them would have."""

import warnings

import click
import pytest

from aggregation import questions
from aggregation.questions import QUESTIONS
from service.cli.questions import arguments_of, given_values, option_of
from service.parameters import assemble, parameters_of


def parsed(name, *arguments):
    """The query that the arguments give, as the command line reads them."""
    model = questions.question(name).query
    parameters = parameters_of(model)
    command = click.Command(name, params=[option_of(p) for p in parameters])
    given = command.make_context(name, list(arguments)).params
    return questions.read(name, assemble(model, given_values(parameters, given)))


@pytest.mark.parametrize(
    ("name", "flag"),
    [("exposure", "collateral"), ("exposure", "look_back"), ("cva", "collateral"), ("sa-cva", "market")],
)
def test_what_holds_by_default_can_be_said_not_to(name, flag):
    option = flag.replace("_", "-")
    asked = ["--as-of", "2020-03-16"]
    assert getattr(parsed(name, *asked), flag) is True
    assert getattr(parsed(name, *asked, f"--{option}"), flag) is True
    without = parsed(name, *asked, f"--no-{option}")
    assert getattr(without, flag) is False
    told = without.model_dump(mode="json", by_alias=True)
    assert f"--no-{option}" in arguments_of(type(without), told)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_no_two_options_have_one_name(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = [option_of(p) for p in parameters_of(questions.question(name).query)]
        click.Command(name, params=options).make_parser(click.Context(click.Command(name, params=options)))
    names = [n for o in options for n in (*o.opts, *o.secondary_opts)]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
