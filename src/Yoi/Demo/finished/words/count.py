"""Counting words."""


def count_words(text):
    """Number of words in a text."""
    return len(text.split())
