"""Time the service and other ways to serve, and load it with more than it can answer."""
