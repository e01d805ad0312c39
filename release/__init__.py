"""Between a green model and production; where to look:

- judging: `gate` holds a change against its base by `limits`, `checks` and `contest`, on figures
  that `recount` proves from `predictions`; `revisions` and `storage` know git and DVC
- telling: `report` from `sections`, `origin` and `impact`
- the image: `image` builds, proves and publishes by `bento`, `engine` and `trial`
- production: `registry` says what is live, `deploy` reaches the hosts, `host/` is what runs there,
  `infra/` what AWS needs
- around: `remote` moves data, `retrain` makes the weekly challenger, `tracking` shows it in MLflow
"""
