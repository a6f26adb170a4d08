import unittest

import words


class CountTest(unittest.TestCase):
    def test_counts(self):
        self.assertEqual(words.count("a b a"), {"a": 2, "b": 1})

    def test_ignores_case(self):
        self.assertEqual(words.count("To be or not to be"),
                         {"to": 2, "be": 2, "or": 1, "not": 1})


if __name__ == "__main__":
    unittest.main()
