"""What runs on the serving host: the standard library only, so that Python 3.9 will do."""


class Refused(Exception):
    """A deployment that must not go on; the message tells the operator why."""


class RolledBack(Refused):
    """A deployment that was live for a moment, failed there, and was taken back."""
