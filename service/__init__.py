"""The decision service: it decides about applications, remembers every decision and watches them.

- `decision` decides, without web and ledger; `ledger` records, without knowing decisions
- `transparency` signs checkpoints of the ledger and proves what it holds
- `monitoring` reads the ledger and looks for drift, `dashboard` shows what it found
- `api` ties them together over HTTP; `service` hands it to BentoML, `image` packs it
- `settings` reads the environment for all of them

Commands: `serve`, `batch` scores files, `replay` scores a recorded decision again, `traffic` sends
applications to a service on this machine by `loopback`, `demo` runs everything, `ready` asks
whether the service takes requests.
"""
