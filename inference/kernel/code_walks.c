/* SPDX-License-Identifier: Apache-2.0 */
/* The walks on codes (heap.c, hop.c) as kernels, one with each way of making codes. */
#include "inference/kernel/rank_internal.h"

static bool always(void)
{
    return true;
}

static bool fits_heap(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->perfect.depth > 0 && forest->margin_count <= 256;
}

static bool fits_hop(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->hop.nodes != NULL && forest->margin_count <= 256;
}

#define KERNEL(walk, coder)                                                                                            \
    static void run_##walk##_##coder(const struct mill__tables *tables, const struct mill__forest *forest,             \
                                     const void *values, size_t stride, uint32_t n, double *margins, void *scratch)    \
    {                                                                                                                  \
        mill__##walk##_rows(tables, forest, &mill__coder_##coder, values, stride, n, margins, scratch);                \
    }
KERNEL(heap, portable)
KERNEL(hop, portable)
KERNEL(heap, avx2)
KERNEL(hop, avx2)
KERNEL(heap, avx512)
KERNEL(hop, avx512)

const struct mill__kernel mill__kernel_heap = {"heap", "portable", always, fits_heap, run_heap_portable, false},
                          mill__kernel_hop = {"hop", "portable", always, fits_hop, run_hop_portable, false},
                          mill__kernel_heap_avx2 = {"heap-avx2", "avx2",        mill__has_avx2,
                                                    fits_heap,   run_heap_avx2, false},
                          mill__kernel_hop_avx2 = {"hop-avx2", "avx2", mill__has_avx2, fits_hop, run_hop_avx2, false},
                          mill__kernel_heap_avx512 = {"heap-avx512", "avx512bw",      mill__has_avx512bw,
                                                      fits_heap,     run_heap_avx512, false},
                          mill__kernel_hop_avx512 = {"hop-avx512", "avx512bw",     mill__has_avx512bw,
                                                     fits_hop,     run_hop_avx512, false};
