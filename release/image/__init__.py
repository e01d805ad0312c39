"""Build, prove and publish the image of the service."""
