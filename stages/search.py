"""Search a candidate's parameters, for a book that nobody has searched.

    python -m stages.search CANDIDATE

Which books were searched, `search.found` in params.yaml says, with what was found for them.
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ValidationError

from stages import errors, params, project
from stages.models import registry
from stages.models.fitting import found_parameters


def main(name: str) -> None:
    """Write `models/search/<name>.json`."""
    config = params.load()
    stated = config.search.found.get(config.dataset)
    if stated is None:
        found = search(config, name)
    else:
        print(f"search: {config.dataset} is not searched: `search.found` states its parameters")
        found = {"parameters": check_values(config, name, stated.candidates())}
    found_parameters.write(config, name, found)


def search(config: params.Params, name: str) -> dict[str, Any]:
    """Return the best parameters of a candidate; none where it cannot stop early."""
    from stages.tune import early_stopped  # noqa: PLC0415  (a book that was searched needs no Optuna)

    if not (config.search.trials and registry.load(name).fit_until):
        return {"parameters": {}}
    return early_stopped.search(name, config)


def check_values(
    config: params.Params, name: str, found: dict[str, dict[str, int | float]]
) -> dict[str, int | float]:
    """Return what was found for a candidate; raises ParamsError where it cannot have that."""
    for stated_name in found:
        config.candidate(stated_name)
    stated, values = config.candidate(name), found.get(name, {})
    if not values:
        return {}
    try:
        type(stated).model_validate(stated.model_dump() | values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = f"search.found.{config.dataset}.{name}.{'.'.join(map(str, first['loc']))}"
        raise params.ParamsError(
            f"params.yaml: {place}: {first['msg']}; got {first['input']!r}"
        ) from None
    return values


if __name__ == "__main__":
    project.enter()
    candidate = registry.candidate_argument(sys.argv[1:], "stages.search")
    with errors.one_message():
        main(candidate)
