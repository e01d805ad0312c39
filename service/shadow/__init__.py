"""Let a challenger score every recorded decision beside the champion, and compare the two.

The challenger answers nobody. The service starts `python -m service.shadow score --watch` as a
process of its own where CREDIT_PD_CHALLENGER names a folder, so that it delays no decision. Each
score is an entry of the ledger of the kind `shadow`, which refers to the champion's decision.

- `challenger`: pack and load the folder of a challenger, and score recorded applications
- `records`: read the decisions that wait for a score, and record each score once
- `scoring`: score what waits, once or for ever
- `pairs`: read what both say of the same applications; `report`: compare them, and the outcomes
- `__main__`: `python -m service.shadow score | report | pack`
"""
