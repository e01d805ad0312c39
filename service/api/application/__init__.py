"""The application that answers requests, with the tasks that run beside it.

- `asgi` is the application that wraps BentoML's
- `answers` sends answers and refusals
- `request_log` gives requests an identifier, and logs their answers
- `traces` exports a span of each request, where a setting says so
- `background` runs the periodic tasks of a worker
- `garbage` keeps Python's garbage collector from stopping a worker

Only `service` and `worker` import from here.
"""
