"""The decision service and what watches it; where to look:

- deciding: `engine` reads by `requests`, scores by `trees` and `forest`, tells `reasons`; `explain`
  and `counterfactual` for `/explain`; `batch` for files
- answering: `front` guards and routes, `desk` decides, records and answers, `together` gathers what
  comes at once; `answers` and `openapi` describe, `ui/` is the page, `service` ties it to BentoML
- remembering: `ledger/`, the hash-chained record of every decision
- watching: `watch` in the service starts `monitor`, which judges `windows` by `drift` and `rules`,
  `performance`, `fairness`, `outcomes`, and keeps `reports`; `refusals` what was never decided;
  `alerts` and `dispatch` tell people and the repository
- looking: `figures` for Prometheus, `dashboard` with `panels`, `charts` and `history`; `traffic`
- running: `image`, `Dockerfile`, `compose.yaml` with `prometheus/`, `alertmanager/`, `grafana/`
"""
