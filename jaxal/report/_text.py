"""Names and paths as a terminal or a picture may show them: they come from files, not from us."""


def printable(text: object) -> str:
    r"""The text with control characters and the like as escapes, so that it only ever shows itself.

    An escape sequence in a name could otherwise set a terminal's title or colours.

    Args:
      text: a name, a path or a message.

    Example:
      >>> printable("badge\x1b]0;title\x07")
      'badge\\x1b]0;title\\x07'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )
