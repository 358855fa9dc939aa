/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnxruntime by the C interface of the library in its wheel. OrtGetApiBase() gives a table of functions whose places
 * never change (onnxruntime_c_api.h, version 1 of the table, 102 entries); the few that are needed are declared here.
 * One thread, sequential, the XGBoost model converted by onnxmltools; the output is the second one, probabilities.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "bench/trees/trees.h"

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_THREADS = 24,
    SET_INTER_OP_THREADS = 25,
    SESSION_GET_OUTPUT_COUNT = 31,
    SESSION_GET_INPUT_NAME = 36,
    SESSION_GET_OUTPUT_NAME = 37,
    CREATE_TENSOR_WITH_DATA = 49,
    GET_TENSOR_DATA = 51,
    CREATE_CPU_MEMORY_INFO = 69,
    GET_DEFAULT_ALLOCATOR = 78,
    RELEASE_VALUE = 96
};
enum { API_VERSION = 1, LOG_ERRORS = 3, ARENA_ALLOCATOR = 1, MEMORY_DEFAULT = 0, ELEMENT_FLOAT = 1 };

struct api_base {
    void *const *(*get)(uint32_t version);
    const char *(*version)(void);
};

static struct onnxruntime {
    void *const *api;
    void *session, *memory;
    char *input, *output;
    void *(*create_tensor)(const void *, void *, size_t, const int64_t *, size_t, int, void **);
    void *(*run)(void *, const void *, const char *const *, const void *const *, size_t, const char *const *, size_t,
                 void **);
    void *(*data)(void *, void **);
    void (*release)(void *);
} ort;

/* True where the call gave no status; says what it says otherwise. */
static bool fine(void *status)
{
    const char *(*message)(const void *) = ort.api[GET_ERROR_MESSAGE];
    if (status != NULL) {
        fprintf(stderr, "bench_trees: onnxruntime: %s\n", message(status));
    }
    return status == NULL;
}

static void run_onnxruntime(void *state, size_t first, size_t n, float *ret_first)
{
    struct onnxruntime *x = state;
    const int64_t shape[2] = {(int64_t)n, TREES_FEATURES};
    void *in = NULL, *out = NULL, *data = NULL;
    mill_assert(fine(x->create_tensor(x->memory, trees_rows32 + first * TREES_FEATURES,
                                      n * TREES_FEATURES * sizeof(float), shape, 2, ELEMENT_FLOAT, &in)));
    const void *inputs[1] = {in};
    const char *input_names[1] = {x->input}, *output_names[1] = {x->output};
    mill_assert(fine(x->run(x->session, NULL, input_names, inputs, 1, output_names, 1, &out)));
    mill_assert(fine(x->data(out, &data)));
    memcpy(ret_first, (const float *)data + 1, sizeof(*ret_first));
    x->release(out);
    x->release(in);
}

static bool open_session(const char *model)
{
    void *const *api = ort.api;
    void *(*create_env)(int, const char *, void **) = api[CREATE_ENV];
    void *(*create_options)(void **) = api[CREATE_SESSION_OPTIONS];
    void *(*set_intra)(void *, int) = api[SET_INTRA_OP_THREADS];
    void *(*set_inter)(void *, int) = api[SET_INTER_OP_THREADS];
    void *(*create_session)(const void *, const char *, const void *, void **) = api[CREATE_SESSION];
    void *(*create_memory)(int, int, void **) = api[CREATE_CPU_MEMORY_INFO];
    void *(*get_allocator)(void **) = api[GET_DEFAULT_ALLOCATOR];
    void *(*count_outputs)(const void *, size_t *) = api[SESSION_GET_OUTPUT_COUNT];
    void *(*input_name)(const void *, size_t, void *, char **) = api[SESSION_GET_INPUT_NAME];
    void *(*output_name)(const void *, size_t, void *, char **) = api[SESSION_GET_OUTPUT_NAME];
    static void *env;
    void *options = NULL, *allocator = NULL;
    size_t outputs = 0;
    return (env != NULL || fine(create_env(LOG_ERRORS, "bench", &env))) && fine(create_options(&options)) &&
           fine(set_intra(options, 1)) && fine(set_inter(options, 1)) &&
           fine(create_session(env, model, options, &ort.session)) &&
           fine(create_memory(ARENA_ALLOCATOR, MEMORY_DEFAULT, &ort.memory)) && fine(get_allocator(&allocator)) &&
           fine(count_outputs(ort.session, &outputs)) && outputs == 2 &&
           fine(input_name(ort.session, 0, allocator, &ort.input)) &&
           fine(output_name(ort.session, 1, allocator, &ort.output));
}

bool trees_onnxruntime(const struct trees_library *library, const char *model, struct contender *c)
{
    const struct api_base *(*base)(void) = trees_symbol(trees_open(library->path), "OrtGetApiBase");
    if (base == NULL || (ort.api = base()->get(API_VERSION)) == NULL || !open_session(model)) {
        return false;
    }
    ort.create_tensor = ort.api[CREATE_TENSOR_WITH_DATA];
    ort.run = ort.api[RUN];
    ort.data = ort.api[GET_TENSOR_DATA];
    ort.release = ort.api[RELEASE_VALUE];
    *c = (struct contender){"onnxruntime", library->version, run_onnxruntime, &ort};
    return true;
}
