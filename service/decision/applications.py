"""Check applications against the contract.

A pydantic model made from the contract checks every field and describes itself for OpenAPI. What
it cannot express is checked after it: ratios that the application states, and rules between fields.
Each problem names its field, what is allowed and what came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from math import isnan
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as Key

from service.decision import history
from service.decision.field_types import example_value, part_of
from service.decision.json_bodies import decode, unwrap
from service.decision.problems import (
    Problem,
    allowed_values,
    as_text,
    clip,
    contradiction,
    quote,
    rule_of,
)
from stages.contract.derived import Derived
from stages.contract.schema import AVAILABLE, Contract, Mode
from stages.features.encoding import codes_of
from stages.features.matrix import Floats

NAN = float("nan")
ARGUMENT = "application"  # the name under which BentoML's clients send an application
MOST = 50  # problems in one answer


class InvalidApplication(ValueError):
    """An application breaks the contract; `problems` has one entry per field."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(p.message for p in problems))
        self.problems = problems


class Applications:
    """Reads and checks the applications to a model of one contract and mode.

    Attributes
    ----------
    model : the pydantic model of an application's fields.
    fields : the contract's fields that an application may have, by name.
    required : the names of those that it must have.
    protected : the names of those that no model reads, and that are recorded apart.
    histories : the histories whose lines a model reads, by name.
    keys : the names of keys by which lines can be fetched, each with what it finds.
    stated : derived values that an application may state, by the name that it states them under.
    checks : the contract's rules between the fields that an application may have.
    example : an application made from the contract's examples.
    """

    def __init__(self, contract: Contract, mode: Mode) -> None:
        read = {f.name for f in contract.inputs(mode)}
        self.fields = {f.name: f for f in contract.fields.values() if f.known_at != "outcome"}
        self.required = {
            f.name for f in self.fields.values() if f.constraints.required and f.name in read
        }
        self.protected = frozenset(f.name for f in self.fields.values() if f.protected)
        self._late = {f.name for f in contract.fields.values() if f.known_at == "outcome"}
        self._late.add(contract.target.field)
        self.stated = {d.stated_as: d for d in contract.derived.values() if d.stated_as}
        self.histories = {
            name: contract.history[name] for name in history.histories_read(contract, mode)
        }
        self.keys = history.keys_of(self.histories, self.fields)
        self.names = {*self.fields, *self.stated, *self.histories, *self.keys}
        self.checks = [
            check
            for check in contract.checks.values()
            if self.fields.keys() >= {*check.parsed.fields}
        ]
        self.rules = {check.rule for check in self.checks}
        self._parsed = [(check, check.parsed, check.parsed.fields) for check in self.checks]
        self._contract = contract
        self._codes = {f.name: codes for f in self.fields.values() if (codes := codes_of(f))}
        self._missing = {f.name: f.missing_codes for f in self.fields.values() if f.missing_codes}
        self.model = self._model()
        self._validate = self.model.__pydantic_validator__.validate_python
        shown_by = AVAILABLE[mode]
        self.example = {
            f.name: example_value(f) if f.example is None else f.example
            for f in self.fields.values()
            if f.name in self.required or (f.example is not None and f.known_at in shown_by)
        }
        self.example |= {name: [history.example_line(h)] for name, h in self.histories.items()}

    def parse(self, body: bytes) -> dict[str, Any]:
        """Return the application in the body of a request, checked.

        Raises NotJSON where the body is no JSON, InvalidApplication where it breaks the contract.
        """
        return self.check(self.read(body))

    def read(self, body: bytes) -> object:
        """Return the application in the body of a request, not checked; raises NotJSON."""
        value = decode(body)
        return value if ARGUMENT in self.names else unwrap(value, ARGUMENT)

    def check(self, application: object) -> dict[str, Any]:
        """Return the application unchanged if it keeps the contract; raises InvalidApplication."""
        if not isinstance(application, dict):
            allowed = "a JSON object of field names and values"
            got = quote(application)
            message = f"an application must be {allowed}; got {as_text(got)}"
            raise InvalidApplication([Problem("", message, allowed, got, "object")])
        unknown = [name for name in application if name not in self.names]
        if len(unknown) > MOST:  # too many to look for the likely names of all
            some = unknown[:MOST]
            raise InvalidApplication(
                [self._describe_unknown(n, quote(application[n]), "") for n in some]
            )
        try:
            self._validate(application)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            # A field that takes a value or a missing code has an error for each of the two.
            by_place = {self._place(e["loc"]): e for e in reversed(errors)}
            first = [
                by_place[place] for place in dict.fromkeys(self._place(e["loc"]) for e in errors)
            ]
            raise InvalidApplication([self._problem(e) for e in first[:MOST]]) from None
        values = self._values(application)
        problems = [
            *history.lacking_lines(self.histories, values),
            *self._find_misstated(values),
            *self._contradictions(values),
        ]
        if problems:
            raise InvalidApplication(problems)
        return application

    def keep_rules(self, columns: Mapping[str, Floats], application: Mapping[str, Any]) -> Any:
        """Tell which of n variants of an application keep the rules between fields: (n,) or True.

        `columns` (n,) hold the numbers that vary; `application` has all other values.
        """
        keeps: object = True
        values = self._values(application)
        for _, rule, names in self._parsed:
            sides = self._numbers(names, values) | {n: columns[n] for n in names if n in columns}
            keeps = keeps & (rule.holds(sides) | ~rule.has_values(sides))
        return keeps

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of an application, with its example."""
        return self.model.model_json_schema() | {"example": self.example}

    def _model(self) -> type[BaseModel]:
        parts: dict[str, Any] = {
            name: part_of(f, name in self.required) for name, f in self.fields.items()
        }
        for name, derived in self.stated.items():
            about = f"{derived.formula}, within {derived.tolerance}; computed again, and compared"
            number = Annotated[float, Key(strict=True, allow_inf_nan=False)] | None
            parts[name] = (number, Key(default=None, title=derived.title, description=about))
        parts |= {name: history.lines_type(name, h) for name, h in self.histories.items()}
        parts |= {name: history.key_type(name, titles) for name, titles in self.keys.items()}
        return create_model("Application", __config__=ConfigDict(extra="forbid"), **parts)

    def _place(self, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
        """Return the place of an error: a field, or a field of a line."""
        return loc[:3] if loc[0] in self.histories else loc[:1]

    def _problem(self, error: Mapping[str, Any]) -> Problem:
        name = str(error["loc"][0])
        if name in self.histories:
            return history.problem_of_line(self.histories[name], name, error)
        if error["type"] == "extra_forbidden":
            return self._describe_unknown(name, quote(error["input"]))
        field = self.fields.get(name)
        limit = allowed_values(field) if field else history.KEY if name in self.keys else "a number"
        if name not in self.required:
            limit += ", or null"
        if error["type"] == "missing":
            return Problem(name, f"{name} is required: {limit}", limit, None, "missing")
        got = quote(error["input"])
        code = rule_of(field, got) if field else "type"
        return Problem(name, f"{name} must be {limit}; got {as_text(got)}", limit, got, code)

    def _describe_unknown(self, name: str, got: object, hint: str | None = None) -> Problem:
        allowed = [*self.fields, *self.stated, *self.histories, *self.keys]
        name = clip(name)
        if name in self._late:
            message = f"{name} is known only after the loan was paid out: leave it out"
        else:
            if hint is None:
                near = get_close_matches(name, allowed, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
            message = f"{name} is not a field of this contract{hint}"
        return Problem(name, message, f"one of {', '.join(allowed)}", got, "unknown")

    def _find_misstated(self, application: Mapping[str, Any]) -> Iterator[Problem]:
        for name, derived in self.stated.items():
            value = application.get(name)
            true = self._derive(derived, application)
            if value is not None and true is not None and abs(value - true) > derived.tolerance:
                limit = f"{derived.formula}, here {true:.6g}, within {derived.tolerance}"
                yield Problem(name, f"{name} must be {limit}; got {value}", limit, value, "stated")

    def _contradictions(self, application: Mapping[str, Any]) -> Iterator[Problem]:
        for check, rule, names in self._parsed:
            sides = self._numbers(names, application)
            if not rule.holds(sides) and rule.has_values(sides):
                yield contradiction(check, application)

    def _values(self, application: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the application with None in place of the codes that stand for missing values."""
        if not self._missing:
            return application
        codes = {n: None for n, meanings in self._missing.items() if application.get(n) in meanings}
        return {**application, **codes} if codes else application

    def derive(self, derived: Derived, columns: Mapping[str, Any]) -> Any:
        """Return a derived value for numbers, or (n,) for columns (n,); NaN where it is missing."""
        if derived.ratio:
            return derived.ratio.values(columns)
        values = dict(columns)
        for step in self._contract.steps_of([derived]):
            values[step.name] = step.values(values)
        return values[derived.name]

    def _derive(self, derived: Derived, application: Mapping[str, Any]) -> float | None:
        """Return a derived value; None where it is missing, or where its ratio divides by 0."""
        sources = self._contract.sources_of(derived)
        value = float(self.derive(derived, self._numbers(sources, application)))
        return None if isnan(value) else value

    def _numbers(self, names: Iterable[str], application: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of fields as numbers, by name; NaN where one is missing."""
        return {name: self._number(name, application.get(name)) for name in names}

    def _number(self, name: str, value: object) -> Any:
        if value is None:
            return NAN
        return self._codes[name][value] if name in self._codes else value
