// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A chunk's entries: who has which page.
 *
 * A slot of 2 MiB is empty, or has a table of an entry for each page, or one
 * huge entry. A mapping that the CPU has in one piece of at least that size is
 * one entry here as well.
 *
 * A huge entry is dropped whole, also if an invalidation covers only a part of
 * it. Nothing is lost by that: before mm changes a part of a huge mapping it
 * splits it, and announces the split for all of it (__split_huge_pmd() in
 * mm/huge_memory.c). And a table to put the rest in could not be had here,
 * under reclaim.
 *
 * All functions are called with the chunk's lock held exclusive, some of them
 * from notifier callbacks.
 */
#include <linux/slab.h>

#include "mirror.h"

/*
 * Tables come from caches with a constructor, because a table that was emptied
 * entry by entry is full of zeros, and zeroing it is the better part of the first
 * fault in a slot. entry[0] is the allocator's while the table is free.
 */
static struct kmem_cache *odp_leaf_cache;
static struct kmem_cache *odp_leaf_dma_cache;

static size_t odp_leaf_size(bool dma)
{
	return struct_size_t(struct odp_leaf, address,
			     dma ? ODP_LEAF_ENTRIES : 0);
}

static void odp_leaf_construct(void *object)
{
	struct odp_leaf *leaf = object;

	memset(&leaf->entry[1], 0, sizeof(leaf->entry) - sizeof(leaf->entry[0]));
}

static struct kmem_cache *odp_leaf_cache_create(const char *name, size_t size)
{
	struct kmem_cache_args args = {
		.align = sizeof(unsigned long),
		.ctor = odp_leaf_construct,
		.use_freeptr_offset = true,
		.freeptr_offset = offsetof(struct odp_leaf, entry[0]),
	};

	return kmem_cache_create(name, size, &args, SLAB_ACCOUNT);
}

int odp_tables_init(void)
{
	odp_leaf_cache = odp_leaf_cache_create("odp_leaf",
					       odp_leaf_size(false));
	odp_leaf_dma_cache = odp_leaf_cache_create("odp_leaf_dma",
						   odp_leaf_size(true));
	if (odp_leaf_cache && odp_leaf_dma_cache)
		return 0;
	odp_tables_exit();
	return -ENOMEM;
}

void odp_tables_exit(void)
{
	kmem_cache_destroy(odp_leaf_cache);
	kmem_cache_destroy(odp_leaf_dma_cache);
}

static struct kmem_cache *odp_leaf_cache_of(const struct odp_mirror *mirror)
{
	return odp_mirror_maps(mirror) ? odp_leaf_dma_cache : odp_leaf_cache;
}

/**
 * odp_leaf_bytes - what a mirror's table takes
 * @mirror: the mirror
 *
 * Return: bytes.
 */
size_t odp_leaf_bytes(const struct odp_mirror *mirror)
{
	return kmem_cache_size(odp_leaf_cache_of(mirror));
}

/**
 * odp_leaf_alloc - a table, not yet in a slot
 * @mirror: the mirror
 *
 * Context: process context, may sleep; no chunk is locked; between
 * odp_charge_begin() and odp_charge_end().
 *
 * Return: the table, for odp_look_publish(), or NULL.
 */
struct odp_leaf *odp_leaf_alloc(struct odp_mirror *mirror)
{
	struct odp_leaf *leaf;

	leaf = kmem_cache_alloc(odp_leaf_cache_of(mirror), GFP_KERNEL);
	if (leaf)
		leaf->entry[0] = 0;
	return leaf;
}

/**
 * odp_leaf_free - give a table back
 * @mirror: the mirror that it was made for
 * @leaf: the table, without an entry that is present; or NULL
 *
 * Context: notifier callbacks too.
 */
void odp_leaf_free(struct odp_mirror *mirror, struct odp_leaf *leaf)
{
	if (leaf)
		kmem_cache_free(odp_leaf_cache_of(mirror), leaf);
}

/**
 * odp_count_leaves - a table came or went
 * @mirror: the mirror
 * @change: 1 or -1
 */
void odp_count_leaves(struct odp_mirror *mirror, long change)
{
	atomic_long_add(change, &mirror->nleaves);
	if (!odp_mirror_maps(mirror))
		atomic_long_add(change, &odp_nleaves);
}

/**
 * odp_slot_free_leaf_locked - give back a slot's empty table
 * @chunk: the chunk
 * @slot: its slot; no entry in its table is present
 *
 * Context: notifier callbacks too.
 */
void odp_slot_free_leaf_locked(struct odp_chunk *chunk, struct odp_slot *slot)
{
	lockdep_assert_held_write(&chunk->lock);

	if (!slot->leaf)
		return;
	odp_leaf_free(chunk->mirror, slot->leaf);
	WRITE_ONCE(slot->leaf, NULL);
	odp_count_leaves(chunk->mirror, -1);
}

/**
 * odp_mark_dirty - tell mm that a page was written
 * @entry: the page's
 *
 * hmm_range_fault() accepts a writable page that is clean, and the CPU's dirty
 * bit knows nothing of our stores, so without this a page that was written
 * through the mirror is thrown away as clean. DAX pages are not in the page
 * cache; their file system recorded the write when it made the entry writable.
 *
 * Context: the page's chunk is locked.
 */
void odp_mark_dirty(unsigned long entry)
{
	struct folio *folio = page_folio(odp_entry_page(entry));

	if (!(entry & ODP_ENTRY_DAX) && !folio_test_dirty(folio))
		folio_mark_dirty(folio);
}

static u64 *odp_address(struct odp_chunk *chunk, struct odp_slot *slot,
			unsigned long i)
{
	return slot->huge ? &chunk->huge_address[slot - chunk->slot] :
			    &slot->leaf->address[i];
}

/*
 * What the device was told of an entry is not true any more. It may have
 * written as long as it could.
 */
static void odp_unmap(struct odp_chunk *chunk, struct odp_slot *slot,
		      unsigned long i)
{
	unsigned long entry = slot->huge ?: slot->leaf->entry[i];
	struct odp_mirror *mirror = chunk->mirror;
	bool write = entry & ODP_ENTRY_WRITE;

	if (!odp_mirror_maps(mirror) || !ODP_RULE(UNMAP))
		return;
	mirror->ops->unmap(mirror->owner, *odp_address(chunk, slot, i),
			   slot->huge ? PMD_ORDER : 0, write);
	if (write)
		odp_mark_dirty(entry);
}

/* Have the device forget what it knows of part of a slot. */
static void odp_shoot_down(struct odp_chunk *chunk, struct odp_slot *slot,
			   unsigned long first, unsigned long last)
{
	struct odp_mirror *mirror = chunk->mirror;

	if (!odp_mirror_maps(mirror) || !ODP_RULE(SHOOT_DOWN))
		return;
	if (slot->huge) {
		first = round_down(first, PMD_SIZE);
		last = odp_slot_last(first);
	}
	mirror->ops->invalidate(mirror->owner, first, last);
}

static void odp_count_present(struct odp_chunk *chunk, struct odp_slot *slot,
			      long change)
{
	slot->npresent += change;
	chunk->npresent += change;
	atomic_long_add(change, &chunk->mirror->npages);
}

static unsigned int odp_slot_drop_huge(struct odp_chunk *chunk,
				       struct odp_slot *slot)
{
	odp_unmap(chunk, slot, 0);
	slot->huge = 0;
	odp_count_present(chunk, slot, -(long)ODP_LEAF_ENTRIES);
	return ODP_LEAF_ENTRIES;
}

/**
 * odp_slot_drop_locked - forget pages
 * @chunk: the chunk
 * @slot: its slot
 * @first: first address
 * @last: last address, in the same slot
 *
 * Context: notifier callbacks too.
 *
 * Return: how many pages are not usable any more.
 */
unsigned int odp_slot_drop_locked(struct odp_chunk *chunk,
				  struct odp_slot *slot, unsigned long first,
				  unsigned long last)
{
	unsigned long i = odp_leaf_index(first);
	unsigned long end = odp_leaf_index(last) + 1;
	unsigned int dropped = 0;

	lockdep_assert_held_write(&chunk->lock);

	if (!slot->npresent)
		return 0;
	odp_shoot_down(chunk, slot, first, last);
	if (slot->huge)
		return odp_slot_drop_huge(chunk, slot);

	for (; i < end && dropped < slot->npresent; i++) {
		if (!slot->leaf->entry[i])
			continue;
		odp_unmap(chunk, slot, i);
		slot->leaf->entry[i] = 0;
		dropped++;
	}

	odp_count_present(chunk, slot, -(long)dropped);
	if (!slot->npresent)
		odp_slot_free_leaf_locked(chunk, slot);
	return dropped;
}

/**
 * odp_slot_protect_locked - take write permission away
 * @chunk: the chunk
 * @slot: its slot
 * @first: first address
 * @last: last address, in the same slot
 *
 * What is mapped for a device is dropped instead: that a device can go on
 * reading through a mapping that it may not write through any more is nothing
 * that can be asked of all.
 *
 * Context: notifier callbacks too.
 *
 * Return: how many pages are not writable any more.
 */
unsigned int odp_slot_protect_locked(struct odp_chunk *chunk,
				     struct odp_slot *slot, unsigned long first,
				     unsigned long last)
{
	unsigned long i = odp_leaf_index(first);
	unsigned long end = odp_leaf_index(last) + 1;
	unsigned int changed = 0;

	lockdep_assert_held_write(&chunk->lock);

	if (!ODP_RULE(DROP_WRITE))
		return 0;
	if (odp_mirror_maps(chunk->mirror))
		return odp_slot_drop_locked(chunk, slot, first, last);
	if (slot->huge) {
		changed = slot->huge & ODP_ENTRY_WRITE ? ODP_LEAF_ENTRIES : 0;
		slot->huge &= ~ODP_ENTRY_WRITE;
		return changed;
	}
	if (!slot->leaf)
		return 0;

	for (; i < end; i++) {
		if (!(slot->leaf->entry[i] & ODP_ENTRY_WRITE))
			continue;
		slot->leaf->entry[i] &= ~ODP_ENTRY_WRITE;
		changed++;
	}
	return changed;
}

static int odp_map(struct odp_chunk *chunk, unsigned long entry,
		   unsigned int order, u64 *address)
{
	struct odp_mirror *mirror = chunk->mirror;

	if (!odp_mirror_maps(mirror))
		return 0;
	return mirror->ops->map(mirror->owner, odp_entry_page(entry), order,
				entry & ODP_ENTRY_WRITE, address);
}

/**
 * odp_slot_set_locked - enter a page
 * @chunk: the chunk
 * @slot: its slot, which has a table
 * @va: the page's address
 * @new: its entry
 *
 * Return: 1 if anything changed, 0 if not, or what &odp_device_ops.map said.
 */
int odp_slot_set_locked(struct odp_chunk *chunk, struct odp_slot *slot,
			unsigned long va, unsigned long new)
{
	unsigned long i = odp_leaf_index(va);
	unsigned long *entry = &slot->leaf->entry[i];
	u64 address = 0;
	int err;

	lockdep_assert_held_write(&chunk->lock);

	if (*entry == new)
		return 0;
	err = odp_map(chunk, new, 0, &address);
	if (err)
		return err;
	/* Another page cannot be: more or less permission for the same one. */
	if (*entry) {
		odp_shoot_down(chunk, slot, va, va);
		odp_unmap(chunk, slot, i);
	} else {
		odp_count_present(chunk, slot, 1);
	}
	*entry = new;
	if (odp_mirror_maps(chunk->mirror))
		slot->leaf->address[i] = address;
	return 1;
}

/**
 * odp_slot_set_huge_locked - enter a huge page
 * @chunk: the chunk
 * @slot: its slot
 * @new: the entry of the slot's first page
 *
 * Return: as odp_slot_set_locked()
 */
int odp_slot_set_huge_locked(struct odp_chunk *chunk, struct odp_slot *slot,
			     unsigned long new)
{
	unsigned long n = slot - chunk->slot;
	unsigned long first = chunk->first + (n << ODP_LEAF_SHIFT);
	u64 address = 0;
	int err;

	lockdep_assert_held_write(&chunk->lock);

	if (slot->huge == new)
		return 0;
	err = odp_map(chunk, new, PMD_ORDER, &address);
	if (err)
		return err;
	odp_slot_drop_locked(chunk, slot, first, odp_slot_last(first));
	odp_slot_free_leaf_locked(chunk, slot);
	slot->huge = new;
	odp_count_present(chunk, slot, ODP_LEAF_ENTRIES);
	if (odp_mirror_maps(chunk->mirror))
		chunk->huge_address[n] = address;
	return 1;
}

/**
 * odp_slot_address - what the device calls a page
 * @chunk: the chunk, locked shared or exclusive
 * @slot: its slot
 * @va: an address in a page that is present; the mirror maps
 *
 * Return: the address for @va, with its offset in the page.
 */
u64 odp_slot_address(const struct odp_chunk *chunk, const struct odp_slot *slot,
		     unsigned long va)
{
	if (slot->huge)
		return chunk->huge_address[slot - chunk->slot] +
		       (va & ~PMD_MASK);
	return slot->leaf->address[odp_leaf_index(va)] + offset_in_page(va);
}
