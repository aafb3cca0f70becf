// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Giving idle tables back when memory is short.
 *
 * A table is a cache of the owner's page tables: dropping it costs the next
 * access a look and nothing else. A slot is idle if nobody accessed it between
 * two visits of the shrinker. Huge entries have no table and stay.
 *
 * Everything here is by a try: the shrinker runs in the middle of allocations,
 * among them our own.
 *
 * It is there for when the machine is short of memory, not for when a cgroup is
 * at its limit: that needs a list of tables for each cgroup (list_lru), which
 * every access would have to keep in order, for a 512th of the memory that the
 * tables are of.
 */
#include <linux/shrinker.h>

#include "mirror.h"
#include "trace.h"

/* Tables of all mirrors that the shrinker may take: see odp_shrink_mirror(). */
atomic_long_t odp_nleaves = ATOMIC_LONG_INIT(0);

static struct shrinker *odp_shrinker;

/*
 * Returns how many tables it looked at, or 1, for the chunk, if there was none,
 * and in @freed how many it gave back.
 */
static unsigned long odp_shrink_chunk_locked(struct odp_chunk *chunk,
					     unsigned long *freed)
{
	unsigned long i, first, scanned = 0;
	struct odp_slot *slot;

	for (i = 0; i < ODP_CHUNK_LEAVES; i++) {
		slot = &chunk->slot[i];
		if (!slot->leaf)
			continue;
		scanned++;
		if (test_and_clear_bit(i, chunk->used))
			continue;
		first = chunk->first + (i << ODP_LEAF_SHIFT);
		odp_slot_drop_locked(chunk, slot, first, odp_slot_last(first));
		trace_odp_reclaim(chunk->mirror, first);
		(*freed)++;
	}
	return scanned ?: 1;
}

/**
 * struct odp_shrink - a visit
 * @left: tables, or chunks without any, that may still be looked at
 * @freed: tables given back
 */
struct odp_shrink {
	unsigned long left;
	unsigned long freed;
};

/* False when enough was looked at; the next visit goes on where this one ends. */
static bool odp_shrink_mirror(struct odp_mirror *mirror, void *context)
{
	struct odp_shrink *shrink = context;
	unsigned long scanned, freed = 0;
	unsigned long index = mirror->shrink_at;
	struct odp_chunk *chunk;
	bool finished = true;

	/* A device that has addresses does not tell when it uses them. */
	if (odp_mirror_maps(mirror))
		return true;

	mirror->shrink_at = 0;
	rcu_read_lock();
	xa_for_each_start(&mirror->chunks, index, chunk, index) {
		if (!shrink->left) {
			mirror->shrink_at = index;
			finished = false;
			break;
		}
		if (!down_write_trylock(&chunk->lock))
			continue;
		if (!chunk->dead) {
			scanned = odp_shrink_chunk_locked(chunk, &freed);
			shrink->left -= min(shrink->left, scanned);
			odp_chunk_maybe_retire_locked(chunk);
		}
		up_write(&chunk->lock);
	}
	rcu_read_unlock();

	odp_count_add(mirror, ODP_COUNT_RECLAIMED, freed);
	shrink->freed += freed;
	return finished;
}

static unsigned long odp_shrink_count(struct shrinker *shrinker,
				      struct shrink_control *control)
{
	return atomic_long_read(&odp_nleaves) ?: SHRINK_EMPTY;
}

static unsigned long odp_shrink_scan(struct shrinker *shrinker,
				     struct shrink_control *control)
{
	struct odp_shrink shrink = { .left = control->nr_to_scan };

	if (!odp_mirrors_try_each(odp_shrink_mirror, &shrink))
		return SHRINK_STOP;
	control->nr_scanned = control->nr_to_scan - shrink.left;
	/* do_shrink_slab() comes again until it has scanned enough. */
	return control->nr_scanned ? shrink.freed : SHRINK_STOP;
}

int odp_shrinker_init(void)
{
	odp_shrinker = shrinker_alloc(0, "odp_mirror");
	if (!odp_shrinker)
		return -ENOMEM;
	odp_shrinker->count_objects = odp_shrink_count;
	odp_shrinker->scan_objects = odp_shrink_scan;
	shrinker_register(odp_shrinker);
	return 0;
}

void odp_shrinker_exit(void)
{
	shrinker_free(odp_shrinker);
}
