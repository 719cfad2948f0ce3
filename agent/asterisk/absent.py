"""Stands in for Reload where the settings say that this machine has no Asterisk; called by `apply`. Deliberately does nothing."""


class NoAsterisk:
    """Takes every change as it is: there is nobody to tell."""

    state = "none"
    available = False

    def apply(self, modules, expectations=()):
        pass
