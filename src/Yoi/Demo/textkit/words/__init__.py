from .count import count_words

__version__ = "1.0.0"
