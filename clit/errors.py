"""The exceptions of the package."""


class UserError(ValueError):
    """Wrong input. The message is one clear sentence: what is wrong and what to do about it.

    The command line prints it and exits with 2; the page shows it.
    """


class Cancelled(Exception):
    """A rendering stopped because its `cancel` function returned True."""
