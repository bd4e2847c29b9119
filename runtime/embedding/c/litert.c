/*
 * Captions photographs with a .tflite captioner by LiteRT's C API.
 *
 *     unzip -p captioner.tflite vocabulary.txt > vocabulary.txt
 *     litert captioner.tflite vocabulary.txt < photo.rgb               # signature caption
 *     litert captioner.tflite vocabulary.txt RULES... < photo.rgb      # signatures encode and step
 *
 * photo.rgb: the prepared photograph, H x W x 3 bytes; several may follow each other. RULES are
 * those of `rules_of`. Prints one line a photograph: ids, a tab, words.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "captioning.h"
#include "litert_api.h"

enum { MOST_TENSORS = 16 };

#define CHECK(call) check((call), #call)

static void check(LiteRtStatus status, const char *call) {
  if (status != 0) fail("LiteRT says %d to %.*s", status, (int)strcspn(call, "("), call);
}

/* An input or output of a signature. */
typedef struct {
  const char *name;
  LiteRtRankedTensorType type;
  size_t bytes;
} Tensor;

typedef struct {
  size_t place; /* the signature's number in the file */
  size_t input_count, output_count;
  Tensor inputs[MOST_TENSORS], outputs[MOST_TENSORS];
  LiteRtTensorBuffer input_buffers[MOST_TENSORS], output_buffers[MOST_TENSORS];
} Signature;

typedef struct {
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
} Captioner;

static Captioner open_captioner(const char *path) {
  Captioner captioner;
  LiteRtOptions options;
  CHECK(LiteRtCreateEnvironment(0, NULL, &captioner.environment));
  if (LiteRtCreateModelFromFile(captioner.environment, path, &captioner.model) != 0)
    fail("%s does not load in LiteRT; copy or export the captioner again.", path);
  CHECK(LiteRtCreateOptions(&options));
  CHECK(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu));
  CHECK(LiteRtCreateCompiledModel(captioner.environment, captioner.model, options,
                                  &captioner.compiled));
  LiteRtDestroyOptions(options);
  return captioner;
}

static void close_captioner(Captioner *captioner) {
  LiteRtDestroyCompiledModel(captioner->compiled);
  LiteRtDestroyModel(captioner->model);
  LiteRtDestroyEnvironment(captioner->environment);
}

static LiteRtTensorBuffer make_buffer(const Captioner *captioner, Tensor *tensor,
                                      LiteRtTensorBufferRequirements requirements) {
  LiteRtTensorBuffer buffer;
  CHECK(LiteRtCreateManagedTensorBufferFromRequirements(captioner->environment, &tensor->type,
                                                        requirements, &buffer));
  CHECK(LiteRtGetTensorBufferPackedSize(buffer, &tensor->bytes));
  return buffer;
}

/* Find a signature by its name; NULL where there is none. */
static LiteRtSignature find_signature(const Captioner *captioner, const char *wanted,
                                      size_t *place) {
  size_t count;
  CHECK(LiteRtGetNumModelSignatures(captioner->model, &count));
  for (*place = 0; *place < count; ++*place) {
    const char *name;
    LiteRtSignature signature;
    CHECK(LiteRtGetModelSignature(captioner->model, *place, &signature));
    CHECK(LiteRtGetSignatureKey(signature, &name));
    if (strcmp(name, wanted) == 0) return signature;
  }
  return NULL;
}

/* Find a signature by its name and make memory for its tensors. */
static Signature open_signature(const Captioner *captioner, const char *wanted) {
  Signature found = {0};
  const LiteRtSignature signature = find_signature(captioner, wanted, &found.place);
  if (signature == NULL)
    fail("The file has no signature %s; export it with --one-call, or give rules.", wanted);
  CHECK(LiteRtGetNumSignatureInputs(signature, &found.input_count));
  CHECK(LiteRtGetNumSignatureOutputs(signature, &found.output_count));
  if (found.input_count > MOST_TENSORS || found.output_count > MOST_TENSORS)
    fail("Signature %s has more than %d inputs or outputs.", wanted, MOST_TENSORS);
  LiteRtTensor tensor;
  LiteRtTensorBufferRequirements needed;
  for (size_t place = 0; place < found.input_count; place++) {
    Tensor *input = &found.inputs[place];
    CHECK(LiteRtGetSignatureInputName(signature, place, &input->name));
    CHECK(LiteRtGetSignatureInputTensorByIndex(signature, place, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &input->type));
    CHECK(LiteRtGetCompiledModelInputBufferRequirements(captioner->compiled, found.place, place,
                                                        &needed));
    found.input_buffers[place] = make_buffer(captioner, input, needed);
  }
  for (size_t place = 0; place < found.output_count; place++) {
    Tensor *output = &found.outputs[place];
    CHECK(LiteRtGetSignatureOutputName(signature, place, &output->name));
    CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, place, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &output->type));
    CHECK(LiteRtGetCompiledModelOutputBufferRequirements(captioner->compiled, found.place, place,
                                                         &needed));
    found.output_buffers[place] = make_buffer(captioner, output, needed);
  }
  return found;
}

static void close_signature(Signature *signature) {
  for (size_t place = 0; place < signature->input_count; place++)
    LiteRtDestroyTensorBuffer(signature->input_buffers[place]);
  for (size_t place = 0; place < signature->output_count; place++)
    LiteRtDestroyTensorBuffer(signature->output_buffers[place]);
}

/* The place of a tensor by its name: a signature's tensors come in no promised order. */
static size_t place_of(const Tensor *tensors, size_t count, const char *name) {
  for (size_t place = 0; place < count; place++)
    if (strcmp(tensors[place].name, name) == 0) return place;
  fail("A signature has no tensor %s.", name);
}

static void give(Signature *signature, const char *name, const void *values, size_t bytes) {
  const size_t place = place_of(signature->inputs, signature->input_count, name);
  if (bytes != signature->inputs[place].bytes)
    fail("%s takes %zu bytes, not %zu.", name, signature->inputs[place].bytes, bytes);
  void *memory;
  CHECK(LiteRtLockTensorBuffer(signature->input_buffers[place], &memory,
                               kLiteRtTensorBufferLockModeWrite));
  memcpy(memory, values, bytes);
  CHECK(LiteRtUnlockTensorBuffer(signature->input_buffers[place]));
}

static void take(Signature *signature, const char *name, void *values, size_t bytes) {
  const size_t place = place_of(signature->outputs, signature->output_count, name);
  if (bytes != signature->outputs[place].bytes)
    fail("%s has %zu bytes, not %zu.", name, signature->outputs[place].bytes, bytes);
  void *memory;
  CHECK(LiteRtLockTensorBuffer(signature->output_buffers[place], &memory,
                               kLiteRtTensorBufferLockModeRead));
  memcpy(values, memory, bytes);
  CHECK(LiteRtUnlockTensorBuffer(signature->output_buffers[place]));
}

static void run(const Captioner *captioner, Signature *signature) {
  CHECK(LiteRtRunCompiledModel(captioner->compiled, signature->place, signature->input_count,
                               signature->input_buffers, signature->output_count,
                               signature->output_buffers));
}

/* Copy a signature's outputs <prefix>state_<name> to the step's inputs state_<name>. */
static void pass_state(Signature *from, const char *prefix, Signature *step) {
  const size_t skipped = strlen(prefix);
  for (size_t place = 0; place < from->output_count; place++) {
    const char *name = from->outputs[place].name;
    if (strncmp(name, prefix, skipped) != 0 || strncmp(name + skipped, "state_", 6) != 0) continue;
    void *memory;
    CHECK(LiteRtLockTensorBuffer(from->output_buffers[place], &memory,
                                 kLiteRtTensorBufferLockModeRead));
    give(step, name + skipped, memory, from->outputs[place].bytes);
    CHECK(LiteRtUnlockTensorBuffer(from->output_buffers[place]));
  }
}

static size_t image_bytes(const Signature *signature) {
  return signature->inputs[place_of(signature->inputs, signature->input_count, "image")].bytes;
}

/* Read the next photograph; give 0 where none is left. */
static int next_photograph(unsigned char *pixels, size_t bytes) {
  const size_t read = fread(pixels, 1, bytes, stdin);
  if (read != 0 && read != bytes)
    fail("A photograph has %zu bytes; this captioner takes %zu (RGB, as preparation says).", read,
         bytes);
  return read != 0;
}

/* The search is in the file: pixels in, ids out. */
static void caption_in_one_call(const Captioner *captioner, const Vocabulary *vocabulary) {
  Signature caption = open_signature(captioner, "caption");
  const size_t bytes = image_bytes(&caption);
  const size_t ids_bytes =
      caption.outputs[place_of(caption.outputs, caption.output_count, "ids")].bytes;
  unsigned char *pixels = malloc(bytes);
  int32_t *ids = malloc(ids_bytes), length;
  if (pixels == NULL || ids == NULL) fail("out of memory");
  while (next_photograph(pixels, bytes)) {
    give(&caption, "image", pixels, bytes);
    run(captioner, &caption);
    take(&caption, "ids", ids, ids_bytes);
    take(&caption, "length", &length, sizeof length);
    print_caption(vocabulary, ids, (size_t)length);
  }
  free(pixels);
  free(ids);
  close_signature(&caption);
}

/* The search is here: the first state from encode, then a word and a state in, logits out. */
static void caption_word_by_word(const Captioner *captioner, const Vocabulary *vocabulary,
                                 const Rules *rules) {
  Signature encode = open_signature(captioner, "encode");
  Signature step = open_signature(captioner, "step");
  const size_t bytes = image_bytes(&encode);
  unsigned char *pixels = malloc(bytes);
  float *logits = malloc(vocabulary->count * sizeof *logits);
  if (pixels == NULL || logits == NULL) fail("out of memory");
  while (next_photograph(pixels, bytes)) {
    give(&encode, "image", pixels, bytes);
    run(captioner, &encode);
    pass_state(&encode, "", &step);
    int32_t said[MOST_WORDS], word = rules->start;
    size_t count = 0;
    while (count < (size_t)rules->max_words) {
      give(&step, "ids", &word, sizeof word);
      run(captioner, &step);
      take(&step, "logits", logits, vocabulary->count * sizeof *logits);
      word = best_word(logits, vocabulary->count, rules, said, count);
      if (word < 0 || word == rules->end) break;
      said[count++] = word;
      pass_state(&step, "next_", &step);
    }
    print_caption(vocabulary, said, count);
  }
  free(pixels);
  free(logits);
  close_signature(&step);
  close_signature(&encode);
}

int main(int count, char **arguments) {
  if (count < 3) fail("use: litert CAPTIONER.tflite VOCABULARY.txt [RULES...] < PHOTO.rgb");
  Vocabulary vocabulary = vocabulary_of(read_file(arguments[2]));
  Captioner captioner = open_captioner(arguments[1]);
  size_t place;
  if (find_signature(&captioner, "prefix", &place) != NULL) refuse_prefixes(arguments[1]);
  if (count == 3) {
    caption_in_one_call(&captioner, &vocabulary);
  } else {
    const Rules rules = rules_of(count - 3, arguments + 3);
    caption_word_by_word(&captioner, &vocabulary, &rules);
  }
  close_captioner(&captioner);
  vocabulary_free(&vocabulary);
}
