"""Between a green model and production: gate, report, image, registry and deployment."""
