// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Using the pages: the path that a packet takes.
 *
 * An access walks its range chunk by chunk. It holds the chunk's lock shared
 * while the actor touches the pages, so that an invalidation waits for it, and
 * lets go of it before it asks mm for a page that is missing.
 */
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/libnvdimm.h>
#include <linux/memremap.h>
#include <linux/uaccess.h>

#include "mirror.h"

/*
 * How often one page may be faulted in and be gone again before the access
 * gives up and says -EAGAIN.
 */
#define ODP_ACCESS_TRIES	8

/*
 * Most bytes that are accessed before a waiting invalidation gets its turn. Far
 * more than a packet, so only a write-back of much memory notices.
 */
#define ODP_ACCESS_BATCH	SZ_128K

/**
 * struct odp_walk - an access on its way
 * @va: where it is
 * @done: bytes behind it
 * @length: bytes in all
 * @need: entry bits that the access needs
 * @write: the actor writes
 * @flush: the page has to be persistent memory
 * @persistent: the device that was found to be that last, while the chunk is
 *	locked
 * @actor: what to do
 * @map_actor: what to do instead with the device's addresses, or NULL
 * @context: for the actor
 */
struct odp_walk {
	unsigned long va;
	size_t done;
	size_t length;
	unsigned long need;
	bool write;
	bool flush;
	const struct dev_pagemap *persistent;
	odp_actor_t actor;
	odp_map_actor_t map_actor;
	void *context;
};

static bool odp_pfn_is(unsigned long pfn, unsigned long desc)
{
	return region_intersects(PFN_PHYS(pfn), PAGE_SIZE, IORESOURCE_MEM,
				 desc) == REGION_INTERSECTS;
}

/*
 * DAX alone does not say that: CXL memory or a virtiofs window has it too. The
 * list of all resources is walked for that, so for the first page of a device
 * only; the chunk's lock keeps the device.
 */
static bool odp_walk_persistent(struct odp_walk *walk, unsigned long entry)
{
	struct dev_pagemap *device = page_pgmap(odp_entry_page(entry));
	unsigned long pfn = entry >> ODP_ENTRY_SHIFT;

	if (walk->persistent == device)
		return true;
	if (!odp_pfn_is(pfn, IORES_DESC_PERSISTENT_MEMORY) &&
	    !odp_pfn_is(pfn, IORES_DESC_PERSISTENT_MEMORY_LEGACY))
		return false;
	walk->persistent = device;
	return true;
}

/*
 * A hole reads as the zero page, or the huge one, whose frame number modules
 * are not told: it is of PMD size, not writable and in no mapping. Nothing in
 * either can be lost.
 */
static bool odp_walk_flushable(struct odp_walk *walk, unsigned long entry)
{
	struct folio *folio = page_folio(odp_entry_page(entry));

	if (entry & ODP_ENTRY_DAX)
		return odp_walk_persistent(walk, entry);
	return is_zero_pfn(entry >> ODP_ENTRY_SHIFT) ||
	       (!folio->mapping && !(entry & ODP_ENTRY_WRITE) &&
		folio_order(folio) == PMD_ORDER);
}

/* Give the actor the address that the driver's map made. */
static int odp_walk_address(struct odp_walk *walk, struct odp_chunk *chunk)
{
	struct odp_slot *slot = odp_slot(chunk, walk->va);
	size_t size = slot->huge ? PMD_SIZE : PAGE_SIZE;
	size_t length = min(walk->length - walk->done,
			    size - (walk->va & (size - 1)));
	int err;

	err = walk->map_actor(odp_slot_address(chunk, slot, walk->va),
			      walk->done, length, walk->context);
	if (!err) {
		walk->va += length;
		walk->done += length;
	}
	return err;
}

static int odp_walk_page(struct odp_walk *walk, unsigned long entry)
{
	unsigned long offset = offset_in_page(walk->va);
	size_t length = min(walk->length - walk->done, PAGE_SIZE - offset);
	void *kaddr;
	int err;

	if (walk->flush && !odp_walk_flushable(walk, entry))
		return -EOPNOTSUPP;

	kaddr = kmap_local_page(odp_entry_page(entry));
	err = walk->actor(kaddr + offset, walk->done, length, walk->context);
	kunmap_local(kaddr);
	/* Also after an error: the actor may have stored something. */
	if (walk->write && ODP_RULE(DIRTY))
		odp_mark_dirty(entry);

	if (!err) {
		walk->va += length;
		walk->done += length;
	}
	return err;
}

/* The entry for where the walk is, or 0 if it does not do. */
static unsigned long odp_walk_entry(const struct odp_walk *walk,
				    struct odp_chunk *chunk)
{
	unsigned long n = odp_slot_index(chunk, walk->va);
	unsigned long entry = odp_slot_entry(&chunk->slot[n], walk->va);

	if ((entry & walk->need) != walk->need)
		return 0;
	/* For the shrinker. Looked at first: the line is shared by readers. */
	if (!test_bit(n, chunk->used))
		set_bit(n, chunk->used);
	return entry;
}

/*
 * Go on while pages are there, to the end of the chunk or of a batch. @absent
 * tells whether a page was missing. Returns the actor's error.
 */
static int odp_walk_chunk_locked(struct odp_walk *walk, struct odp_chunk *chunk,
				 bool *absent)
{
	size_t end = min(walk->length, walk->done + ODP_ACCESS_BATCH);
	unsigned long last = odp_chunk_last(chunk);
	unsigned long entry;
	int err = 0;

	lockdep_assert_held_read(&chunk->lock);

	*absent = false;
	walk->persistent = NULL;
	while (!err && walk->done < end && walk->va <= last) {
		entry = odp_walk_entry(walk, chunk);
		if (!entry) {
			*absent = true;
			break;
		}
		if (!ODP_RULE(LOCKED_COPY)) {
			up_read(&chunk->lock);
			usleep_range(500, 1000);
		}
		err = walk->map_actor ? odp_walk_address(walk, chunk) :
					odp_walk_page(walk, entry);
		if (!ODP_RULE(LOCKED_COPY))
			down_read(&chunk->lock);
	}
	return err;
}

/* Lock the chunk that the walk is in: the one that was kept, or by a search. */
static struct odp_chunk *odp_walk_lock(struct odp_walk *walk,
				       struct odp_mirror *mirror,
				       struct odp_chunk *kept)
{
	if (!kept)
		return odp_chunk_lock_shared(mirror, walk->va);
	down_read(&kept->lock);
	odp_chunk_release_locked(kept);
	return kept;
}

static int odp_walk_run(struct odp_walk *walk, struct odp_window *window,
			unsigned long intent_last)
{
	unsigned long last = walk->va + walk->length - 1;
	struct odp_mirror *mirror = window->mirror;
	struct odp_chunk *chunk, *kept = NULL;
	bool absent = true;
	int err, tries = 0;
	size_t before;

	for (;;) {
		before = walk->done;
		chunk = odp_walk_lock(walk, mirror, kept);
		kept = NULL;
		if (chunk) {
			err = odp_walk_chunk_locked(walk, chunk, &absent);
			if (!err && absent) {
				odp_chunk_keep_locked(chunk);
				kept = chunk;
			}
			up_read(&chunk->lock);
			if (err || walk->done == walk->length)
				return err;
			if (walk->done != before)
				tries = 0;
			if (!absent) {
				cond_resched();
				continue;
			}
		}

		if (tries)
			odp_count(mirror, ODP_COUNT_RETRIES);
		if (tries++ == ODP_ACCESS_TRIES) {
			if (kept)
				odp_chunk_release(kept);
			return -EAGAIN;
		}
		kept = odp_fault(window, kept, walk->va, max(last, intent_last),
				 walk->write);
		if (IS_ERR(kept))
			return PTR_ERR(kept);
	}
}

static int odp_window_walk(struct odp_window *window, u64 iova,
			   struct odp_walk *walk, size_t intent)
{
	u64 left;
	int err;

	odp_may_fault(window->mirror);
	if (!walk->length)
		return 0;
	if (!odp_window_contains(window, iova, walk->length))
		return -EINVAL;

	left = window->length - (iova - window->iova);
	intent = clamp_t(u64, intent, walk->length, left);
	walk->va = window->va + (iova - window->iova);
	walk->need = ODP_ENTRY_PRESENT;
	if (walk->write && ODP_RULE(NEED_WRITE))
		walk->need |= ODP_ENTRY_WRITE;

	err = odp_walk_run(walk, window, walk->va + intent - 1);
	if (err == -EAGAIN)
		odp_count(window->mirror, ODP_COUNT_BUSY);
	return err;
}

/**
 * odp_window_access - do something to memory through a window
 * @window: the window
 * @iova: where, as the device names it
 * @length: bytes; 0 does nothing
 * @intent: bytes from @iova on that the device is going to access with this and
 *	the following calls; faults are sized by it. Less than @length counts as
 *	@length, and what exceeds the window is ignored.
 * @access: read or write
 * @actor: called for each piece, in order, while the piece is usable
 * @context: for @actor
 *
 * After an error a part of the range may have been accessed. Repeating the
 * call starts over.
 *
 * Context: process context, may sleep; holds no lock that a notifier callback
 * or a page fault takes.
 *
 * Return: 0, or
 * -EINVAL: not inside the window
 * -EFAULT: nothing is mapped there that may be accessed so (no mapping, no
 *	permission, past the end of a file, a poisoned page), or the owner has
 *	exited
 * -EAGAIN: the fault is not resolved yet, or was undone too often; the access
 *	is legal as far as known and worth repeating after a while
 * -ENOMEM: no memory for a page or a table; worth repeating
 * or what @actor returned.
 */
int odp_window_access(struct odp_window *window, u64 iova, size_t length,
		      size_t intent, enum odp_access access,
		      odp_actor_t actor, void *context)
{
	struct odp_walk walk = {
		.length = length,
		.write = access == ODP_ACCESS_WRITE,
		.actor = actor,
		.context = context,
	};

	return odp_window_walk(window, iova, &walk, intent);
}
EXPORT_SYMBOL_GPL(odp_window_access);

/**
 * odp_window_map - get the device's addresses for memory
 * @window: the window, made with &odp_device_ops
 * @iova: where, as the device names it
 * @length: bytes; 0 does nothing
 * @intent: as for odp_window_access()
 * @access: what the device may do at the addresses
 * @actor: called for each piece, in order; enters the address in the device's
 *	tables
 * @context: for @actor
 *
 * For a driver whose device accesses memory on its own. The chunk's lock is
 * held from the look-up until @actor returns, and exclusive while the driver's
 * invalidate is called, so no address is entered after it was taken back. What
 * may be written is marked dirty when it is unmapped.
 *
 * Context: as for odp_window_access().
 *
 * Return: as odp_window_access(), or
 * -EOPNOTSUPP: the mirror was made without &odp_device_ops.map
 */
int odp_window_map(struct odp_window *window, u64 iova, size_t length,
		   size_t intent, enum odp_access access,
		   odp_map_actor_t actor, void *context)
{
	struct odp_walk walk = {
		.length = length,
		.write = access == ODP_ACCESS_WRITE,
		.map_actor = actor,
		.context = context,
	};

	if (!odp_mirror_maps(window->mirror))
		return -EOPNOTSUPP;
	return odp_window_walk(window, iova, &walk, intent);
}
EXPORT_SYMBOL_GPL(odp_window_map);

static int odp_read_actor(void *kaddr, size_t offset, size_t length,
			  void *context)
{
	/* A poisoned line ends the copy instead of the machine. */
	if (copy_mc_to_kernel(context + offset, kaddr, length))
		return -EFAULT;
	return 0;
}

static int odp_write_actor(void *kaddr, size_t offset, size_t length,
			   void *context)
{
	memcpy(kaddr, context + offset, length);
	return 0;
}

/**
 * odp_window_read - copy from memory
 * @window: the window
 * @iova: where, as the device names it
 * @buffer: out; @length bytes
 * @length: bytes
 * @intent: as for odp_window_access()
 *
 * Context: as for odp_window_access().
 *
 * Return: as odp_window_access(); -EFAULT also for memory that cannot be read
 * because it is damaged.
 */
int odp_window_read(struct odp_window *window, u64 iova, void *buffer,
		    size_t length, size_t intent)
{
	return odp_window_access(window, iova, length, intent, ODP_ACCESS_READ,
				 odp_read_actor, buffer);
}
EXPORT_SYMBOL_GPL(odp_window_read);

/**
 * odp_window_write - copy to memory
 * @window: the window
 * @iova: where, as the device names it
 * @buffer: @length bytes
 * @length: bytes
 * @intent: as for odp_window_access()
 *
 * Context: as for odp_window_access().
 *
 * Return: as odp_window_access().
 */
int odp_window_write(struct odp_window *window, u64 iova, const void *buffer,
		     size_t length, size_t intent)
{
	return odp_window_access(window, iova, length, intent, ODP_ACCESS_WRITE,
				 odp_write_actor, (void *)buffer);
}
EXPORT_SYMBOL_GPL(odp_window_write);

static int odp_flush_actor(void *kaddr, size_t offset, size_t length,
			   void *context)
{
	struct odp_mirror *mirror = context;

	arch_wb_cache_pmem(kaddr, length);
	odp_count(mirror, ODP_COUNT_FLUSHED);
	return 0;
}

/**
 * odp_window_flush_pmem - write memory back from the CPU's caches
 * @window: the window
 * @iova: where, as the device names it
 * @length: bytes
 *
 * Faults in what is absent: the bytes may have been stored through an entry
 * that has gone since. A hole is fine. The caller orders the write-back with a
 * barrier. Whether the file system can find the bytes after a power failure is
 * the business of who mapped the file (MAP_SYNC).
 *
 * Context: as for odp_window_access().
 *
 * Return: as odp_window_access(), or
 * -EOPNOTSUPP: some of it is not persistent memory; some may be written back
 */
int odp_window_flush_pmem(struct odp_window *window, u64 iova, u64 length)
{
	struct odp_walk walk = {
		.length = length,
		.flush = true,
		.actor = odp_flush_actor,
		.context = window->mirror,
	};

	return odp_window_walk(window, iova, &walk, length);
}
EXPORT_SYMBOL_GPL(odp_window_flush_pmem);
