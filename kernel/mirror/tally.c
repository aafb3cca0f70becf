// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What happened to a window, for the statistics of a memory region.
 *
 * Counted where a page is missing, never where it is there. A fault or a
 * prefetch may outlast the window that it was begun through, so the numbers are
 * an object of their own.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "mirror.h"

/**
 * odp_tally_create - begin to count
 *
 * Return: a tally with one reference, or NULL.
 */
struct odp_tally *odp_tally_create(void)
{
	struct odp_tally *tally = kzalloc_obj(*tally, GFP_KERNEL_ACCOUNT);

	if (tally)
		refcount_set(&tally->ref, 1);
	return tally;
}

struct odp_tally *odp_tally_get(struct odp_tally *tally)
{
	refcount_inc(&tally->ref);
	return tally;
}

void odp_tally_put(struct odp_tally *tally)
{
	if (refcount_dec_and_test(&tally->ref))
		kfree(tally);
}

static u64 odp_invalidations(const struct odp_mirror *mirror)
{
	return atomic64_read(&mirror->count[ODP_COUNT_INVALIDATIONS]);
}

static u64 odp_pages_invalidated(const struct odp_mirror *mirror)
{
	return atomic64_read(&mirror->count[ODP_COUNT_PAGES_DROPPED]) +
	       atomic64_read(&mirror->count[ODP_COUNT_WRITE_DROPPED]);
}

/**
 * odp_tally_begin - count what happens to a mirror from now on
 * @tally: of a window that is being made
 * @mirror: its mirror
 */
void odp_tally_begin(struct odp_tally *tally, struct odp_mirror *mirror)
{
	tally->invalidations = odp_invalidations(mirror);
	tally->pages_invalidated = odp_pages_invalidated(mirror);
}

/**
 * odp_tally_fault - a fault has ended
 * @tally: of the window that it was for
 * @pages: how many it made usable, or an errno
 */
void odp_tally_fault(struct odp_tally *tally, long pages)
{
	if (pages > 0) {
		atomic64_inc(&tally->faults);
		atomic64_add(pages, &tally->pages_faulted);
	} else {
		atomic64_inc(&tally->faults_failed);
	}
}

/**
 * odp_window_count - read what happened to a window
 * @window: the window
 * @counts: out
 *
 * Context: any.
 */
void odp_window_count(struct odp_window *window,
		      struct odp_window_counts *counts)
{
	const struct odp_mirror *mirror = window->mirror;
	const struct odp_tally *tally = window->tally;

	counts->mirror = mirror->id;
	counts->faults = atomic64_read(&tally->faults);
	counts->pages_faulted = atomic64_read(&tally->pages_faulted);
	counts->faults_failed = atomic64_read(&tally->faults_failed);
	counts->faults_queued = atomic64_read(&tally->faults_queued);
	counts->pages_prefetched = atomic64_read(&tally->pages_prefetched);
	counts->invalidations = odp_invalidations(mirror) -
				tally->invalidations;
	counts->pages_invalidated = odp_pages_invalidated(mirror) -
				    tally->pages_invalidated;
}
EXPORT_SYMBOL_GPL(odp_window_count);
