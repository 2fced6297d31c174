"""The one exception a person is meant to read."""


class UserError(ValueError):
    """Wrong input, said in one clear sentence: what is wrong and what to do about it.

    The command line prints it and exits with 2, the page shows it, Python raises it.
    """


class Cancelled(Exception):
    """A rendering stopped because its `cancel` callable returned True."""
