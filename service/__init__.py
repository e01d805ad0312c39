"""The decision service: it decides about applications, records each decision, and monitors them.

- `users` knows who calls: API keys, tokens of people, and their roles
- `decision` makes decisions and imports neither HTTP nor the ledger
- `sources` fetches lines of histories that an application does not state
- `ledger` records decisions and imports nothing of `decision`
- `transparency` signs checkpoints of the ledger and proves its content
- `monitoring` reads the ledger and looks for drift; `dashboard` shows its reports
- `shadow` lets a challenger score the recorded decisions beside the champion, and compares them
- `letters` writes to applicants about recorded decisions
- `api` connects these packages over HTTP
- `service` declares the endpoints to BentoML; `worker` makes what a process answers with;
  `supervisor` replaces a worker that has ended; `image` says how BentoML builds the image
- `settings` reads every environment variable of the service

Commands: `serve` starts the service, `batch` scores a file, `replay` scores a recorded decision
again, or all of them under another policy (`ledger_replay`), `traffic` sends applications to a
service on this machine through `loopback`, `demo` runs service, dashboard and traffic, and `ready`
tells whether the service takes requests.
"""

from stages import project

project.require_environment()
