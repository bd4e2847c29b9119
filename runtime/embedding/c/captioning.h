/* What captioning needs besides an interpreter: words, rules, the choice of the next word. */

#ifndef EDGECAP_CAPTIONING_H
#define EDGECAP_CAPTIONING_H

#include <stddef.h>
#include <stdint.h>

enum { MOST_WORDS = 256, MOST_NEVER = 64 };

/* The rules of greedy search, from edgecap.json. */
typedef struct {
  int start;             /* vocabulary.start_id: fed to the first step, never chosen */
  int end;               /* vocabulary.end_id: ends the caption */
  int max_words;         /* defaults.max_words */
  int min_words;         /* defaults.min_words: the end is forbidden before so many words */
  int no_repeat_ngram;   /* defaults.no_repeat_ngram: 0 for none */
  int never[MOST_NEVER]; /* vocabulary.never_said */
  size_t never_count;
} Rules;

/* The words of vocabulary.txt: one a line, the line counted from 0 is the id. */
typedef struct {
  char *text;
  const char **words;
  size_t count;
} Vocabulary;

/* Read rules from program arguments: START END MAX_WORDS MIN_WORDS NO_REPEAT_NGRAM [NEVER...]. */
Rules rules_of(int count, char **numbers);

/* Split the text of vocabulary.txt; takes the text, which malloc gave. */
Vocabulary vocabulary_of(char *text);
void vocabulary_free(Vocabulary *vocabulary);

/* Read a whole file; malloc'd, with a 0 behind it. Ends the program where it can't. */
char *read_file(const char *path);

/*
 * The likeliest word that the rules allow after those already said, the lower id among equals;
 * -1 where none is allowed. `said` is without the start.
 */
int best_word(const float *logits, size_t vocabulary, const Rules *rules, const int32_t *said,
              size_t count);

/* Print one line: the ids, a tab, the words with spaces between them. */
void print_caption(const Vocabulary *vocabulary, const int32_t *ids, size_t count);

/* End the program for a decoder of kind prefix, whose loop is not here. */
void refuse_prefixes(const char *path) __attribute__((noreturn));

/* End the program with one sentence. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
