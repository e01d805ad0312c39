# The environment of the scheduler and the workers; the code is mounted by dask.yaml.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY requirements/pipeline.txt /requirements.txt
RUN pip install --no-cache-dir --require-hashes --requirement /requirements.txt
