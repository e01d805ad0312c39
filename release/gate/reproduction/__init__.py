"""Do again what made the results of a change, and compare: `python -m release.gate.reproduction`.

- `outputs`: what training again gave, beside what was pushed
- `rescoring`: the PDs that the artifact gives
- `judged_rows`: what the prepared rows say of the predictions' rows
- `preparation`: the prepared rows that the code of this gate gives
- `directions`: the directions of risk that the artifact keeps
- `blind_training`: the winner that training gives without the test part
- `programs`: run Python apart, and alone
- `pickled_names`: what a joblib file would import, without importing it
"""
