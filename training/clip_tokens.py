"""CLIP's byte-pair tokens, from its published merges (`bpe_simple_vocab_16e6.txt.gz`).

The merges come with the PyPI package `open_clip_torch`; only that file is used.
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path

BEGIN, END = 49406, 49407
CONTEXT = 77
# Letters, single digits, then runs of anything else; enough for the prompts of this model.
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE)


def _byte_letters() -> dict[int, str]:
    """CLIP writes each byte as a printable letter (as GPT-2 does)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in plain}
    extra = 0
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + extra)
            extra += 1
    return letters


class Tokenizer:
    def __init__(self, merges_file: str | Path) -> None:
        lines = gzip.open(merges_file, "rt", encoding="utf-8").read().split("\n")
        merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
        self.letters = _byte_letters()
        alphabet = list(self.letters.values())
        words = alphabet + [letter + "</w>" for letter in alphabet] + ["".join(pair) for pair in merges]
        self.ids = {word: index for index, word in enumerate(words)}
        self.ranks = {pair: index for index, pair in enumerate(merges)}
        self.word = lru_cache(maxsize=100_000)(self._word)

    def _word(self, word: str) -> tuple[int, ...]:
        parts = [self.letters[byte] for byte in word.encode("utf-8")]
        parts[-1] += "</w>"
        while len(parts) > 1:
            pairs = {(parts[i], parts[i + 1]): i for i in reversed(range(len(parts) - 1))}
            best = min(pairs, key=lambda pair: self.ranks.get(pair, 1 << 30))
            if best not in self.ranks:
                break
            i = pairs[best]
            parts[i : i + 2] = ["".join(best)]
        return tuple(self.ids[part] for part in parts)

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text, without beginning, end or padding."""
        return [token for word in _WORDS.findall(text.lower()) for token in self.word(word)]


def frame(tokens: list[int]) -> list[int]:
    """Exactly 77 tokens: beginning, text, end; padded with the end token, as SD 1.x does."""
    inner = tokens[: CONTEXT - 2]
    return [BEGIN, *inner] + [END] * (CONTEXT - 1 - len(inner))
