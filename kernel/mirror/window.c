// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: a memory region's bounds on a mirror.
 *
 * Making one costs the same for one page and for the whole address space: it
 * takes a reference and stores a few numbers. Nothing is looked up in the mm,
 * so a window may cover addresses where nothing is mapped yet, or ever.
 */
#include <linux/export.h>
#include <linux/overflow.h>

#include "mirror.h"

/**
 * odp_window_init - make a window on the mirror of an mm
 * @window: out
 * @owner: tells devices apart: windows with equal @owner and @mm share a mirror,
 *	also with one that had that address before, while a fault or a
 *	prefetch for it is in flight, unless &odp_device_ops.get keeps it
 * @ops: for a device that translates addresses, else NULL; the same for each
 *	window of an @owner
 * @mm: the address space; the caller holds it (current->mm)
 * @iova: first address of the region as the device names it
 * @va: first address of the region in @mm
 * @length: bytes
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or
 * -EINVAL: @length is 0, or @va + @length - 1 or @iova + @length - 1 wraps
 * -ENOMEM: no memory for the mirror
 * -EINTR: a signal is pending
 */
int odp_window_init(struct odp_window *window, const void *owner,
		    const struct odp_device_ops *ops, struct mm_struct *mm,
		    u64 iova, u64 va, u64 length)
{
	struct odp_mirror *mirror;
	struct odp_tally *tally;
	u64 last;

	if (!length || check_add_overflow(va, length - 1, &last) ||
	    check_add_overflow(iova, length - 1, &last))
		return -EINVAL;

	tally = odp_tally_create();
	if (!tally)
		return -ENOMEM;
	mirror = odp_mirror_open(owner, ops, mm);
	if (IS_ERR(mirror)) {
		odp_tally_put(tally);
		return PTR_ERR(mirror);
	}
	odp_tally_begin(tally, mirror);
	window->mirror = mirror;
	window->tally = tally;
	window->iova = iova;
	window->va = va;
	window->length = length;
	return 0;
}
EXPORT_SYMBOL_GPL(odp_window_init);

/**
 * odp_window_destroy - the region is gone
 * @window: made by odp_window_init()
 * @totals: the device's, for odp_device_count(), or NULL
 *
 * The caller has made sure that no call on @window is running or can start.
 * Faults that such a call left in flight go on without the window, and the
 * mirror, its chunks and notifiers go with the last of its windows and faults.
 *
 * Context: process context, may sleep; does not wait for faults or for I/O.
 */
void odp_window_destroy(struct odp_window *window, struct odp_totals *totals)
{
	WRITE_ONCE(window->tally->closed, true);
	odp_tally_put(window->tally);
	window->tally = NULL;
	odp_mirror_close(window->mirror, totals);
	window->mirror = NULL;
}
EXPORT_SYMBOL_GPL(odp_window_destroy);

/**
 * odp_window_stats - read the counters of a window's mirror
 * @window: the window
 * @stats: out
 *
 * All windows of a process on a device have one mirror, hence one set.
 *
 * Context: any.
 */
void odp_window_stats(struct odp_window *window, struct odp_mirror_stats *stats)
{
	odp_mirror_stats(window->mirror, stats);
}
EXPORT_SYMBOL_GPL(odp_window_stats);

static void odp_snapshot_page(struct odp_chunk *chunk, unsigned long va,
			      struct odp_snapshot *snapshot)
{
	struct odp_slot *slot = odp_slot(chunk, va);
	unsigned long entry = odp_slot_entry(slot, va);

	snapshot->present = entry & ODP_ENTRY_PRESENT;
	snapshot->write = entry & ODP_ENTRY_WRITE;
	snapshot->pmem = entry & ODP_ENTRY_DAX;
	snapshot->order = slot->huge ? PMD_ORDER : 0;
}

/**
 * odp_window_snapshot - what is usable right now
 * @window: the window
 * @iova: in the first page, as the device names it
 * @npages: pages
 * @snapshot: out; one for each page
 *
 * Changes nothing and faults nothing in. Each page is looked at once; the next
 * invalidation makes it history.
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or -EINVAL: the pages are not all inside the window.
 */
int odp_window_snapshot(struct odp_window *window, u64 iova,
			unsigned long npages, struct odp_snapshot *snapshot)
{
	struct odp_chunk *chunk;
	unsigned long n, va;

	if (!odp_window_contains(window, iova, 1) ||
	    (npages && npages - 1 >
	     (window->length - 1 - (iova - window->iova)) >> PAGE_SHIFT))
		return -EINVAL;

	va = window->va + (iova - window->iova);
	memset(snapshot, 0, npages * sizeof(*snapshot));
	for (n = 0; n < npages; n++, va += PAGE_SIZE) {
		chunk = odp_chunk_lock_shared(window->mirror, va);
		if (!chunk)
			continue;
		odp_snapshot_page(chunk, va, &snapshot[n]);
		up_read(&chunk->lock);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(odp_window_snapshot);
