"""From a notebook's words to a `Vocabulary`: which start and end captions, and which are none."""

from __future__ import annotations

from collections.abc import Sequence

from edgecap.importing.words import WordList
from edgecap_runtime.errors import OptionError
from edgecap_runtime.vocabulary import Vocabulary

_MARKED = (
    ("startseq", "endseq"),
    ("<start>", "<end>"),
    ("<startseq>", "<endseq>"),
    ("<s>", "</s>"),
    ("<S>", "</S>"),
    ("<bos>", "<eos>"),
    ("<sos>", "<eos>"),
    ("<BOS>", "<EOS>"),
    ("<SOS>", "<EOS>"),
    ("<START>", "<END>"),
    ("<go>", "<eos>"),
    ("[START]", "[END]"),
    ("[CLS]", "[SEP]"),
    ("#START#", "#END#"),
)
"""Words that start and end captions and nothing else, in pairs."""

_BARE = (("start", "end"), ("bos", "eos"), ("sos", "eos"), ("sostok", "eostok"))
"""What a Tokenizer leaves of marked ones; words of the language too, so they come second."""

_PADDING = ("<pad>", "<PAD>", "[PAD]", "pad", "<padding>", "#PAD#")
_UNKNOWN = ("<unk>", "<UNK>", "[UNK]", "unk", "UNK", "<oov>", "<OOV>", "#UNK#")


def make_vocabulary(
    found: WordList,
    *,
    start: str | None = None,
    end: str | None = None,
    padding_id: int = 0,
    masked: bool = True,
    never_say: Sequence[str] = (),
) -> Vocabulary:
    """Make the vocabulary of an imported captioner.

    Args:
        found: its words.
        start: the word that starts captions; None to find it.
        end: the word that ends them; None to find it.
        padding_id: the id that fills up prefixes.
        masked: whether the model skips that id in a prefix.
        never_say: further words that are never said.

    Returns:
        The vocabulary. Ids without a word get a placeholder that is never said.

    Raises:
        OptionError: start or end word is missing or ambiguous, or is the padding that is skipped.
    """
    words = tuple(
        _placeholder(number, padding_id, found.words) if word is None else word
        for number, word in enumerate(found.words)
    )
    ids = {word: number for number, word in enumerate(words)}
    start, end = _start_and_end(ids, start, end)
    if padding_id >= len(words):
        raise OptionError(
            f"the padding id is {padding_id} and the vocabulary has {len(words)} words; ids go "
            f"from 0 to {len(words) - 1}"
        )
    if masked and ids[start] == padding_id:
        raise OptionError(
            f"the start word {start!r} has the id {padding_id}, which the model masks, so it would "
            "never see where a caption starts; give the word that starts captions by --start, or "
            "--mask none if the model was trained without a mask"
        )
    silent = {number for number, word in enumerate(found.words) if word is None}
    silent |= {ids[_known(word, ids, "--never-say")] for word in never_say}
    if words[padding_id] in _PADDING:
        silent.add(padding_id)
    if ids[end] in silent:
        raise OptionError(
            f"the end word {end!r} is among those never said, so no caption could end; leave it out"
        )
    return Vocabulary(
        words=words,
        start_id=ids[start],
        end_id=ids[end],
        padding_id=padding_id,
        unknown_id=next((ids[word] for word in _UNKNOWN if word in ids), None),
        never_said=tuple(sorted(silent)),
    )


def padding_of(found: WordList, *, masked: bool, asked: int | None) -> int:
    """Give the id that fills up prefixes: 0 where it is masked, else that of a padding word.

    Raises:
        OptionError: another one is asked for than the model masks.
    """
    if masked:
        if asked:
            raise OptionError(
                f"the padding id is {asked} and the model masks id 0; leave --padding-id out"
            )
        return 0
    if asked is not None:
        return asked
    return next((place for place, word in enumerate(found.words) if word in _PADDING), 0)


def _start_and_end(ids: dict[str, int], start: str | None, end: str | None) -> tuple[str, str]:
    if start is not None:
        _known(start, ids, "--start")
    if end is not None:
        _known(end, ids, "--end")
    if start is not None and end is not None:
        return start, end
    for tier in (_MARKED, _BARE):
        fitting = [
            pair
            for pair in tier
            if pair[0] in ids
            and pair[1] in ids
            and start in (None, pair[0])
            and end in (None, pair[1])
        ]
        if len(fitting) > 1:
            named = " or ".join(f"{first} and {last}" for first, last in fitting)
            raise OptionError(
                f"captions may start and end with {named}; say which by --start and --end"
            )
        if fitting:
            return fitting[0]
    pairs = (*_MARKED, *_BARE)
    known = [sorted({pair[side] for pair in pairs if pair[side] in ids}) for side in (0, 1)]
    missing = [
        f"no {role} word" + (f" (only {', '.join(others)} to go with it)" if others else "")
        for role, given, mine, others in (
            ("start", start, known[0], known[1] if end is None else [end]),
            ("end", end, known[1], known[0] if start is None else [start]),
        )
        if given is None and not mine
    ] or ["no pair of a start and an end word"]
    raise OptionError(
        f"the vocabulary of {len(ids)} words has {' and '.join(missing)}; name both by --start "
        "WORD and --end WORD"
    )


def _known(word: str, ids: dict[str, int], option: str) -> str:
    if word not in ids:
        raise OptionError(
            f"{option} {word!r} is not among the vocabulary's {len(ids)} words; give one that is"
        )
    return word


def _placeholder(number: int, padding_id: int, words: Sequence[str | None]) -> str:
    name = "<pad>" if number == padding_id else f"<unused-{number}>"
    while name in words:
        name += "_"
    return name
