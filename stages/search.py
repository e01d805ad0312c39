"""Search the parameters of boosters for a book that nobody has searched: `python -m stages.search`.

Which books were searched, `search.found` in params.yaml says, with what was found for them.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from stages import errors, params, project
from stages.models import registry
from stages.models.fitting import found_parameters


def main() -> None:
    """Write `models/search.json`."""
    config = params.load()
    stated = config.search.found.get(config.dataset)
    if stated is None:
        found, blend = search_all(config), config.search.blend
    else:
        print(f"search: {config.dataset} is not searched: `search.found` has its parameters")
        found = {
            name: {"parameters": check_values(config, name, values)}
            for name, values in stated.candidates().items()
        }
        blend = stated.blend
    listed = [name for name in blend if name in config.candidates]
    found_parameters.write(config, found, listed if len(listed) > 1 else [])


def search_all(config: params.Params) -> dict[str, Any]:
    """Return the best parameters of each candidate that is listed and can stop early."""
    from stages.tune import early_stopped  # noqa: PLC0415  (a book that was searched needs no Optuna)

    if not config.search.trials:
        return {}
    names = [name for name in config.candidates if registry.load(name).fit_until]
    return {name: early_stopped.search(name, config) for name in names}


def check_values(config: params.Params, name: str, values: dict[str, float]) -> dict[str, float]:
    """Return parameters of a candidate; raises ParamsError where it cannot have them."""
    stated = config.candidate(name)
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
    with errors.one_message():
        main()
