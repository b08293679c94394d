"""The errors of files that Claude would not accept."""


class UnfitMedia(Exception):
    """Claude would not accept a file. The message is a clause that describes what would be accepted."""


class UnknownMedia(UnfitMedia):
    """A file is of none of the types that this server accepts."""


DAMAGED = "the file is damaged and cannot be opened."
PROTECTED = "the file is protected by a password. Remove the password."
