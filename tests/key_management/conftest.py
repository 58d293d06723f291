"""What the tests of the keyring share."""

from keyring_samples import connection, keyring, keys

__all__ = ["connection", "keyring", "keys"]
