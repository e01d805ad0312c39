"""Judge a change against its base."""
