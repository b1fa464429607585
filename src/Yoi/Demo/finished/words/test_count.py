from words import count_words


def test_two_spaces_are_no_word():
    assert count_words("a  b") == 2
