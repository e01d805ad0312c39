"""The pipeline: verbs are DVC stages, nouns are the code they share with the service."""
