"""Build, check and publish the image of the service: `python -m release.image`.

- `bento`: the files and facts that go into it
- `container_engine`: docker or podman, by its command line
- `run_check`: run an image as a host runs it, and compare its answers with the golden records

`release.tracking` imports the facts of `bento`.
"""
