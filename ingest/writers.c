/* SPDX-License-Identifier: Apache-2.0 */
/* Writer's schemas and their plans by id; see writers_internal.h. */
#include "ingest/writers_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "ingest/registry_internal.h"

/*
 * Each id that the registry does not know costs a request, and whoever can produce to the topic can make up four
 * thousand million of them. So they are remembered for a while, and no more than a few are asked for per second; those
 * beyond that are rejected unasked (their records are in the dead letters and can be replayed).
 */
enum {
    ENTRIES_MAX = 8192,
    UNKNOWN_BURST = 64,
    UNKNOWN_PER_SECOND = 16,
};
#define UNKNOWN_KEPT_NS (INT64_C(10) * 1000000000)

struct mill__writers {
    const struct mill_source_spec *spec;
    struct mill__avro_schema *reader;
    struct mill__avro_plan *own_plan;
    struct mill__registry *registry; /* NULL: none */
    struct mill__writer **table;     /* open addressing; NULL: free */
    uint32_t size, count;            /* size is a power of two */
    int64_t first_expiry_ns;         /* of an unknown id; 0: none */
    double unknown_budget;           /* requests that may end in "unknown" */
    int64_t budget_ns;
};

/* ---- table ---- */

static struct mill__writer **find_slot(const struct mill__writers *writers, struct mill__schema_id id)
{
    uint64_t key[3] = {(uint64_t)id.kind, id.hi, id.lo};
    uint32_t slot = (uint32_t)mill_hash64(key, sizeof(key)) & (writers->size - 1);

    while (writers->table[slot] != NULL && !mill__schema_id_equal(writers->table[slot]->id, id)) {
        slot = (slot + 1) & (writers->size - 1);
    }
    return &writers->table[slot];
}

static void free_entry(struct mill__writer *entry)
{
    mill__avro_plan_free((struct mill__avro_plan *)(uintptr_t)entry->plan);
    mill__avro_schema_free(entry->schema);
    free((char *)(uintptr_t)entry->detail);
    free(entry);
}

/* Moves what keep() wants into a table of that size and frees the rest. */
static void rebuild(struct mill__writers *writers, uint32_t size, bool (*keep)(const struct mill__writer *, int64_t),
                    int64_t now_ns)
{
    struct mill__writer **old = writers->table;
    uint32_t old_size = writers->size;

    writers->table = mill_calloc(size, sizeof(struct mill__writer *));
    writers->size = size;
    writers->count = 0;
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i] != NULL && keep(old[i], now_ns)) {
            *find_slot(writers, old[i]->id) = old[i];
            writers->count++;
        } else if (old[i] != NULL) {
            free_entry(old[i]);
        }
    }
    free(old);
}

static bool keep_all(const struct mill__writer *entry, int64_t now_ns)
{
    (void)entry;
    (void)now_ns;
    return true;
}

static bool keep_unexpired(const struct mill__writer *entry, int64_t now_ns)
{
    return entry->ask_again_ns == 0 || entry->ask_again_ns > now_ns;
}

static bool keep_usable(const struct mill__writer *entry, int64_t now_ns)
{
    (void)now_ns;
    return entry->plan != NULL;
}

static struct mill__writer *add_entry(struct mill__writers *writers, struct mill__schema_id id)
{
    if ((writers->count + 1) * 2 > writers->size) {
        rebuild(writers, writers->size * 2, keep_all, 0);
    }
    struct mill__writer *entry = mill_calloc(1, sizeof(*entry));
    entry->id = id;
    *find_slot(writers, id) = entry;
    writers->count++;
    return entry;
}

void mill__writers_begin_batch(struct mill__writers *writers)
{
    if (writers->count > ENTRIES_MAX) {
        rebuild(writers, writers->size, keep_usable, 0);
        writers->first_expiry_ns = 0;
    }
    if (writers->first_expiry_ns == 0) {
        return;
    }
    int64_t now_ns = mill_clock_mono_ns();
    if (now_ns >= writers->first_expiry_ns) {
        rebuild(writers, writers->size, keep_unexpired, now_ns);
        writers->first_expiry_ns = 0;
        for (uint32_t i = 0; i < writers->size; i++) {
            const struct mill__writer *entry = writers->table[i];
            if (entry != NULL && entry->ask_again_ns != 0 &&
                (writers->first_expiry_ns == 0 || entry->ask_again_ns < writers->first_expiry_ns)) {
                writers->first_expiry_ns = entry->ask_again_ns;
            }
        }
    }
}

/* ---- open, close ---- */

static int add_known(struct mill__writers *writers, struct mill_slice text, struct mill_error *err)
{
    struct mill__avro_schema *schema;
    struct mill__avro_plan *plan;

    MILL_TRY(mill__avro_schema_parse(&text, 1, &schema, err));
    int rc = mill__avro_plan_compile(writers->spec, schema, writers->reader, &plan, err);
    struct mill__schema_id id = {MILL__SCHEMA_FINGERPRINT, 0, mill__avro_schema_fingerprint(schema)};
    if (rc < 0 || *find_slot(writers, id) != NULL) {
        if (rc == 0) {
            mill__avro_plan_free(plan);
        }
        mill__avro_schema_free(schema);
        return rc;
    }
    struct mill__writer *entry = add_entry(writers, id);
    entry->schema = schema;
    entry->plan = plan;
    return 0;
}

static int open_schemas(struct mill__writers *writers, struct mill_error *err)
{
    const struct mill_source_spec *spec = writers->spec;

    MILL_TRY(mill__avro_schema_parse(&spec->avro_schema, 1, &writers->reader, err));
    MILL_TRY(mill__avro_check_reader(spec, writers->reader, err));
    MILL_TRY(mill__avro_plan_compile(spec, writers->reader, writers->reader, &writers->own_plan, err));
    if (spec->framing == MILL_FRAMING_SINGLE_OBJECT) {
        MILL_TRY(add_known(writers, spec->avro_schema, err));
        for (uint32_t i = 0; i < spec->known_schema_count; i++) {
            int rc = add_known(writers, spec->known_schemas[i], err);
            if (rc < 0) {
                mill_error_prefix(err, "known schema %u", i + 1);
                return rc;
            }
        }
    }
    return spec->registry_url == NULL ? 0
                                      : mill__registry_open(spec->registry_url, spec->registry_auth,
                                                            spec->registry_cache, &writers->registry, err);
}

int mill__writers_open(const struct mill_source_spec *spec, struct mill__writers **ret_writers, struct mill_error *err)
{
    bool needs_registry = spec->framing == MILL_FRAMING_CONFLUENT || spec->framing == MILL_FRAMING_CONFLUENT_HEADER;

    if (needs_registry && spec->registry_url == NULL) {
        return mill_fail(err, MILL_ECONFIG,
                         "confluent framing names schemas by the ids of a registry, and none is configured");
    }
    struct mill__writers *writers = mill_calloc(1, sizeof(*writers));
    writers->spec = spec;
    writers->size = 16;
    writers->table = mill_calloc(writers->size, sizeof(struct mill__writer *));
    writers->unknown_budget = UNKNOWN_BURST;
    writers->budget_ns = mill_clock_mono_ns();
    int rc = open_schemas(writers, err);
    if (rc < 0) {
        mill__writers_close(writers);
        return rc;
    }
    *ret_writers = writers;
    return 0;
}

void mill__writers_close(struct mill__writers *writers)
{
    if (writers == NULL) {
        return;
    }
    for (uint32_t i = 0; i < writers->size; i++) {
        if (writers->table[i] != NULL) {
            free_entry(writers->table[i]);
        }
    }
    free(writers->table);
    mill__registry_close(writers->registry);
    mill__avro_plan_free(writers->own_plan);
    mill__avro_schema_free(writers->reader);
    free(writers);
}

const struct mill__avro_plan *mill__writers_own_plan(const struct mill__writers *writers)
{
    return writers->own_plan;
}

/* ---- new ids ---- */

static bool may_ask(struct mill__writers *writers)
{
    int64_t now_ns = mill_clock_mono_ns();
    double seconds = (double)(now_ns - writers->budget_ns) * 1e-9;

    writers->budget_ns = now_ns;
    writers->unknown_budget += seconds * UNKNOWN_PER_SECOND;
    if (writers->unknown_budget > UNKNOWN_BURST) {
        writers->unknown_budget = UNKNOWN_BURST;
    }
    return writers->unknown_budget >= 1;
}

MILL_PRINTF(3, 4)
static void refuse(struct mill__writer *entry, enum mill_reject_reason reason, const char *fmt, ...)
{
    char detail[sizeof(((struct mill__fault *)0)->text)];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    entry->reason = reason;
    entry->detail = mill_strdup(detail);
}

static void refuse_unknown(struct mill__writers *writers, struct mill__writer *entry, const char *why)
{
    char id[MILL__SCHEMA_ID_SIZE];

    refuse(entry, MILL_REJECT_UNKNOWN_SCHEMA, "schema %s: %s", mill__schema_id_print(entry->id, id), why);
    entry->ask_again_ns = mill_clock_mono_ns() + UNKNOWN_KEPT_NS;
    if (writers->first_expiry_ns == 0) {
        writers->first_expiry_ns = entry->ask_again_ns;
    }
}

static void compile_entry(struct mill__writers *writers, struct mill__writer *entry, const struct mill_slice *texts,
                          uint32_t count)
{
    struct mill__avro_plan *plan;
    struct mill_error err;
    char id[MILL__SCHEMA_ID_SIZE];

    int rc = mill__avro_schema_parse(texts, count, &entry->schema, &err);
    if (rc == 0) {
        rc = mill__avro_plan_compile(writers->spec, entry->schema, writers->reader, &plan, &err);
    }
    if (rc < 0) {
        refuse(entry, MILL_REJECT_INCOMPATIBLE, "schema %s: %s", mill__schema_id_print(entry->id, id), err.msg);
        return;
    }
    entry->plan = plan;
}

static int fetch_entry(struct mill__writers *writers, struct mill__schema_id id, struct mill_arena *arena,
                       struct mill_error *err)
{
    const struct mill_slice *texts;
    struct mill_error why = {0};
    uint32_t count;
    char text[MILL__SCHEMA_ID_SIZE];

    if (!may_ask(writers)) {
        refuse_unknown(writers, add_entry(writers, id), "not asked for: too many unknown schema ids lately");
        return 0;
    }
    int rc = mill__registry_fetch(writers->registry, id, arena, &texts, &count, &why);
    if (rc == MILL_EUNAVAIL) {
        return mill_fail(err, rc, "schema %s: %s", mill__schema_id_print(id, text), why.msg);
    }
    struct mill__writer *entry = add_entry(writers, id);
    if (rc == MILL_ENOINPUT) {
        writers->unknown_budget -= 1;
        refuse_unknown(writers, entry, why.msg);
    } else if (rc < 0) {
        refuse(entry, MILL_REJECT_INCOMPATIBLE, "schema %s: %s", mill__schema_id_print(id, text), why.msg);
    } else {
        compile_entry(writers, entry, texts, count);
    }
    return 0;
}

int mill__writers_find(struct mill__writers *writers, struct mill__schema_id id, const struct mill__writer **ret_writer,
                       struct mill_error *err)
{
    struct mill__writer *entry = *find_slot(writers, id);
    int rc = 0;

    if (entry == NULL && id.kind == MILL__SCHEMA_FINGERPRINT) {
        refuse_unknown(writers, add_entry(writers, id), "not a schema of this source; hint: list it with the source");
    } else if (entry == NULL) {
        struct mill_arena arena;
        mill_arena_init(&arena, 0);
        rc = fetch_entry(writers, id, &arena, err);
        mill_arena_clear(&arena);
    }
    if (rc == 0) {
        *ret_writer = *find_slot(writers, id);
    }
    return rc;
}
