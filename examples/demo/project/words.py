"""Count words."""


def count(text):
    """How often each word occurs, whatever its case."""
    result = {}
    for word in text.split():
        result[word] = result.get(word, 0) + 1
    return result
