"""Write what the tasks of `python -m stages.policy` return as text for people."""

from __future__ import annotations

from typing import Any

from stages.replay import rejects, stress, table


def in_words(content: dict[str, Any]) -> str:
    """Return a result as text."""
    if "rejects" in content:
        text = rejects.as_text(content["rejects"])
        return f"{content['dataset']}, {content['split']} rows\n\n{text}"
    if "scenarios" in content:
        text = stress.as_text(content["scenarios"])
        return f"{content['dataset']}, {content['split']} rows\n\n{text}"
    if "judged" in content:
        figure = content["judged"]["figures"]["approved_bad_rate"]["proposed"]
        seen = (
            "On the test rows, which had no part in the choice, the bad rate among the approved is "
            f"{figure['value']:.2%} ({figure['low']:.2%} to {figure['high']:.2%})."
        )
        return f"{content['explanation']}\n{seen}\n\n{in_words(content['judged'])}"
    text = f"{content['dataset']}, {content['split']} rows: {table.as_text(content)}"
    if content["unlike_predictions"] and content["split"] == "test":
        text += (
            f"\n\nThe present policy decides {content['unlike_predictions']:,} rows otherwise than "
            "models/predictions.parquet: run `dvc repro`"
        )
    return text
