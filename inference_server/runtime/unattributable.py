"""Why a network's logits can't be attributed to its parts."""


class UnattributableError(Exception):
    """The message completes: contributions are not supported for this architecture, because …"""
