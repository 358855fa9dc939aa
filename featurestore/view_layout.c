/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of a view's state: slots, lanes, cells, pane sets and spans, each kept once; see view_internal.h. */
#include "base/hash.h"
#include "featurestore/view_internal.h"

enum { STATE_FORMAT = 1, RECORD_MASK_OFFSET = 20, SLOTS_AND_LANES_MAX = 4096 };

static enum mill_type type_of(const struct mill_view *view, uint32_t column)
{
    return view->shadow.fields[column].type;
}

static uint32_t add_slot(struct mill_view *view, uint32_t column)
{
    if (type_of(view, column) == MILL_STRING) {
        return MILL__NONE;
    }
    for (uint32_t i = 0; i < view->slot_count; i++) {
        if (view->slots[i].column == column) {
            return i;
        }
    }
    view->slots[view->slot_count] = (struct mill__slot){.column = column, .type = type_of(view, column)};
    return view->slot_count++;
}

/* What lookups need of the newest event: features, and the source columns of derivations. */
static void lay_out_slots(struct mill_view *view)
{
    uint32_t field_count = view->schema.field_count;

    view->slots = mill_arena_array(&view->arena, struct mill__slot, field_count + view->reading_count);
    view->slot_of_view_column = mill_arena_array(&view->arena, uint32_t, field_count);
    for (uint32_t i = 0; i < field_count; i++) {
        view->slot_of_view_column[i] = MILL__NONE;
    }
    for (uint32_t i = 0; i < view->spec->feature_count; i++) {
        view->slot_of_view_column[i] = add_slot(view, view->source_count + i);
    }
    for (uint32_t i = 0; i < view->hidden_count; i++) {
        view->slot_of_view_column[view->output_count + i] = add_slot(view, view->hidden_source[i]);
    }
}

static uint32_t find_where(const struct mill_view *view, struct mill_slice text)
{
    for (uint32_t w = 0; w < view->where_count; w++) {
        if (mill_slice_equal(view->where_texts[w], text)) {
            return w;
        }
    }
    return MILL__NONE;
}

static uint32_t add_lane(struct mill_view *view, const struct mill_aggregate_spec *spec)
{
    uint32_t column = (uint32_t)mill__view_find_column(view, mill_slice_of(spec->column));
    uint32_t where = find_where(view, spec->where);

    for (uint32_t i = 0; i < view->lane_count; i++) {
        if (view->lanes[i].column == column && view->lanes[i].where == where) {
            return i;
        }
    }
    view->lanes[view->lane_count] = (struct mill__lane){
        .column = column, .slot = add_slot(view, column), .where = where, .type = type_of(view, column)};
    return view->lane_count++;
}

static uint32_t add_span(struct mill_view *view, const struct mill__window *window)
{
    for (uint32_t i = 0; i < view->span_count; i++) {
        const struct mill__window *w = &view->spans[i].window;
        if (w->width_us == window->width_us && w->hop_us == window->hop_us && w->semantics == window->semantics) {
            return i;
        }
    }
    struct mill__span *span = &view->spans[view->span_count];
    *span = (struct mill__span){.window = *window, .pane_set = MILL__NONE};
    span->members = mill_arena_array(&view->arena, struct mill__member, view->reading_count);
    return view->span_count++;
}

static uint32_t add_member(struct mill__span *span, uint32_t lane, const struct mill__accumulator *accumulator)
{
    for (uint32_t i = 0; i < span->member_count; i++) {
        if (span->members[i].lane == lane && span->members[i].accumulator == accumulator) {
            return i;
        }
    }
    struct mill__member *member = &span->members[span->member_count];
    mill_assert(accumulator->size % 8 == 0);
    mill_assert((accumulator->subtract == NULL) == (accumulator->unmerge == NULL));
    *member = (struct mill__member){.lane = lane, .accumulator = accumulator, .front_offset = MILL__NONE};
    member->run_offset = span->run_size;
    span->run_size += accumulator->size;
    if (accumulator->subtract == NULL) {
        member->front_offset = span->front_size;
        span->front_size += accumulator->size;
    } else {
        span->has_sums = true;
    }
    return span->member_count++;
}

static struct mill__pane_set *add_pane_set(struct mill_view *view, struct mill__span *span)
{
    uint32_t i = 0;

    while (i < view->pane_set_count && view->pane_sets[i].hop_us != span->window.hop_us) {
        i++;
    }
    struct mill__pane_set *set = &view->pane_sets[i];
    if (i == view->pane_set_count) {
        *set = (struct mill__pane_set){.hop_us = span->window.hop_us, .pane_size = sizeof(int64_t)};
        set->cells = mill_arena_array(&view->arena, struct mill__cell, view->reading_count);
        view->pane_set_count++;
    }
    span->pane_set = i;
    return set;
}

static uint32_t add_cell(struct mill__pane_set *set, const struct mill__member *member)
{
    for (uint32_t i = 0; i < set->cell_count; i++) {
        if (set->cells[i].lane == member->lane && set->cells[i].accumulator == member->accumulator) {
            return set->cells[i].offset;
        }
    }
    struct mill__cell *cell = &set->cells[set->cell_count++];
    *cell = (struct mill__cell){.lane = member->lane, .offset = set->pane_size, .accumulator = member->accumulator};
    set->pane_size += member->accumulator->size;
    return cell->offset;
}

static void lay_out_span(struct mill_view *view, struct mill__span *span)
{
    span->state_offset = view->states_size;
    view->states_size += span->run_size + span->front_size;
    if (span->front_size > view->front_size_max) {
        view->front_size_max = span->front_size;
    }
    if (span->window.hop_us == 1) {
        int64_t width = span->window.width_us - (span->window.semantics == MILL_WINDOW_EXACT);
        view->raw_width_max_us = width > view->raw_width_max_us ? width : view->raw_width_max_us;
        return;
    }
    struct mill__pane_set *set = add_pane_set(view, span);
    for (uint32_t m = 0; m < span->member_count; m++) {
        span->members[m].pane_offset = add_cell(set, &span->members[m]);
    }
}

int mill__view_lay_out(struct mill_view *view, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;

    lay_out_slots(view);
    view->lanes = mill_arena_array(&view->arena, struct mill__lane, view->reading_count);
    view->spans = mill_arena_array(&view->arena, struct mill__span, view->reading_count);
    view->pane_sets = mill_arena_array(&view->arena, struct mill__pane_set, view->reading_count);
    for (uint32_t i = 0; i < view->reading_count; i++) {
        struct mill__reading *r = &view->readings[i];
        struct mill__window window;
        MILL_TRY(mill__window_resolve(&spec->aggregates[i], &window, err));
        r->span = add_span(view, &window);
        uint32_t lane = add_lane(view, &spec->aggregates[i]);
        r->member = add_member(&view->spans[r->span], lane, r->aggregate->accumulator(r->column_type));
        r->before_event = r->aggregate->before_event || mill__window_last(&window, 0) < 0;
    }
    if (view->slot_count + view->lane_count > SLOTS_AND_LANES_MAX) {
        return mill_fail(err, MILL_ECONFIG, "view '%s' keeps more than %d columns; hint: split it", spec->name,
                         (int)SLOTS_AND_LANES_MAX);
    }
    view->raw_width_max_us = -1;
    for (uint32_t s = 0; s < view->span_count; s++) {
        lay_out_span(view, &view->spans[s]);
    }
    view->mask_offset = RECORD_MASK_OFFSET;
    view->values_offset = (RECORD_MASK_OFFSET + (view->slot_count + view->lane_count + 7) / 8 + 7) & ~7u;
    view->record_size = view->values_offset + 8 * view->slot_count;
    return MILL_OK;
}

/* Zones have no name here; their offsets through the years stand for them. */
static void hash_zone(const struct mill_timezone *zone, struct mill_buffer *text)
{
    for (int half_year = 0; zone != NULL && half_year < 100; half_year++) {
        int64_t instant = half_year * 182 * MILL_US_PER_DAY;
        mill_buffer_printf(text, "%lld,", (long long)mill_timezone_offset_us(zone, instant));
    }
}

static void hash_layout(const struct mill_view *view, struct mill_buffer *text)
{
    for (uint32_t i = 0; i < view->slot_count; i++) {
        mill_buffer_printf(text, "slot %s %d\n", view->shadow.fields[view->slots[i].column].name,
                           (int)view->slots[i].type);
    }
    for (uint32_t i = 0; i < view->lane_count; i++) {
        const struct mill__lane *lane = &view->lanes[i];
        mill_buffer_printf(text, "lane %s where ", view->shadow.fields[lane->column].name);
        if (lane->where != MILL__NONE) {
            mill_buffer_add_slice(text, view->where_texts[lane->where]);
        }
        mill_buffer_add_byte(text, '\n');
    }
    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        const struct mill__pane_set *set = &view->pane_sets[i];
        mill_buffer_printf(text, "panes %lld", (long long)set->hop_us);
        for (uint32_t c = 0; c < set->cell_count; c++) {
            mill_buffer_printf(text, " %u %s", (unsigned)set->cells[c].lane, set->cells[c].accumulator->name);
        }
        mill_buffer_add_byte(text, '\n');
    }
    for (uint32_t i = 0; i < view->span_count; i++) {
        mill_buffer_printf(text, "span %lld %d\n", (long long)view->spans[i].window.width_us,
                           (int)view->spans[i].window.semantics);
    }
}

uint64_t mill__view_hash(const struct mill_view *view)
{
    const struct mill_view_spec *spec = view->spec;
    struct mill_buffer text = {0};

    mill_buffer_printf(&text, "format %d\n", (int)STATE_FORMAT);
    for (uint32_t k = 0; k < spec->entity.key_count; k++) {
        mill_buffer_printf(&text, "key %s %d\n", spec->entity.keys[k].name, (int)spec->entity.keys[k].type);
    }
    for (uint32_t c = 0; c < spec->source_schema->field_count; c++) {
        mill_buffer_printf(&text, "field %s %d\n", spec->source_schema->fields[c].name,
                           (int)spec->source_schema->fields[c].type);
    }
    for (uint32_t i = 0; i < spec->feature_count; i++) {
        mill_buffer_printf(&text, "feature %s ", spec->features[i].name);
        mill_buffer_add_slice(&text, spec->features[i].expr);
        mill_buffer_add_byte(&text, '\n');
    }
    hash_layout(view, &text);
    hash_zone(spec->zone, &text);
    uint64_t hash = mill_hash64(text.p, text.n);
    mill_buffer_clear(&text);
    return hash;
}
