/* SPDX-License-Identifier: Apache-2.0 */
/* Schema registry client over libcurl, whose types stop here; see registry_internal.h. */
#include "ingest/registry_internal.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "ingest/registry_cache_internal.h"

enum {
    CONNECT_TIMEOUT_MS = 3000,
    ANSWER_TIMEOUT_MS = 5000,
    FETCH_TIMEOUT_MS = 15000, /* of a schema with all that it refers to */
    ANSWER_SIZE_MAX = 8 << 20,
    TEXTS_MAX = 64,     /* a schema and all that it refers to */
    REFERENCES_MAX = 64 /* of one schema */
};

struct mill__registry {
    CURL *curl;
    struct curl_slist *headers;
    char *url, *auth, *cache_directory;
    int64_t deadline_ns; /* of the fetch at hand */
    struct mill_buffer request, answer, unescaped;
    char curl_error[CURL_ERROR_SIZE];
};

/* ---- open, close ---- */

static void curl_start(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    mill_assert(rc == CURLE_OK);
}

static size_t on_answer(char *p, size_t size, size_t count, void *context)
{
    struct mill__registry *registry = context;

    if (registry->answer.n + size * count > ANSWER_SIZE_MAX) {
        return 0; /* makes curl fail */
    }
    mill_buffer_add(&registry->answer, p, size * count);
    return size * count;
}

static void set_options(struct mill__registry *registry)
{
    CURL *curl = registry->curl;

    registry->headers = curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, registry->curl_error);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tidemill/" MILL_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, registry);
    if (registry->auth != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, registry->auth);
    }
}

int mill__registry_open(const char *url, const char *auth, const char *cache_directory,
                        struct mill__registry **ret_registry, struct mill_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t n = strlen(url);

    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        return mill_fail(err, MILL_ECONFIG, "schema registry '%s': expected a URL such as http://127.0.0.1:8081", url);
    }
    pthread_once(&once, curl_start);
    struct mill__registry *registry = mill_calloc(1, sizeof(*registry));
    registry->curl = curl_easy_init();
    mill_assert(registry->curl != NULL);
    registry->url = mill_strdup(url);
    while (n > 0 && registry->url[n - 1] == '/') {
        registry->url[--n] = '\0';
    }
    registry->auth = auth == NULL ? NULL : mill_strdup(auth);
    registry->cache_directory = cache_directory == NULL ? NULL : mill_strdup(cache_directory);
    set_options(registry);
    *ret_registry = registry;
    return 0;
}

void mill__registry_close(struct mill__registry *registry)
{
    if (registry == NULL) {
        return;
    }
    curl_easy_cleanup(registry->curl);
    curl_slist_free_all(registry->headers);
    mill_buffer_clear(&registry->request);
    mill_buffer_clear(&registry->answer);
    mill_buffer_clear(&registry->unescaped);
    free(registry->url);
    free(registry->auth);
    free(registry->cache_directory);
    free(registry);
}

/* ---- one request ---- */

static int status_error(struct mill__registry *registry, const char *path, long status, struct mill_error *err)
{
    if (status == 404 || status == 400 || status == 422) { /* all of them will be said again tomorrow */
        return mill_fail(err, MILL_ENOINPUT, "schema registry '%s' has no '%s'", registry->url, path);
    }
    if (status == 401 || status == 403) {
        return mill_fail(err, MILL_EUNAVAIL,
                         "schema registry '%s' refuses access (status %ld); hint: check its user and "
                         "password",
                         registry->url, status);
    }
    return mill_fail(err, MILL_EUNAVAIL, "schema registry '%s' answered '%s' with status %ld", registry->url, path,
                     status);
}

/* The answer is in registry->answer. */
static int get(struct mill__registry *registry, const char *path, struct mill_error *err)
{
    int64_t left_ms = (registry->deadline_ns - mill_clock_mono_ns()) / 1000000;
    long status = 0;

    if (left_ms <= 0) {
        return mill_fail(err, MILL_EUNAVAIL, "schema registry '%s' takes too long", registry->url);
    }
    mill_buffer_reset(&registry->request);
    mill_buffer_printf(&registry->request, "%s%s", registry->url, path);
    mill_buffer_reset(&registry->answer);
    registry->curl_error[0] = '\0';
    curl_easy_setopt(registry->curl, CURLOPT_URL, mill_buffer_cstr(&registry->request));
    curl_easy_setopt(registry->curl, CURLOPT_TIMEOUT_MS,
                     (long)(left_ms < ANSWER_TIMEOUT_MS ? left_ms : ANSWER_TIMEOUT_MS));
    CURLcode rc = curl_easy_perform(registry->curl);
    if (rc != CURLE_OK) {
        return mill_fail(err, MILL_EUNAVAIL, "schema registry '%s' cannot be reached: %s", registry->url,
                         registry->curl_error[0] != '\0' ? registry->curl_error : curl_easy_strerror(rc));
    }
    curl_easy_getinfo(registry->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? 0 : status_error(registry, path, status, err);
}

/* ---- what it answered ---- */

struct reference {
    struct mill_slice subject;
    int64_t version;
};

struct answer {
    struct mill_slice schema; /* p NULL: missing */
    bool is_avro;
    struct reference references[REFERENCES_MAX];
    uint32_t reference_count;
};

static bool read_reference(struct mill_json_reader *r, struct mill_arena *arena, struct reference *ret_reference)
{
    enum mill_json_token token;

    *ret_reference = (struct reference){0};
    while ((token = mill_json_next(r)) == MILL_JSON_KEY) {
        bool is_subject = mill_slice_is(r->text, "subject"), is_version = mill_slice_is(r->text, "version");
        token = mill_json_next(r);
        if (is_subject && token == MILL_JSON_STRING) {
            ret_reference->subject = mill_arena_slice(arena, r->text);
        } else if (is_version && token == MILL_JSON_NUMBER) {
            if (!mill__decimal_to_int64(r->text, 0, false, &ret_reference->version)) {
                return false;
            }
        } else if (token == MILL_JSON_ERROR || mill_json_skip(r, token) < 0) {
            return false;
        }
    }
    return token == MILL_JSON_OBJECT_END && ret_reference->subject.p != NULL && ret_reference->version > 0;
}

static bool read_references(struct mill_json_reader *r, struct mill_arena *arena, struct answer *answer)
{
    enum mill_json_token token;

    while ((token = mill_json_next(r)) == MILL_JSON_OBJECT_BEGIN) {
        if (answer->reference_count == REFERENCES_MAX ||
            !read_reference(r, arena, &answer->references[answer->reference_count++])) {
            return false;
        }
    }
    return token == MILL_JSON_ARRAY_END;
}

/* One member whose key was read. */
static bool read_member(struct mill_json_reader *r, struct mill_arena *arena, struct answer *answer)
{
    bool is_schema = mill_slice_is(r->text, "schema"), is_type = mill_slice_is(r->text, "schemaType");
    bool is_references = mill_slice_is(r->text, "references");
    enum mill_json_token token = mill_json_next(r);

    if (is_schema && token == MILL_JSON_STRING) {
        answer->schema = mill_arena_slice(arena, r->text);
        return true;
    }
    if (is_type && token == MILL_JSON_STRING) {
        answer->is_avro = mill_slice_is(r->text, "AVRO");
        return true;
    }
    if (is_references && token == MILL_JSON_ARRAY_BEGIN) {
        return read_references(r, arena, answer);
    }
    return token != MILL_JSON_ERROR && mill_json_skip(r, token) == 0;
}

static int read_answer(struct mill__registry *registry, const char *path, struct mill_arena *arena,
                       struct answer *ret_answer, struct mill_error *err)
{
    struct mill_json_reader r;
    enum mill_json_token token;

    *ret_answer = (struct answer){.is_avro = true}; /* AVRO is what is left out */
    mill_json_reader_init(&r, mill_buffer_slice(&registry->answer), &registry->unescaped);
    bool ok = mill_json_next(&r) == MILL_JSON_OBJECT_BEGIN;
    while (ok && (token = mill_json_next(&r)) != MILL_JSON_OBJECT_END) {
        ok = token == MILL_JSON_KEY && read_member(&r, arena, ret_answer);
    }
    if (!ok || ret_answer->schema.p == NULL) {
        return mill_fail(err, MILL_EUNAVAIL, "schema registry '%s' answered '%s' with something that is no schema",
                         registry->url, path);
    }
    if (!ret_answer->is_avro) {
        return mill_fail(err, MILL_EDATA, "schema '%s' of the registry is not an avro schema", path);
    }
    return 0;
}

/* ---- a schema with its references ---- */

struct collection {
    struct mill_slice texts[TEXTS_MAX];
    struct mill_slice paths[TEXTS_MAX]; /* where each came from: a schema that is referred to twice is read once */
    uint32_t count;
    size_t bytes;
};

static bool was_collected(const struct collection *all, struct mill_slice path)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (mill_slice_equal(all->paths[i], path)) {
            return true;
        }
    }
    return false;
}

static const char *reference_path(struct mill__registry *registry, struct mill_arena *arena,
                                  const struct reference *reference)
{
    char *subject = curl_easy_escape(registry->curl, reference->subject.p, (int)reference->subject.n);
    mill_assert(subject != NULL);
    const char *path = mill_arena_printf(arena, "/subjects/%s/versions/%" PRId64, subject, reference->version);
    curl_free(subject);
    return path;
}

/* The schema is there and what it refers to is not: nothing that waiting or asking for another id would change. */
static int fail_reference(const char *path, const struct reference *reference, struct mill_error *err)
{
    return mill_fail(
        err, MILL_EDATA, "schema '%s' of the registry refers to '%.*s', version %" PRId64 ", which is not there", path,
        reference->subject.n > 100 ? 100 : (int)reference->subject.n, reference->subject.p, reference->version);
}

/* Depth first, so that what is referred to comes first. The depth is bounded by TEXTS_MAX. */
static int collect(struct mill__registry *registry, const char *path, unsigned depth, struct mill_arena *arena,
                   struct collection *all, struct mill_error *err)
{
    struct answer *answer = mill_arena_alloc(arena, sizeof(*answer));

    if (depth >= TEXTS_MAX) {
        return mill_fail(err, MILL_EDATA, "schema '%s' of the registry: references go in a circle", path);
    }
    MILL_TRY(get(registry, path, err));
    MILL_TRY(read_answer(registry, path, arena, answer, err));
    for (uint32_t i = 0; i < answer->reference_count; i++) {
        const char *other = reference_path(registry, arena, &answer->references[i]);
        int rc = was_collected(all, mill_slice_of(other)) ? 0 : collect(registry, other, depth + 1, arena, all, err);
        if (rc == MILL_ENOINPUT) {
            return fail_reference(path, &answer->references[i], err);
        }
        MILL_TRY(rc);
    }
    all->bytes += answer->schema.n;
    if (all->count == TEXTS_MAX || all->bytes > ANSWER_SIZE_MAX) {
        return mill_fail(err, MILL_EDATA, "schema '%s' of the registry refers to more than %d others", path,
                         TEXTS_MAX - 1);
    }
    all->paths[all->count] = mill_slice_of(path);
    all->texts[all->count++] = answer->schema;
    return 0;
}

static const char *path_of(struct mill__schema_id id, struct mill_arena *arena)
{
    char text[MILL__SCHEMA_ID_SIZE];

    return mill_arena_printf(arena, id.kind == MILL__SCHEMA_GUID ? "/schemas/guids/%s" : "/schemas/ids/%s",
                             mill__schema_id_print(id, text));
}

static int fetch_from_server(struct mill__registry *registry, struct mill__schema_id id, struct mill_arena *arena,
                             const struct mill_slice **ret_texts, uint32_t *ret_count, struct mill_error *err)
{
    struct collection *all = mill_arena_zalloc(arena, sizeof(*all));

    registry->deadline_ns = mill_clock_mono_ns() + FETCH_TIMEOUT_MS * INT64_C(1000000);
    MILL_TRY(collect(registry, path_of(id, arena), 0, arena, all, err));
    *ret_texts = all->texts;
    *ret_count = all->count;
    return 0;
}

int mill__registry_fetch(struct mill__registry *registry, struct mill__schema_id id, struct mill_arena *arena,
                         const struct mill_slice **ret_texts, uint32_t *ret_count, struct mill_error *err)
{
    struct mill_buffer path = {0};

    mill_assert(id.kind == MILL__SCHEMA_NUMBER || id.kind == MILL__SCHEMA_GUID);
    if (id.kind == MILL__SCHEMA_NUMBER && id.lo > INT32_MAX) { /* registries count in a Java int */
        return mill_fail(err, MILL_ENOINPUT, "schema id %" PRIu64 " is larger than any registry gives out", id.lo);
    }
    if (registry->cache_directory == NULL) {
        return fetch_from_server(registry, id, arena, ret_texts, ret_count, err);
    }
    mill__registry_cache_path(registry->cache_directory, registry->url, id, &path);
    int rc = 0;
    if (!mill__registry_cache_read(mill_buffer_cstr(&path), arena, ret_texts, ret_count)) {
        rc = fetch_from_server(registry, id, arena, ret_texts, ret_count, err);
        if (rc == 0) {
            /* A cache that cannot be written costs a request after the next restart, nothing else. */
            (void)!mill__registry_cache_write(mill_buffer_cstr(&path), *ret_texts, *ret_count, NULL);
        }
    }
    mill_buffer_clear(&path);
    return rc;
}
