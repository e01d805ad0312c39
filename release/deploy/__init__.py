"""Bring an image into production."""
