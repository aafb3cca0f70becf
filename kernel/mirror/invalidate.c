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
#include "mirror.h"

static bool odp_event_keeps_read(enum mmu_notifier_event event)
{
	return event == MMU_NOTIFY_PROTECTION_PAGE ||
	       event == MMU_NOTIFY_SOFT_DIRTY;
}

/* Drop [first, last] of a slot. Returns how many entries went. */
static unsigned int odp_slot_drop_locked(struct odp_chunk *chunk,
					 struct odp_slot *slot,
					 unsigned long first,
					 unsigned long last)
{
	unsigned long i = odp_leaf_index(first);
	unsigned long end = odp_leaf_index(last) + 1;
	unsigned int dropped = 0;

	if (end - i == ODP_LEAF_ENTRIES) {
		dropped = slot->npresent;
	} else {
		for (; i < end && dropped < slot->npresent; i++) {
			if (!slot->leaf->entry[i])
				continue;
			slot->leaf->entry[i] = 0;
			dropped++;
		}
	}

	slot->npresent -= dropped;
	chunk->npresent -= dropped;
	atomic_long_sub(dropped, &chunk->mirror->npages);
	if (!slot->npresent)
		odp_chunk_free_leaf_locked(chunk, slot);
	return dropped;
}

/* Take write permission from [first, last] of a slot. */
static unsigned int odp_slot_protect_locked(struct odp_slot *slot,
					    unsigned long first,
					    unsigned long last)
{
	unsigned long i = odp_leaf_index(first);
	unsigned long end = odp_leaf_index(last) + 1;
	unsigned int changed = 0;

	for (; i < end; i++) {
		if (!(slot->leaf->entry[i] & ODP_ENTRY_WRITE))
			continue;
		slot->leaf->entry[i] &= ~ODP_ENTRY_WRITE;
		changed++;
	}
	return changed;
}

static void odp_chunk_invalidate_locked(struct odp_chunk *chunk,
					unsigned long first,
					unsigned long last, bool keep_read)
{
	struct odp_mirror *mirror = chunk->mirror;
	unsigned int dropped = 0, protected = 0;
	unsigned long slot_last;
	struct odp_slot *slot;

	for (;; first = slot_last + 1) {
		slot = odp_slot(chunk, first);
		slot_last = min(last, odp_slot_last(first));

		/* Pairs with the acquire in odp_fault_slot(). */
		smp_store_release(&slot->sequence, slot->sequence + 1);
		if (slot->leaf && keep_read)
			protected += odp_slot_protect_locked(slot, first,
							     slot_last);
		else if (slot->leaf)
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

	/*
	 * A reader holds the lock for ODP_ACCESS_BATCH bytes at most, but the
	 * OOM reaper must not wait even for that. It comes back.
	 */
	if (mmu_notifier_range_blockable(range))
		down_write(&chunk->lock);
	else if (!down_write_trylock(&chunk->lock))
		return false;

	mmu_interval_set_seq(notifier, sequence);
	/* mmu_notifier_range is half-open; a chunk is closed. */
	odp_chunk_invalidate_locked(chunk, max(range->start, chunk->first),
				    min(range->end - 1, odp_chunk_last(chunk)),
				    odp_event_keeps_read(range->event));
	odp_chunk_maybe_retire_locked(chunk);

	up_write(&chunk->lock);
	return true;
}

const struct mmu_interval_notifier_ops odp_notifier_ops = {
	.invalidate = odp_invalidate,
};
