"""Run in Feast's environment: materialize the views, and read them as of the past.

`python feast_store.py ASKED.json OUT.json` writes the lines that each key of ASKED had at its time.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from feast import FeatureStore

if __name__ == "__main__":
    asked = pd.DataFrame(json.loads(Path(sys.argv[1]).read_text()))
    asked["event_timestamp"] = pd.to_datetime(asked["event_timestamp"], utc=True)
    store = FeatureStore(".")
    store.materialize(datetime(2015, 1, 1, tzinfo=UTC), datetime.now(UTC))
    past = store.get_historical_features(asked, ["payments:lines"]).to_df()
    past[["person", "lines"]].to_json(sys.argv[2], orient="records")
