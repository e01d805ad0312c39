"""The page that watches the model."""
