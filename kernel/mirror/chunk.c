// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Chunks: a slice of the address space and its notifier.
 *
 * A chunk comes with the first fault in its slice and goes when nothing in it
 * is mapped and no fault on it is in flight; its notifier is in the mm's tree
 * exactly that long. So memory that the device never touched costs its owner
 * nothing: a munmap there finds no notifier of ours.
 *
 * A chunk is retired by a work item because removing a notifier sleeps and
 * waits for the very callbacks that find a chunk empty.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "mirror.h"
#include "trace.h"

/**
 * odp_chunk_bytes - what a mirror's chunk takes, without its tables
 * @mirror: the mirror
 *
 * Return: bytes.
 */
size_t odp_chunk_bytes(const struct odp_mirror *mirror)
{
	return struct_size_t(struct odp_chunk, huge_address,
			     odp_mirror_maps(mirror) ? ODP_CHUNK_LEAVES : 0);
}

static struct odp_chunk *odp_chunk_alloc(struct odp_mirror *mirror,
					 unsigned long va)
{
	struct odp_chunk *chunk;

	chunk = kzalloc(odp_chunk_bytes(mirror), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return NULL;

	init_rwsem(&chunk->lock);
	/*
	 * The lock is taken exclusive under reclaim (a notifier callback), so
	 * nothing may allocate with it held. Say so once, here, instead of
	 * waiting for reclaim to hit a chunk.
	 */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&chunk->lock);
	fs_reclaim_release(GFP_KERNEL);

	chunk->mirror = mirror;
	chunk->first = round_down(va, 1UL << ODP_CHUNK_SHIFT);
	refcount_set(&chunk->ref, 1);
	return chunk;
}

static void odp_chunk_put(struct odp_chunk *chunk)
{
	if (refcount_dec_and_test(&chunk->ref))
		kfree_rcu(chunk, rcu);
}

/**
 * odp_chunk_lock_shared - find a chunk and lock it for use
 * @mirror: the mirror
 * @va: an address in the chunk
 *
 * Context: process context, may sleep.
 *
 * Return: the chunk, not dead, its lock held shared; NULL if there is none.
 */
struct odp_chunk *odp_chunk_lock_shared(struct odp_mirror *mirror,
					unsigned long va)
{
	unsigned long index = odp_chunk_index(va);
	struct odp_chunk *chunk;
	bool slept;

	for (;;) {
		rcu_read_lock();
		chunk = xa_load(&mirror->chunks, index);
		if (!chunk) {
			rcu_read_unlock();
			return NULL;
		}

		slept = !down_read_trylock(&chunk->lock);
		if (slept && !refcount_inc_not_zero(&chunk->ref)) {
			rcu_read_unlock();
			continue;
		}
		if (!slept && likely(!chunk->dead)) {
			/* Not dead and locked: it cannot be retired now. */
			rcu_read_unlock();
			return chunk;
		}
		if (!slept) {
			up_read(&chunk->lock);
			rcu_read_unlock();
			continue;
		}
		rcu_read_unlock();

		down_read(&chunk->lock);
		if (likely(!chunk->dead)) {
			odp_chunk_put(chunk);
			return chunk;
		}
		up_read(&chunk->lock);
		odp_chunk_put(chunk);
	}
}

/*
 * Make a chunk with a fault in flight and put it into the XArray. NULL when
 * another task was faster: then the chunk is retired like any other, because to
 * remove a notifier is to wait for the invalidations of all of the mm.
 */
static struct odp_chunk *odp_chunk_create_charged(struct odp_mirror *mirror,
						  unsigned long va)
{
	struct odp_chunk *chunk, *other;
	int err;

	chunk = odp_chunk_alloc(mirror, va);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	atomic_set(&chunk->nfaults, 1);
	chunk->shown = true;

	err = mmu_interval_notifier_insert(&chunk->notifier, mirror->mm,
					   chunk->first,
					   1UL << ODP_CHUNK_SHIFT,
					   &odp_notifier_ops);
	if (err) {
		kfree(chunk);
		return ERR_PTR(err);
	}

	atomic_long_inc(&mirror->nchunks);
	odp_count(mirror, ODP_COUNT_CHUNKS);
	trace_odp_chunk_create(mirror, chunk->first);

	other = xa_cmpxchg(&mirror->chunks, odp_chunk_index(va), NULL, chunk,
			   GFP_KERNEL_ACCOUNT);
	if (!other)
		return chunk;
	chunk->shown = false;
	odp_chunk_release(chunk);
	return xa_is_err(other) ? ERR_PTR(xa_err(other)) : NULL;
}

static struct odp_chunk *odp_chunk_create(struct odp_mirror *mirror,
					  unsigned long va)
{
	struct odp_charge charge;
	struct odp_chunk *chunk;

	odp_charge_begin(mirror, &charge);
	chunk = odp_chunk_create_charged(mirror, va);
	odp_charge_end(&charge);
	return chunk;
}

/**
 * odp_chunk_keep_locked - keep a chunk while it is not locked
 * @chunk: the chunk, locked shared
 *
 * For a fault in flight, or for who comes back in a moment. The chunk stays
 * until odp_chunk_release() or odp_chunk_release_locked().
 *
 * Context: process context.
 */
void odp_chunk_keep_locked(struct odp_chunk *chunk)
{
	lockdep_assert_held(&chunk->lock);
	atomic_inc(&chunk->nfaults);
}

/**
 * odp_chunk_keep - find or make a chunk and keep it
 * @mirror: the mirror
 * @va: an address in the chunk
 *
 * Context: process context, may sleep; the caller holds a reference on the
 * mm's users (mmget), and no mmap_lock.
 *
 * Return: the chunk, unlocked, kept; or ERR_PTR(-ENOMEM), or what
 * mmu_interval_notifier_insert() says.
 */
struct odp_chunk *odp_chunk_keep(struct odp_mirror *mirror, unsigned long va)
{
	struct odp_chunk *chunk;

	do {
		chunk = odp_chunk_lock_shared(mirror, va);
		if (chunk) {
			odp_chunk_keep_locked(chunk);
			up_read(&chunk->lock);
			return chunk;
		}
		chunk = odp_chunk_create(mirror, va);
	} while (!chunk);
	return chunk;
}

/**
 * odp_chunk_release_locked - the counterpart of odp_chunk_keep_locked()
 * @chunk: the chunk, locked shared
 *
 * Context: process context.
 */
void odp_chunk_release_locked(struct odp_chunk *chunk)
{
	if (atomic_dec_and_test(&chunk->nfaults))
		odp_chunk_maybe_retire_locked(chunk);
}

/**
 * odp_chunk_release - the counterpart of odp_chunk_keep()
 * @chunk: the chunk, not locked
 *
 * Context: process context, may sleep.
 */
void odp_chunk_release(struct odp_chunk *chunk)
{
	down_read(&chunk->lock);
	odp_chunk_release_locked(chunk);
	up_read(&chunk->lock);
}

/**
 * odp_chunk_maybe_retire_locked - have an empty chunk looked at
 * @chunk: the chunk, locked shared or exclusive
 *
 * Context: notifier callbacks too.
 */
void odp_chunk_maybe_retire_locked(struct odp_chunk *chunk)
{
	struct odp_mirror *mirror = chunk->mirror;

	lockdep_assert_held(&chunk->lock);

	if (chunk->npresent && ODP_RULE(RETIRE_EMPTY))
		return;
	if (atomic_read(&chunk->nfaults) || chunk->dead || !ODP_RULE(RETIRE))
		return;
	if (atomic_xchg(&chunk->queued, 1))
		return;
	refcount_inc(&chunk->ref);
	if (llist_add(&chunk->retired, &mirror->retired))
		queue_work(odp_reclaim_wq, &mirror->reclaim);
}

/*
 * Take a chunk out of sight. With force, whatever it still maps goes with it.
 * True for the one caller that has to remove the notifier.
 */
static bool odp_chunk_kill(struct odp_chunk *chunk, bool force)
{
	struct odp_mirror *mirror = chunk->mirror;
	unsigned long first = chunk->first;
	bool killed = false;
	unsigned long i;

	down_write(&chunk->lock);
	if (chunk->dead)
		goto unlock;
	if (!force && ((chunk->npresent && ODP_RULE(RETIRE_EMPTY)) ||
		       atomic_read(&chunk->nfaults)))
		goto unlock;

	for (i = 0; i < ODP_CHUNK_LEAVES; i++, first += PMD_SIZE)
		odp_slot_drop_locked(chunk, &chunk->slot[i], first,
				     odp_slot_last(first));
	chunk->dead = true;
	if (chunk->shown)
		xa_erase(&mirror->chunks, odp_chunk_index(chunk->first));
	killed = true;
unlock:
	up_write(&chunk->lock);
	return killed;
}

static void odp_chunk_bury(struct odp_chunk *chunk)
{
	trace_odp_chunk_free(chunk->mirror, chunk->first);
	atomic_long_dec(&chunk->mirror->nchunks);
	mmu_interval_notifier_remove(&chunk->notifier);
	odp_chunk_put(chunk);
}

/**
 * odp_chunks_reclaim - retire the chunks that became empty
 * @work: odp_mirror.reclaim
 *
 * Context: work item.
 */
void odp_chunks_reclaim(struct work_struct *work)
{
	struct odp_mirror *mirror = container_of(work, struct odp_mirror,
						 reclaim);
	struct odp_chunk *chunk, *next;
	struct llist_node *list;

	list = llist_del_all(&mirror->retired);
	llist_for_each_entry_safe(chunk, next, list, retired) {
		/*
		 * Before the look, so that a chunk that is used again now and
		 * empties later is queued again. Pairs with the atomic_xchg()
		 * in odp_chunk_maybe_retire_locked().
		 */
		atomic_set_release(&chunk->queued, 0);
		if (odp_chunk_kill(chunk, false))
			odp_chunk_bury(chunk);
		odp_chunk_put(chunk);
	}
}

/**
 * odp_chunks_destroy - retire every chunk of a mirror that nobody uses
 * @mirror: the mirror, without windows and without faults in flight
 *
 * The reclaim work is stopped first, because it would free chunks that are
 * looked at here. Notifier callbacks may run until each notifier is removed;
 * what they put on the list of retired chunks is let go of at the end, as are
 * chunks that have never been in the XArray.
 *
 * Context: process context, may sleep.
 */
void odp_chunks_destroy(struct odp_mirror *mirror)
{
	struct odp_chunk *chunk, *next;
	unsigned long index;

	disable_work_sync(&mirror->reclaim);

	xa_for_each(&mirror->chunks, index, chunk)
		if (odp_chunk_kill(chunk, true))
			odp_chunk_bury(chunk);

	llist_for_each_entry_safe(chunk, next, llist_del_all(&mirror->retired),
				  retired) {
		if (odp_chunk_kill(chunk, true))
			odp_chunk_bury(chunk);
		odp_chunk_put(chunk);
	}

	WARN_ON(atomic_long_read(&mirror->nchunks));
	WARN_ON(atomic_long_read(&mirror->nleaves));
	WARN_ON(atomic_long_read(&mirror->npages));
	xa_destroy(&mirror->chunks);
}
