/* SPDX-License-Identifier: Apache-2.0 */
/* What the drift commands share: bins and rules as words, which columns, profiles of tables; see drift.h. */
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/drift.h"

const char *const mill_cli_drift_rules[] = {"default", "article", NULL};

int mill_cli_drift_options_check(struct mill_cli_drift_options *options, struct mill_error *err)
{
    int rc = mill_binning_parse(mill_slice_of(options->bins), &options->arena, &options->binning, err);

    if (rc == MILL_OK && options->smoothing != NULL) {
        options->has_smoothing = true;
        rc = mill_smoothing_parse(mill_slice_of(options->smoothing), &options->smoothed, err);
    }
    if (rc < 0 && err != NULL) {
        err->code = MILL_EUSAGE;
    }
    return rc < 0 ? MILL_EUSAGE : MILL_OK;
}

static int find_column(const struct mill_cli_table *table, struct mill_slice name, struct mill_cli_column **ret_column,
                       struct mill_arena *arena, struct mill_error *err)
{
    const char *word = mill_arena_strndup(arena, name.p, name.n);
    const char **names = mill_arena_array(arena, const char *, table->column_count);

    for (uint32_t c = 0; c < table->column_count; c++) {
        names[c] = table->columns[c].name;
    }
    *ret_column = mill_cli_table_find(table, word);
    if (*ret_column == NULL) {
        const char *near = mill_suggest(name, names, table->column_count);
        return mill_fail(err, MILL_EUSAGE, "there is no column '%s'%s%s%s", word,
                         near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near,
                         near == NULL ? "" : "'?");
    }
    return MILL_OK;
}

/* "a,b,c" */
static int pick_named(const char *names, const struct mill_cli_table *table, struct mill_arena *arena,
                      struct mill_cli_column **picked, uint32_t *ret_count, struct mill_error *err)
{
    *ret_count = 0;
    while (*names != '\0') {
        size_t n = strcspn(names, ",");
        if (*ret_count == table->column_count) {
            return mill_fail(err, MILL_EUSAGE, "more features than columns: some is named twice");
        }
        MILL_TRY(find_column(table, (struct mill_slice){names, n}, &picked[*ret_count], arena, err));
        (*ret_count)++;
        names += n + (names[n] == ',');
    }
    return MILL_OK;
}

/* What the engine's own files say beside features and scores. */
static bool is_bookkeeping(const char *name)
{
    static const char *const names[] = {"event_time", "offset", "view", "source", "partition", "version", "model"};

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        if (strcmp(name, names[n]) == 0) {
            return true;
        }
    }
    return strncmp(name, "key.", 4) == 0;
}

void mill_cli_drift_name_fields(struct mill_profile_spec *spec, struct mill_cli_column *const *picked, uint32_t count,
                                struct mill_arena *arena)
{
    struct mill_field *fields = mill_arena_zarray(arena, struct mill_field, count);

    for (uint32_t i = 0; i < count; i++) {
        fields[i] = (struct mill_field){picked[i]->name, picked[i]->cells.type};
    }
    spec->fields = fields;
    spec->field_count = count;
}

int mill_cli_drift_pick(const struct mill_cli_drift_options *options, const struct mill_cli_table *table,
                        struct mill_arena *arena, struct mill_profile_spec *ret_spec,
                        struct mill_cli_column ***ret_picked, struct mill_error *err)
{
    struct mill_cli_column **picked = mill_arena_array(arena, struct mill_cli_column *, table->column_count + 1);
    uint32_t count = 0;

    if (options->features != NULL) {
        MILL_TRY(pick_named(options->features, table, arena, picked, &count, err));
    } else {
        bool is_ours = mill_cli_table_find(table, "event_time") != NULL && mill_cli_table_find(table, "offset") != NULL;
        for (uint32_t c = 0; c < table->column_count; c++) {
            const char *name = table->columns[c].name;
            if (!(is_ours && is_bookkeeping(name)) &&
                (options->not_picked == NULL || strcmp(options->not_picked, name) != 0)) {
                picked[count++] = &table->columns[c];
            }
        }
    }
    *ret_spec = (struct mill_profile_spec){
        .model = "",
        .model_version = "",
        .binning = options->binning,
        .breaks_max = (uint32_t)options->break_points,
        .levels_max = MILL_PROFILE_LEVELS_DEFAULT,
    };
    mill_cli_drift_name_fields(ret_spec, picked, count, arena);
    *ret_picked = picked;
    return count > 0 ? MILL_OK : mill_fail(err, MILL_EUSAGE, "no features; hint: --features A,B");
}

struct build {
    struct mill_profile_builder *builder;
    uint64_t *live;
    const int64_t *times; /* of the next chunk, or NULL */
    uint32_t field_count;
    bool has_segment; /* behind the fields */
};

static void build_chunk(void *context, const struct mill_column *const *columns, uint32_t rows)
{
    struct build *build = context;

    mill_profile_builder_add(build->builder, columns, build->has_segment ? columns[build->field_count] : NULL,
                             build->times, build->live, 0, rows);
    build->times += build->times != NULL ? rows : 0;
}

int mill_cli_drift_build(const struct mill_profile_spec *spec, const struct mill_cli_table *table,
                         struct mill_cli_column *const *picked, struct mill_cli_column *segment, const int64_t *times,
                         struct mill_profile **ret_profile, struct mill_error *err)
{
    uint64_t live[MILL_CLI_CHUNK_ROWS / 64];
    uint32_t count = spec->field_count;
    struct build build = {mill_profile_builder_new(spec), live, times, count, segment != NULL};
    enum mill_type *types = mill_calloc(count + 1, sizeof(*types));
    struct mill_cli_column **columns = mill_calloc(count + 1, sizeof(struct mill_cli_column *));

    memset(live, 0xff, sizeof(live));
    for (uint32_t f = 0; f < count; f++) {
        columns[f] = picked[f];
        types[f] = spec->fields[f].type;
    }
    columns[count] = segment;
    types[count] = MILL_STRING;
    mill_cli_table_each_chunk(table, columns, types, count + 1, build_chunk, &build);
    int rc = mill_profile_builder_finish(build.builder, ret_profile, err);
    mill_profile_builder_free(build.builder);
    free(types);
    free(columns);
    return rc;
}
