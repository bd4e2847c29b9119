"""Greedy and beam search over a decoder step.

Log probabilities are the model's own: log-softmax over the WHOLE vocabulary first, then the
filters forbid words, so a forbidden word's probability is not given to the others. A hypothesis
of n tokens (its words, and the end token unless it was cut at `max_words`) with log probability L
has the score L / n ** length_penalty (length normalisation as in Wu et al. 2016, section 7, with
the plain power as denominator).

A search is a generator: it yields what it wants the step to run and is sent the answer. So one
search can be driven alone (`decode`), word by word (`greedy_words`), or many in step with each
other, the rows of all in one call (`decode_together`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from .errors import BundleError
from .filters import MinimumLength, NeverSaid, NoRepeatNgram
from .options import DecodingOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .filters import LogitFilter
    from .vocabulary import Vocabulary

__all__ = [
    "Answer",
    "DecodingOptions",
    "Hypothesis",
    "Request",
    "Scorer",
    "State",
    "Step",
    "Words",
    "decode",
    "decode_together",
    "greedy_words",
    "log_probabilities",
    "read_words",
]

State: TypeAlias = "Mapping[str, NDArray[Any]]"
"""The decoder's memory: per name an array [rows, ...], float32 but for `prefix.WORDS`."""

Step: TypeAlias = "Callable[[NDArray[np.int32], State], tuple[NDArray[np.float32], State]]"
"""One decoder step: ids int32 [rows] and a state to logits float32 [rows, V] and the next state."""


Request: TypeAlias = "tuple[NDArray[np.int32], State]"
"""What a search wants the step to run: ids int32 [rows] and their state."""

Answer: TypeAlias = "tuple[NDArray[np.float32], State]"
"""What the step says to it: logits float32 [rows, V] and the next state."""


Words: TypeAlias = "tuple[NDArray[np.int32], int, NDArray[np.float32]]"
"""What a search inside a file says: its words' ids [L], their number, and the log probabilities
[L] of these tokens and the one behind them."""


_FEW = 6
"""So many times the largest is found sooner than a partition is made."""


@dataclass(frozen=True)
class Hypothesis:
    """A caption as word ids, with what the model thinks of it."""

    ids: tuple[int, ...]
    """The words' ids, without start and end."""
    log_probability: float
    """Sum of the natural log probabilities of its tokens."""
    score: float
    """`log_probability` / length ** length_penalty."""
    ended: bool
    """Whether the end token was chosen; False where the caption was cut at `max_words`."""


class Scorer:
    """Asks for steps and turns their logits into the next tokens worth looking at."""

    def __init__(self, vocabulary: Vocabulary, options: DecodingOptions) -> None:
        self._words = len(vocabulary)
        never = NeverSaid(vocabulary)
        self._never = never.ids
        self._filters: list[LogitFilter] = [never]
        if options.min_words:
            self._filters.append(MinimumLength(vocabulary.end_id, options.min_words))
        if options.no_repeat_ngram:
            self._filters.append(NoRepeatNgram(options.no_repeat_ngram))
        self._simple = len(self._filters) == 1

    def best(self, answer: NDArray[np.float32], prefix: Sequence[int]) -> int | None:
        """Give the likeliest token by a step's answer, [1, V]; None where the filters forbid all.

        It is the first of `candidates`.
        """
        if answer.shape != (1, self._words):
            self._refuse(answer, 1)
        chosen = int(answer.argmax())
        if self._simple and chosen not in self._never:
            return chosen
        allowed = answer.copy()
        for rule in self._filters:
            rule.apply(allowed, (tuple(prefix),))
        chosen = int(allowed.argmax())
        return None if allowed[0, chosen] == -np.inf else chosen

    def candidates(
        self,
        ids: NDArray[np.int32],
        state: State,
        prefixes: Sequence[tuple[int, ...]],
        count: int,
    ) -> Generator[Request, Answer, tuple[NDArray[np.intp], NDArray[np.float64], State]]:
        """Ask for one step; give each row's `count` likeliest tokens that the filters allow.

        ids: int32 [n], of which the first `len(prefixes)` rows matter; the rest is padding.
        Returns tokens [rows, count], their log probabilities float64 [rows, count] (minus
        infinity where fewer are allowed), both likeliest first, lower id first among equals,
        and the next state [n, ...]. Raises `BundleError` if the answer is not finite.
        """
        logits, normalizers, state = yield from self._allowed_logits(ids, state, prefixes)
        tokens = likeliest(logits, count)
        chosen = logits[np.arange(len(logits))[:, None], tokens].astype(np.float64)
        # Rounding may lift a probability of nearly 1 above it, and the beam's bound needs <= 0.
        return tokens, np.minimum(chosen - np.array(normalizers)[:, None], 0.0), state

    def _allowed_logits(
        self, ids: NDArray[np.int32], state: State, prefixes: Sequence[tuple[int, ...]]
    ) -> Generator[Request, Answer, tuple[NDArray[np.float32], list[float], State]]:
        answer, state = yield ids, state
        if answer.shape != (len(ids), self._words):
            self._refuse(answer, len(ids))
        logits = np.array(answer[: len(prefixes)], dtype=np.float32)
        normalizers = log_normalizers(logits)
        for rule in self._filters:
            rule.apply(logits, prefixes)
        return logits, normalizers, state

    def _refuse(self, answer: NDArray[np.float32], rows: int) -> NoReturn:
        raise BundleError(
            f"The decoder step answers {list(answer.shape)} where [{rows}, {self._words}] "
            "belongs (rows, words of the vocabulary); export the captioner again."
        )


def log_probabilities(logits: Sequence[NDArray[np.float32]], tokens: Sequence[int]) -> list[float]:
    """Give the log probability of each token by its logits, [1, V] each.

    logits: as many as tokens, or one more, for which nothing was chosen. Raises `BundleError` as
    `log_normalizers` does.
    """
    whole = np.concatenate(logits).astype(np.float32, copy=False)
    normalizers = log_normalizers(whole)
    return [
        # Rounding may lift a probability of nearly 1 above it.
        min(float(row[token]) - normalizer, 0.0)
        for row, token, normalizer in zip(whole, tokens, normalizers, strict=False)
    ]


def log_normalizers(logits: NDArray[np.float32]) -> list[float]:
    """Give log(sum(exp(logits))) of each row of [rows, V].

    Raises `BundleError` where a row's largest logit is not finite (any NaN makes it so).
    """
    largest = logits.max(axis=1, keepdims=True)
    tops: list[float] = largest[:, 0].tolist()
    if not all(map(math.isfinite, tops)):
        raise BundleError(
            "The decoder step answers with numbers that are not finite; export the captioner "
            "again and look at its parity report."
        )
    shifted = logits - largest
    sums = np.exp(shifted, out=shifted).sum(axis=1)
    return [top + math.log(total) for top, total in zip(tops, sums.tolist(), strict=True)]


def likeliest(logits: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Give each row's `count` largest places, falling, lower place first among equals."""
    count = min(count, logits.shape[1])
    places: NDArray[np.intp]
    if count == 1:
        places = logits.argmax(axis=1)[:, None]
        return places
    places = np.empty((len(logits), count), dtype=np.intp)
    if count <= _FEW:
        left, rows = logits.copy(), np.arange(len(logits))
        for column in range(count):
            places[:, column] = chosen = left.argmax(axis=1)
            if column and (left[rows, chosen] == -np.inf).any():
                break  # fewer are left than wanted: which of the forbidden is as below
            left[rows, chosen] = -np.inf
        else:
            return places
    # Partition alone picks any of several equals at its edge, so all that reach the edge stay in.
    edge = np.partition(logits, -count, axis=1)[:, -count]
    for row, (values, least) in enumerate(zip(logits, edge, strict=True)):
        reach = np.flatnonzero(values >= least)
        places[row] = reach[np.argsort(-values[reach], kind="stable")[:count]]
    return places


def decode(
    step: Step, state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> list[Hypothesis]:
    """Search captions from a first state of one row; the best comes first.

    Gives `options.n_best` hypotheses, or fewer where the search finds fewer. A beam of 1 is
    greedy search. Raises `BundleError` where the step's answer doesn't fit the vocabulary.
    """
    return _drive(_search(state, vocabulary, options), step)


def decode_together(
    step: Step, state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> list[list[Hypothesis]]:
    """Search captions from a first state of many rows, one row for each image.

    Each image's search is that of `decode`; the rows that all searches ask for at the same time
    run in one step, which pays where a call costs more than its rows. Gives each image's
    hypotheses. Raises `BundleError` as `decode` does.
    """
    images = len(next(iter(state.values())))
    found: list[list[Hypothesis]] = [[] for _ in range(images)]
    searches = [
        _search({name: array[row : row + 1] for name, array in state.items()}, vocabulary, options)
        for row in range(images)
    ]
    pending = [(image, next(search)) for image, search in enumerate(searches)]
    while pending:
        ids = np.concatenate([request[0] for _, request in pending])
        states = {
            name: np.concatenate([request[1][name] for _, request in pending]) for name in state
        }
        logits, following = step(ids, states)
        asked, pending, first = pending, [], 0
        for image, request in asked:
            rows = slice(first, first + len(request[0]))
            first = rows.stop
            answer = logits[rows], {name: array[rows] for name, array in following.items()}
            try:
                pending.append((image, searches[image].send(answer)))
            except StopIteration as end:
                found[image] = end.value
    return found


def greedy_words(
    step: Step, state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> Iterator[str]:
    """Yield the words of greedy search, each as soon as its step is done."""
    search = _greedy(state, vocabulary, options)
    request = next(search)
    said = 0
    while True:
        try:
            request = search.send(step(*request))
        except StopIteration as end:
            # No step follows the last word of a caption that was cut.
            yield from vocabulary.words_of(end.value[0].ids[said:])
            return
        # What the search wants fed next is the word that it has just chosen.
        yield vocabulary.words[int(request[0][0])]
        said += 1


def read_words(words: Words, options: DecodingOptions) -> Hypothesis | None:
    """Give what a search inside a file found by these options, as `decode` does.

    None where the file's log probabilities tell nothing, for they are not finite: a float32 can be
    too small for them, or the step's answer is not finite.
    """
    ids, length, scores = words
    # Before there are `min_words` words the end is no choice: there it says that none was allowed.
    ended = options.min_words <= length < options.max_words
    counted = scores[: length + ended].astype(np.float64)
    if not np.isfinite(counted).all():
        return None
    # Rounding may lift a probability of nearly 1 above it.
    total = float(np.minimum(counted, 0.0).sum())
    return _hypothesis(tuple(ids[:length].tolist()), total, ended, options)


def _drive(search: Generator[Request, Answer, list[Hypothesis]], step: Step) -> list[Hypothesis]:
    request = next(search)
    while True:
        try:
            request = search.send(step(*request))
        except StopIteration as end:
            found: list[Hypothesis] = end.value
            return found


def _search(
    state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> Generator[Request, Answer, list[Hypothesis]]:
    return (_greedy if options.beam == 1 else _beam)(state, vocabulary, options)


def _greedy(
    state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> Generator[Request, Answer, list[Hypothesis]]:
    scorer = Scorer(vocabulary, options)
    every_id = np.arange(len(vocabulary), dtype=np.int32)
    ids: list[int] = []
    seen: list[NDArray[np.float32]] = []
    token: int | None = vocabulary.start_id
    # Between two steps nothing is done that can wait: within a few microseconds an interpreter's
    # threads fall asleep, and waking takes fifty (LiteRT with two threads, measured).
    while token is not None and len(ids) < options.max_words:
        logits, state = yield every_id[token : token + 1], state
        seen.append(logits)
        token = scorer.best(logits, ids)
        if token == vocabulary.end_id:
            break
        if token is not None:
            ids.append(token)
    ended = token == vocabulary.end_id
    total = sum(log_probabilities(seen, [*ids, vocabulary.end_id] if ended else ids))
    return [_hypothesis(tuple(ids), total, ended, options)]


def _hypothesis(
    ids: tuple[int, ...], log_probability: float, ended: bool, options: DecodingOptions
) -> Hypothesis:
    length = max(1, len(ids) + ended)
    return Hypothesis(ids, log_probability, log_probability / length**options.length_penalty, ended)


def _beam(
    state: State, vocabulary: Vocabulary, options: DecodingOptions
) -> Generator[Request, Answer, list[Hypothesis]]:
    """Search with a beam: at each step the `beam` likeliest continuations of all live rows stay.

    Those that chose the end token leave the beam and compete by score. The search ends when no
    live hypothesis can reach a better score than the kept ones: probabilities only fall, and no
    caption is longer than `max_words` tokens, so L / max_words ** length_penalty bounds it.
    """
    scorer = Scorer(vocabulary, options)
    finished: list[Hypothesis] = []
    prefixes: list[tuple[int, ...]] = [()]
    totals = np.zeros(1)
    ids = np.array([vocabulary.start_id], dtype=np.int32)
    longest = options.max_words**options.length_penalty
    for _ in range(options.max_words):
        tokens, log_probabilities, state = yield from scorer.candidates(
            ids, state, prefixes, options.beam
        )
        candidates = (totals[:, None] + log_probabilities).ravel()
        # Stable: among equals the earlier parent, then the lower id (rows are sorted so).
        order = np.argsort(-candidates, kind="stable")[: options.beam]
        parents: list[int] = []
        live: list[tuple[int, ...]] = []
        live_totals: list[float] = []
        for place in order:
            parent, column = divmod(int(place), tokens.shape[1])
            token, total = int(tokens[parent, column]), float(candidates[place])
            if total == -np.inf:
                break
            if token == vocabulary.end_id:
                finished.append(_hypothesis(prefixes[parent], total, True, options))
            else:
                parents.append(parent)
                live.append((*prefixes[parent], token))
                live_totals.append(total)
        finished = sorted(finished, key=_falling_score)[: options.n_best]
        if not live:
            break
        prefixes, totals = live, np.array(live_totals)
        if len(finished) == options.n_best and live_totals[0] / longest <= finished[-1].score:
            break
        # Rows of finished hypotheses are filled up, for an interpreter pays for a new row count.
        rows = parents + [parents[0]] * (options.beam - len(parents))
        state = {name: array[rows] for name, array in state.items()}
        ids = np.array([prefix[-1] for prefix in live], dtype=np.int32)
        ids = np.concatenate([ids, np.full(len(rows) - len(ids), ids[0], dtype=np.int32)])
    cut = [
        _hypothesis(prefix, float(total), False, options)
        for prefix, total in zip(prefixes, totals, strict=True)
        # Where the filters forbid every word there is no end either: better cut than nothing.
        if len(prefix) == options.max_words or not finished
    ]
    return sorted([*finished, *cut], key=_falling_score)[: options.n_best]


def _falling_score(hypothesis: Hypothesis) -> float:
    return -hypothesis.score
