"""Read the loans of both sides, whatever part they are in, for what became of them.

The predictions lack loans: those that no fold judged, and those whose outcome was not known when
the next part began. Which these are moves with time. The prepared rows and the base file have them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import yaml

from release import revisions
from release.dvc_state import Storage, locked_outputs, read_text
from release.gate import comparison
from release.gate.judgement import Judgement
from release.gate.predictions import Predictions
from release.revisions import CannotJudge
from stages.contract import prepared
from stages.contract import reading as contracts
from stages.contract.schema import Contract
from stages.features.split import SPLITS
from stages.judging.predictions import read_keys


class Book(NamedTuple):
    """One side's loans with `part`, `bad`, `date` and `fields`, by their keys."""

    loans: pd.DataFrame
    keys: frozenset[str] | None  # of all loans that its tables hold; None where nobody knows
    has_window: bool = False  # a loan that is younger than its outcome may be in no part


def of_predictions(
    champion: Predictions, challenger: Predictions, *, same_fields: bool
) -> tuple[Book, Book]:
    """Return the champion's test rows, and where the challenger has them."""
    old, new = champion.split("test"), challenger.table
    names = comparison.identity(old, new, same_fields=same_fields)
    if names != ["loan"]:
        new = challenger.split("test")
    both = []
    for rows in (comparison.number_rows(each, names) for each in (old, new)):
        table = rows.set_index(rows[names].astype(str).agg("/".join, axis=1))
        table = table.assign(
            part=table["split"], fields=table["fields"].astype(str) if same_fields else ""
        )
        both.append(table[["part", "bad", "date", "fields"]])
    keys = frozenset(both[1].index) if names == ["loan"] else None
    return Book(both[0], None), Book(both[1], keys)


def of_tables(judgement: Judgement, held: Storage) -> tuple[Book, Book] | None:
    """Return all loans of the base and of the head, whose shared fields are compared.

    None where the prepared rows are the same, or where the loans of one side have no key.
    """
    base, config = judgement.base, judgement.params
    if base is None or config is None:
        return None
    prepared_rows, raw = str(config.data / "prepared"), config.data / "raw"
    texts = revisions.content(base, "dvc.lock") or "", read_text(Path("dvc.lock"))
    then, now = (locked_outputs(text).get(prepared_rows) for text in texts)
    text = revisions.content(base, str(config.data / "contract.yaml"))
    if then is None or then == now or text is None:
        return None
    former, contract = contracts.read(text), contracts.load(config.dataset)
    if not all(each.tables[each.base_table].keys for each in (former, contract)):
        return None
    shared = sorted({*known_fields(former)} & {*known_fields(contract)})
    with tempfile.TemporaryDirectory(prefix="credit-pd-") as made:
        copy, table = Path(made), former.tables[former.base_table].path
        contents = {f"raw/{table}": base_file(base, raw, table, held)}
        for part in SPLITS:
            name = f"{part}.parquet"
            contents[f"prepared/{name}"] = held.read_member(then[0], prepared_rows, name)
        for name, content in contents.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(content)
        return read(copy, former, shared), read(config.data, contract, shared)


def known_fields(contract: Contract) -> list[str]:
    """Return the fields that are known before the outcome."""
    return [name for name, field in contract.fields.items() if field.known_at != "outcome"]


def base_file(base: str, raw: Path, name: str, held: Storage) -> bytes:
    """Return the file of the base's loans; CannotJudge where it cannot be had."""
    pointer = yaml.load(revisions.content(base, f"{raw}.dvc") or "{}", yaml.CSafeLoader)
    outs = [out for out in pointer.get("outs") or [] if out.get("path") == raw.name]
    if outs:
        return held.read_member(outs[0]["md5"], str(raw), name)
    content = revisions.git("show", f"{base}:{raw / name}")
    if content is None:
        raise CannotJudge(f"the base has neither {raw}.dvc nor {raw / name}")
    return content


def read(data: Path, contract: Contract, fields: list[str]) -> Book:
    """Return the loans of a dataset's folder."""
    parts, keys = [], read_keys(contract, data / "raw")
    if keys is None:
        raise CannotJudge(f"{data}: the contract names no key of its loans")
    for part in SPLITS:
        table = prepared.read(data / "prepared" / f"{part}.parquet")
        dates = prepared.dates(table, contract)
        facts = {
            "loan": keys.to_numpy()[table.column("_row").to_numpy()],
            "part": part,
            "bad": prepared.outcome(table),
            "date": pd.NaT if dates is None else dates.astype("datetime64[s]"),
            "fields": fingerprints(table, fields),
        }
        parts.append(pd.DataFrame(facts))
    loans = pd.concat(parts).set_index("loan")
    return Book(loans, frozenset(keys), has_window=contract.outcome is not None)


def fingerprints(table: pa.Table, fields: list[str]) -> list[str]:
    """Return a hash of each row's fields (n,), the same where numbers are stored otherwise."""
    frame = table.select(fields).to_pandas()
    for name in fields:
        kept = frame[name]
        frame[name] = (
            kept.astype(float) if pd.api.types.is_numeric_dtype(kept) else kept.astype(str)
        )
    return pd.util.hash_pandas_object(frame, index=False).astype(str).tolist()
