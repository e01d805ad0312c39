"""Follow the directions of risk again with the artifact, where a change has code of its own.

What evaluation.json says of them is not in the predictions. Elsewhere the second training vouches
for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from release import revisions
from release.gate.judgement import Judgement, RedFlag
from release.gate.reproduction import programs
from release.gate.reproduction.rescoring import CODE, JUDGED, SECONDS, WINNER

FOLLOW = """
import json, sys
from pathlib import Path
from stages.contract import prepared
from stages.judging import monotone
from stages.models import model_file
winner, data = map(Path, sys.argv[1:])
model, rows = model_file.read(winner), prepared.read(data / "prepared/test.parquet")
encoded = model.features.encode(prepared.columns(rows, model.features.inputs))
fields = monotone.check_directions(model, encoded, rows.column("_row").to_numpy())
print(json.dumps({name: field["violations"] for name, field in fields.items()}))
"""


def find_red_flags(judgement: Judgement) -> Iterator[RedFlag]:
    """Yield the fields of which this gate sees other violations than the change's code states."""
    config, base = judgement.params, judgement.base
    changed = revisions.list_changed(base, *CODE) if base else []
    if config is None or not changed or not (config.data / "prepared").is_dir():
        return
    judged = JUDGED if JUDGED.is_file() else WINNER
    given, what = ["-c", FOLLOW, str(judged), str(config.data)], "following directions of risk"
    ours = json.loads(programs.run(given, programs.OURS, what=what, seconds=SECONDS))
    fields = ((judgement.metrics or {}).get("monotone") or {}).get("fields") or {}
    stated = {name: field.get("violations") for name, field in fields.items()}
    if wrong := sorted(n for n in ours.keys() | stated if ours.get(n) != stated.get(n)):
        seen = ", ".join(f"{n}: {stated.get(n)}, this gate {ours.get(n)}" for n in wrong)
        words = f"the change's own code alone gives the violations of directions of risk: {seen}"
        yield RedFlag("code.directions", words)
