// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What mm does to us: the notifier callback.
 *
 * mm calls it before it changes its page tables. When it returns, no access to
 * what the event takes away is running, because the chunk's lock was held
 * exclusive; and none can start, because the entry is gone and a fault that
 * began earlier finds its slot's sequence changed and is not published.
 *
 * Two events leave the page readable: PROTECTION_PAGE (writeback cleans the
 * page, fork and reflink share it) and SOFT_DIRTY. mm only wants to see the
 * next write. Everything else drops the entry.
 */
#include <linux/processor.h>

#include "mirror.h"
#include "trace.h"

/* How often an invalidation that may not sleep tries for a chunk's lock. */
#define ODP_REAP_SPINS		1000

static bool odp_event_keeps_read(enum mmu_notifier_event event)
{
	return ODP_RULE(KEEP_READ) && (event == MMU_NOTIFY_PROTECTION_PAGE ||
				       event == MMU_NOTIFY_SOFT_DIRTY);
}

/* Returns how many pages lost anything. */
static unsigned int odp_chunk_invalidate_locked(struct odp_chunk *chunk,
						unsigned long first,
						unsigned long last,
						bool keep_read)
{
	struct odp_mirror *mirror = chunk->mirror;
	unsigned int dropped = 0, protected = 0;
	unsigned long slot_last;
	struct odp_slot *slot;

	for (;; first = slot_last + 1) {
		slot = odp_slot(chunk, first);
		slot_last = min(last, odp_slot_last(first));

		/* Pairs with the acquire in odp_look(). */
		smp_store_release(&slot->sequence, slot->sequence + 1);
		if (keep_read)
			protected += odp_slot_protect_locked(chunk, slot, first,
							     slot_last);
		else if (ODP_RULE(DROP))
			dropped += odp_slot_drop_locked(chunk, slot, first,
							slot_last);
		if (slot_last == last)
			break;
	}

	odp_count(mirror, ODP_COUNT_CALLBACKS);
	if (dropped || protected)
		odp_count(mirror, ODP_COUNT_INVALIDATIONS);
	odp_count_add(mirror, ODP_COUNT_PAGES_DROPPED, dropped);
	odp_count_add(mirror, ODP_COUNT_WRITE_DROPPED, protected);
	return dropped + protected;
}

/*
 * For the OOM reaper, which must not sleep. It comes back, but ten times only,
 * and a device that is busy holds the lock most of the time: for a copy of
 * ODP_ACCESS_BATCH bytes at most, mostly of a packet.
 */
static bool odp_chunk_try_lock(struct odp_chunk *chunk)
{
	int spins;

	for (spins = 0; spins < ODP_REAP_SPINS; spins++) {
		if (down_write_trylock(&chunk->lock))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * The core has no owner of device-private memory, so MMU_NOTIFY_MIGRATE and
 * MMU_NOTIFY_EXCLUSIVE are never our own and drop like the rest.
 */
static bool odp_invalidate(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *range,
			   unsigned long sequence)
{
	struct odp_chunk *chunk = container_of(notifier, struct odp_chunk,
					       notifier);
	/* mmu_notifier_range is half-open; a chunk is closed. */
	unsigned long first = max(range->start, chunk->first);
	unsigned long last = min(range->end - 1, odp_chunk_last(chunk));
	unsigned int pages;

	if (mmu_notifier_range_blockable(range))
		down_write(&chunk->lock);
	else if (!odp_chunk_try_lock(chunk))
		return false;

	mmu_interval_set_seq(notifier, sequence);
	pages = odp_chunk_invalidate_locked(chunk, first, last,
					    odp_event_keeps_read(range->event));
	trace_odp_invalidate(chunk->mirror, first, last, range->event, pages);
	odp_chunk_maybe_retire_locked(chunk);

	up_write(&chunk->lock);
	return true;
}

const struct mmu_interval_notifier_ops odp_notifier_ops = {
	.invalidate = odp_invalidate,
};
