"""CLIP's tokeniser without PyTorch: byte-pair encoding by the ``tokenizers`` library, from CLIP's list of merges."""

from __future__ import annotations

import html
import importlib
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from space_clip_ros.libraries import import_error

_END_OF_WORD = "</w>"
_START, _END = "<start_of_text>", "<end_of_text>"
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
# ftfy, which CLIP's own tokeniser calls first, makes these quotes plain, too.
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


class ClipTokenizer:
    """Turns texts into CLIP's token numbers."""

    def __init__(self, merges: str, context_length: int = 77) -> None:
        """Build the vocabulary.

        Args:
            merges: CLIP's pairs, best first, one a line, separated by a space.
            context_length: tokens of a text, its start and end included.

        Raises:
            LibraryError: the tokenizers package is not installed.
        """
        library = _tokenizers()
        pairs = [(first, second) for first, second in (line.split(" ") for line in merges.splitlines() if line)]
        letters = _byte_letters()
        names = [*letters, *(letter + _END_OF_WORD for letter in letters), *map("".join, pairs), _START, _END]
        vocabulary = {name: number for number, name in enumerate(names)}
        self.context_length = context_length
        self._start, self._end = vocabulary[_START], vocabulary[_END]
        model = library.models.BPE(vocab=vocabulary, merges=pairs, end_of_word_suffix=_END_OF_WORD)
        self._tokenizer = library.Tokenizer(model)
        split = library.pre_tokenizers.Split(library.Regex(_WORDS), behavior="removed", invert=True)
        as_bytes = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([split, as_bytes])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return (N, context_length) token numbers; a text that is too long is cut, as CLIP does."""
        numbers = np.zeros((len(texts), self.context_length), np.int64)
        for row, text in zip(numbers, texts, strict=True):
            tokens = self._tokenizer.encode(clean(text), add_special_tokens=False).ids
            tokens = [self._start, *tokens[: self.context_length - 2], self._end]
            row[: len(tokens)] = tokens
        return numbers


def clean(text: str) -> str:
    """Return a text as CLIP reads it: lower case, single spaces, without HTML escapes and curly quotes."""
    plain = unicodedata.normalize("NFC", html.unescape(html.unescape(text)).translate(_QUOTES))
    return " ".join(plain.split()).lower()


def _byte_letters() -> list[str]:
    """Return a printable letter for each byte, in the order of CLIP's vocabulary (GPT-2's)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printable)
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(others)]


def _tokenizers() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        raise import_error(error, "tokenizers") from error
