"""The parameters of the pipeline: everything that params.yaml says, read and checked.

    from stages import params
    params.load().evaluate.choose_by

- `sections`: the sections of params.yaml, and what each of their parameters may be
- `commands`: those sections that no stage reads
- `reading`: reads the file, with the sections of the candidates, which their own files check
- `errors`: the messages, which name the parameter that is unknown or impossible
"""

from stages.params.errors import ParamsError
from stages.params.reading import load, model_with_candidates
from stages.params.sections import Evaluate, Params, Preprocess, Refit

__all__ = [
    "Evaluate",
    "Params",
    "ParamsError",
    "Preprocess",
    "Refit",
    "load",
    "model_with_candidates",
]
