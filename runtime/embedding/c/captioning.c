#include "captioning.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("error: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

void refuse_prefixes(const char *path) {
  fail("%s reads the whole prefix for each word (a BiLSTM does), and this program carries a state "
       "from word to word; caption it by the Python runtime or by captioner.js.",
       path);
}

static void *checked(void *memory) {
  if (memory == NULL) fail("out of memory");
  return memory;
}

static int whole_number(const char *text) {
  char *behind;
  const long value = strtol(text, &behind, 10);
  if (behind == text || *behind != '\0' || value < 0 || value > INT32_MAX)
    fail("%s is no rule; give a whole number of at least 0.", text);
  return (int)value;
}

Rules rules_of(int count, char **numbers) {
  if (count < 5)
    fail("%d numbers are no rules; give START END MAX_WORDS MIN_WORDS NO_REPEAT_NGRAM [NEVER...].",
         count);
  Rules rules = {
      .start = whole_number(numbers[0]),
      .end = whole_number(numbers[1]),
      .max_words = whole_number(numbers[2]),
      .min_words = whole_number(numbers[3]),
      .no_repeat_ngram = whole_number(numbers[4]),
  };
  if (rules.max_words < 1 || rules.max_words > MOST_WORDS)
    fail("MAX_WORDS is %d; give 1 to %d.", rules.max_words, MOST_WORDS);
  if (count - 5 > MOST_NEVER)
    fail("%d words are never said; this program takes %d.", count - 5, MOST_NEVER);
  for (int place = 5; place < count; place++)
    rules.never[rules.never_count++] = whole_number(numbers[place]);
  return rules;
}

char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("Unable to open %s; check the name.", path);
  size_t room = 1 << 16, size = 0;
  char *text = checked(malloc(room + 1));
  for (size_t read; (read = fread(text + size, 1, room - size, file)) > 0;) {
    size += read;
    if (size == room) text = checked(realloc(text, (room *= 2) + 1));
  }
  if (ferror(file)) fail("Unable to read %s; check the disk.", path);
  fclose(file);
  text[size] = '\0';
  return text;
}

Vocabulary vocabulary_of(char *text) {
  size_t count = 1;
  for (const char *at = text; *at != '\0'; at++) count += *at == '\n';
  Vocabulary vocabulary = {text, checked(malloc(count * sizeof(char *))), 0};
  for (char *word = text, *end; *word != '\0'; word = end) {
    end = word + strcspn(word, "\n");
    if (*end != '\0') *end++ = '\0';
    vocabulary.words[vocabulary.count++] = word;
  }
  return vocabulary;
}

void vocabulary_free(Vocabulary *vocabulary) {
  free(vocabulary->text);
  free(vocabulary->words);
}

/* Whether `word` after `said` would end a sequence of n words that was said before. */
static bool repeats(int word, size_t n, const int32_t *said, size_t count) {
  if (n == 0 || count < n) return false;
  const int32_t *last = said + count - (n - 1);
  for (size_t start = 0; start + n <= count; start++)
    if (said[start + n - 1] == word && memcmp(said + start, last, (n - 1) * sizeof *said) == 0)
      return true;
  return false;
}

static bool allowed(int word, const Rules *rules, const int32_t *said, size_t count) {
  if (word == rules->end) return count >= (size_t)rules->min_words;
  if (word == rules->start) return false;
  for (size_t place = 0; place < rules->never_count; place++)
    if (rules->never[place] == word) return false;
  return !repeats(word, (size_t)rules->no_repeat_ngram, said, count);
}

int best_word(const float *logits, size_t vocabulary, const Rules *rules, const int32_t *said,
              size_t count) {
  int best = -1;
  for (size_t word = 0; word < vocabulary; word++)
    if ((best < 0 || logits[word] > logits[best]) && allowed((int)word, rules, said, count))
      best = (int)word;
  return best;
}

void print_caption(const Vocabulary *vocabulary, const int32_t *ids, size_t count) {
  for (size_t place = 0; place < count; place++) {
    if (ids[place] < 0 || (size_t)ids[place] >= vocabulary->count)
      fail("The captioner says word %d, but its vocabulary has %zu.", ids[place],
           vocabulary->count);
    printf("%s%d", place ? " " : "", ids[place]);
  }
  putchar('\t');
  for (size_t place = 0; place < count; place++)
    printf("%s%s", place ? " " : "", vocabulary->words[ids[place]]);
  putchar('\n');
}
