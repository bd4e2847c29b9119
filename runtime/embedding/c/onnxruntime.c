/*
 * Captions photographs with an .onnx captioner by ONNX Runtime's C API.
 *
 *     onnxruntime captioner.onnx START_ID < photo.rgb      # the search inside the file
 *     onnxruntime captioner.onnx RULES... < photo.rgb      # start, then step by step
 *
 * photo.rgb: the prepared photograph, H x W x 3 bytes; several may follow each other. RULES are
 * those of `rules_of`; START_ID is vocabulary.start_id in edgecap.json. The vocabulary comes from
 * the file. Prints one line a photograph: ids, a tab, words.
 */

#include <onnxruntime_c_api.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "captioning.h"

enum { MOST_STATES = 8, FIXED_INPUTS = 3 };

static const OrtApi *ort;

static void check(OrtStatus *status) {
  if (status == NULL) return;
  fail("ONNX Runtime: %s", ort->GetErrorMessage(status));
}

/* A captioner in one session. Its inputs: start, image, ids, then each state_<name>. */
typedef struct {
  OrtEnv *environment;
  OrtSession *session;
  OrtMemoryInfo *memory;
  OrtAllocator *allocator;
  int64_t height, width;
  size_t state_count;
  int64_t state_widths[MOST_STATES];
  char *inputs[FIXED_INPUTS + MOST_STATES]; /* start, image, ids, state_<name>... */
  char next_names[MOST_STATES][160];        /* next_state_<name>... */
} Captioner;

/* The shape of an input, at most `most` sizes; an open one is -1. */
static size_t shape_of(const Captioner *captioner, size_t input, int64_t *sizes, size_t most) {
  OrtTypeInfo *type;
  const OrtTensorTypeAndShapeInfo *tensor;
  size_t rank;
  check(ort->SessionGetInputTypeInfo(captioner->session, input, &type));
  check(ort->CastTypeInfoToTensorInfo(type, &tensor));
  check(ort->GetDimensionsCount(tensor, &rank));
  if (rank > most) fail("Input %zu has %zu dimensions.", input, rank);
  check(ort->GetDimensions(tensor, sizes, rank));
  ort->ReleaseTypeInfo(type);
  return rank;
}

static Captioner open_captioner(const char *path) {
  Captioner captioner = {0};
  OrtSessionOptions *options;
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "edgecap", &captioner.environment));
  check(ort->CreateSessionOptions(&options));
  check(ort->SetIntraOpNumThreads(options, 1));
  check(ort->CreateSession(captioner.environment, path, options, &captioner.session));
  ort->ReleaseSessionOptions(options);
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &captioner.memory));
  check(ort->GetAllocatorWithDefaultOptions(&captioner.allocator));
  size_t count;
  check(ort->SessionGetInputCount(captioner.session, &count));
  for (size_t place = 0; place < count; place++) {
    char *name;
    int64_t sizes[4];
    check(ort->SessionGetInputName(captioner.session, place, captioner.allocator, &name));
    const size_t rank = shape_of(&captioner, place, sizes, 4);
    if (strcmp(name, "start") == 0) {
      captioner.inputs[0] = name;
    } else if (strcmp(name, "image") == 0 && rank == 4) {
      captioner.inputs[1] = name;
      captioner.height = sizes[1];
      captioner.width = sizes[2];
    } else if (strcmp(name, "ids") == 0) {
      if (rank != 1) refuse_prefixes(path);
      captioner.inputs[2] = name;
    } else if (strncmp(name, "state_", 6) == 0 && rank == 2) {
      if (captioner.state_count == MOST_STATES) fail("%s has too many states.", path);
      const size_t state = captioner.state_count++;
      captioner.inputs[FIXED_INPUTS + state] = name;
      captioner.state_widths[state] = sizes[1];
      if (snprintf(captioner.next_names[state], sizeof captioner.next_names[state], "next_%s",
                   name) >= (int)sizeof captioner.next_names[state])
        fail("The name %s is too long.", name);
    } else {
      fail("%s has an input %s, so it is no captioner of edgecap.", path, name);
    }
  }
  for (size_t place = 0; place < FIXED_INPUTS; place++)
    if (captioner.inputs[place] == NULL) fail("%s is no captioner of edgecap.", path);
  return captioner;
}

static void close_captioner(Captioner *captioner) {
  for (size_t place = 0; place < FIXED_INPUTS + captioner->state_count; place++)
    check(ort->AllocatorFree(captioner->allocator, captioner->inputs[place]));
  ort->ReleaseMemoryInfo(captioner->memory);
  ort->ReleaseSession(captioner->session);
  ort->ReleaseEnv(captioner->environment);
}

/* vocabulary.txt stands in the model's metadata, which ONNX Runtime reads. */
static Vocabulary read_vocabulary(const Captioner *captioner) {
  OrtModelMetadata *metadata;
  char *entry = NULL;
  check(ort->SessionGetModelMetadata(captioner->session, &metadata));
  check(ort->ModelMetadataLookupCustomMetadataMap(metadata, captioner->allocator,
                                                  "vocabulary.txt", &entry));
  if (entry == NULL) fail("The model has no vocabulary.txt, so it is no captioner of edgecap.");
  char *text = malloc(strlen(entry) + 1);
  if (text == NULL) fail("out of memory");
  strcpy(text, entry);
  check(ort->AllocatorFree(captioner->allocator, entry));
  ort->ReleaseModelMetadata(metadata);
  return vocabulary_of(text);
}

/* A tensor over the caller's memory, which must outlive it. */
static OrtValue *tensor_of(const Captioner *captioner, void *values, size_t bytes,
                           const int64_t *sizes, size_t rank, ONNXTensorElementDataType type) {
  OrtValue *tensor;
  check(ort->CreateTensorWithDataAsOrtValue(captioner->memory, values, bytes, sizes, rank, type,
                                            &tensor));
  return tensor;
}

/*
 * Run the graph. start: true with a photograph, false with a word and its states. pixels: NULL for
 * no photograph. word: NULL for none. states: NULL for no rows; the caller keeps them.
 */
static void run(const Captioner *captioner, bool start, unsigned char *pixels, int32_t *word,
                OrtValue **states, const char *const *names, size_t count, OrtValue **answers) {
  static unsigned char nothing[sizeof(float)];
  const int64_t image_shape[] = {pixels != NULL, captioner->height, captioner->width, 3};
  const size_t image_bytes = (size_t)(image_shape[0] * image_shape[1] * image_shape[2] * 3);
  const int64_t ids_shape[] = {word != NULL};
  OrtValue *inputs[FIXED_INPUTS + MOST_STATES];
  inputs[0] = tensor_of(captioner, &start, sizeof start, NULL, 0, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
  inputs[1] = tensor_of(captioner, pixels != NULL ? pixels : nothing, image_bytes, image_shape, 4,
                        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
  inputs[2] = tensor_of(captioner, word != NULL ? (void *)word : nothing,
                        word != NULL ? sizeof *word : 0, ids_shape, 1,
                        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
  for (size_t state = 0; state < captioner->state_count; state++) {
    const int64_t shape[] = {0, captioner->state_widths[state]};
    inputs[FIXED_INPUTS + state] =
        states != NULL ? states[state]
                       : tensor_of(captioner, nothing, 0, shape, 2,
                                   ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  }
  const size_t input_count = FIXED_INPUTS + captioner->state_count;
  memset(answers, 0, count * sizeof *answers);
  check(ort->Run(captioner->session, NULL, (const char *const *)captioner->inputs,
                 (const OrtValue *const *)inputs, input_count, names, count, answers));
  for (size_t place = 0; place < (states != NULL ? FIXED_INPUTS : input_count); place++)
    ort->ReleaseValue(inputs[place]);
}

static void *values_of(OrtValue *tensor) {
  void *values;
  check(ort->GetTensorMutableData(tensor, &values));
  return values;
}

/* Read the next photograph; give false where none is left. */
static bool next_photograph(unsigned char *pixels, size_t bytes) {
  const size_t read = fread(pixels, 1, bytes, stdin);
  if (read != 0 && read != bytes)
    fail("A photograph has %zu bytes; this captioner takes %zu (RGB, as preparation says).", read,
         bytes);
  return read != 0;
}

/* The search is in the file: a start that is given the start word. */
static void caption_in_one_call(const Captioner *captioner, const Vocabulary *vocabulary,
                                int32_t start, unsigned char *pixels) {
  const char *names[] = {"caption_ids", "caption_length"};
  OrtValue *answers[2];
  run(captioner, true, pixels, &start, NULL, names, 2, answers);
  const int32_t *ids = values_of(answers[0]);
  print_caption(vocabulary, ids, (size_t)*(const int32_t *)values_of(answers[1]));
  for (size_t place = 0; place < 2; place++) ort->ReleaseValue(answers[place]);
}

/* The search is here: start gives the first state, then each step takes a word and a state. */
static void caption_word_by_word(const Captioner *captioner, const Vocabulary *vocabulary,
                                 const Rules *rules, unsigned char *pixels) {
  const size_t count = captioner->state_count;
  const char *names[1 + MOST_STATES] = {"logits"};
  for (size_t state = 0; state < count; state++) names[1 + state] = captioner->next_names[state];
  OrtValue *states[MOST_STATES], *answers[1 + MOST_STATES];
  run(captioner, true, pixels, NULL, NULL, names + 1, count, states);
  int32_t said[MOST_WORDS], word = rules->start;
  size_t length = 0;
  while (length < (size_t)rules->max_words) {
    run(captioner, false, NULL, &word, states, names, 1 + count, answers);
    for (size_t state = 0; state < count; state++) {
      ort->ReleaseValue(states[state]);
      states[state] = answers[1 + state];
    }
    word = best_word(values_of(answers[0]), vocabulary->count, rules, said, length);
    ort->ReleaseValue(answers[0]);
    if (word < 0 || word == rules->end) break;
    said[length++] = word;
  }
  for (size_t state = 0; state < count; state++) ort->ReleaseValue(states[state]);
  print_caption(vocabulary, said, length);
}

int main(int count, char **arguments) {
  if (count < 3) fail("use: onnxruntime CAPTIONER.onnx START_ID|RULES... < PHOTO.rgb");
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (ort == NULL) fail("The library is older than the header (API %d).", ORT_API_VERSION);
  Captioner captioner = open_captioner(arguments[1]);
  Vocabulary vocabulary = read_vocabulary(&captioner);
  const bool one_call = count == 3;
  const Rules rules = one_call ? (Rules){.start = atoi(arguments[2])}
                               : rules_of(count - 2, arguments + 2);
  const size_t bytes = (size_t)(captioner.height * captioner.width * 3);
  unsigned char *pixels = malloc(bytes);
  if (pixels == NULL) fail("out of memory");
  while (next_photograph(pixels, bytes)) {
    if (one_call)
      caption_in_one_call(&captioner, &vocabulary, rules.start, pixels);
    else
      caption_word_by_word(&captioner, &vocabulary, &rules, pixels);
  }
  free(pixels);
  vocabulary_free(&vocabulary);
  close_captioner(&captioner);
}
