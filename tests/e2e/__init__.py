"""Tests with real parts: a container engine, a registry, a proxy, an S3 server."""
