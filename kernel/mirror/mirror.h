/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The parts of the mirror core, and the one place where its locking is
 * written down.
 *
 *	mirror.c	mirrors: one per (owner, mm), reference counts
 *	window.c	windows: a region's bounds on a mirror
 *	tally.c		what happened to a window
 *	chunk.c		chunks: a slice of address space and its notifier
 *	table.c		a chunk's entries
 *	invalidate.c	what mm does to us
 *	shrink.c	giving idle tables back when memory is short
 *	look.c		what mm has already
 *	fault.c		having mm bring in the rest
 *	request.c	faults that take long
 *	prefetch.c	faults ahead of time
 *	share.c		what one user may have of what is there for all
 *	access.c	using the pages
 *	trace.h		tracepoints
 *	rules.h		what must not be broken, and a way to break it
 *	debugfs.c	the summary file
 */
/**
 * DOC: Locking
 *
 * Outermost first:
 *
 * odp_mirrors_lock (mutex)
 *	Protects the list of mirrors, each mirror's count of windows, each
 *	user's of mirrors and the devices' &struct odp_totals. Taken when a
 *	window is made or destroyed, never on an access. No memory is allocated
 *	under it: the shrinker takes it (a try).
 *
 * mm->mmap_lock (not ours)
 *	Held shared around hmm_range_fault() and faults. Exclusive only when the
 *	first mirror of an mm is made, which prepares it for notifiers. Never
 *	taken with a chunk's lock held, because a notifier callback takes the
 *	chunk's lock under it.
 *
 * odp_chunk.lock (rw_semaphore)
 *	Shared: using a page of the chunk (an access), or telling the chunk
 *	that a fault on it is in flight. Exclusive: publishing entries,
 *	invalidating them, retiring the chunk. Taken in notifier callbacks, so
 *	also under reclaim, i_mmap and anon_vma locks: no memory is allocated
 *	under it and nothing waits under it for another task. Marking a folio
 *	dirty keeps that only because what a file system wants to know of a
 *	writable page it has allocated when it made the page writable.
 *
 *	Also exclusive, by a try: the shrinker.
 *
 * odp_mirror.faults_lock (spinlock)
 *	Protects the list of faults in flight. Leaf.
 *
 * odp_mirror.chunks (XArray, its own spinlock)
 *	Index: va >> ODP_CHUNK_SHIFT. Read under RCU; changed by cmpxchg.
 *
 * Two accesses on two chunks share no lock: the XArray is read under RCU and
 * the window holds the mirror.
 */
/**
 * DOC: Lifetime
 *
 * A mirror lives while it has windows, a fault in flight or a prefetch, and a
 * user while he has a mirror. A mirror holds the mm_struct (mmgrab), not the
 * address space: a fault takes that for its own length only (mmget_not_zero).
 *
 * A chunk is reachable from its XArray slot, and is removed from there only
 * with its lock held exclusive, dead set, no entry present and no fault in
 * flight. Whoever finds it under RCU takes the lock inside the same RCU
 * section (a try) or takes a reference first, then looks at dead. Destroying a
 * mirror needs neither: it stops the reclaim work first, which alone retires. A
 * chunk is freed after its notifier is removed and a grace period.
 */
#ifndef ODP_MIRROR_INTERNAL_H
#define ODP_MIRROR_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/hmm.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/odp_mirror.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "rules.h"

/*
 * A leaf describes as much as one PMD, a chunk 32 times that: on x86-64, 2 MiB
 * in a 4 KiB table, and 64 MiB. docs/chunk-size.md has the sizes that were
 * tried; kernel/build makes them.
 */
#define ODP_LEAF_SHIFT		PMD_SHIFT
#define ODP_LEAF_ENTRIES	(1UL << (ODP_LEAF_SHIFT - PAGE_SHIFT))
#ifdef MIRROR_CHUNK_SHIFT
#define ODP_CHUNK_SHIFT		MIRROR_CHUNK_SHIFT
#else
#define ODP_CHUNK_SHIFT		(ODP_LEAF_SHIFT + 5)
#endif
#define ODP_CHUNK_LEAVES	(1UL << (ODP_CHUNK_SHIFT - ODP_LEAF_SHIFT))

/*
 * An entry is the page frame number above these bits, or 0. It changes with
 * the chunk's lock held exclusive. A huge entry has the frame number of the
 * first page of the slot.
 *
 * DAX: not in the page cache. Its dirtiness is the file system's business,
 * recorded when it granted write permission, and its stores need a cache
 * write-back to last, if the memory is persistent.
 */
#define ODP_ENTRY_PRESENT	BIT(0)
#define ODP_ENTRY_WRITE		BIT(1)
#define ODP_ENTRY_DAX		BIT(2)
#define ODP_ENTRY_SHIFT		8

/**
 * struct odp_leaf - the entries of 2 MiB
 * @entry: one for each page
 * @address: what &odp_device_ops.map said of each; only there if the mirror has
 *	one
 */
struct odp_leaf {
	unsigned long entry[ODP_LEAF_ENTRIES];
	u64 address[];
};

/**
 * enum odp_share - what no user may have too much of
 * @ODP_SHARE_WORKS: faults and prefetches in flight
 * @ODP_SHARE_WAITERS: tasks that wait for a fault
 * @ODP_NR_SHARES: how many there are
 */
enum odp_share {
	ODP_SHARE_WORKS,
	ODP_SHARE_WAITERS,
	ODP_NR_SHARES,
};

/**
 * struct odp_user - who has mirrors
 * @id: his uid, as the initial user namespace has it
 * @ns: the user namespace that he is, held; or NULL
 * @mirrors: how many; protected by odp_mirrors_lock
 * @used: of each &enum odp_share
 */
struct odp_user {
	kuid_t id;
	struct user_namespace *ns;
	unsigned long mirrors;
	atomic_t used[ODP_NR_SHARES];
};

/**
 * struct odp_mirror - a device's mirror of one address space
 * @ref: one for @windows not being 0, one per fault in flight, one per prefetch
 * @list: in odp_mirrors; protected by odp_mirrors_lock
 * @owner: what tells devices apart; never dereferenced
 * @ops: the driver's, or NULL if it does not map for DMA
 * @mm: the owner's mm, held by mmgrab()
 * @user: who made the mirror
 * @pid: of the process that made the mirror, for the summary
 * @id: for the summary
 * @windows: protected by odp_mirrors_lock; who waits for something that may
 *	never come looks without it
 * @nprefetches: prefetches that run
 * @chunks: &struct odp_chunk by va >> ODP_CHUNK_SHIFT
 * @shrink_at: where the shrinker goes on; protected by odp_mirrors_lock
 * @retired: chunks to look at for reclaim
 * @reclaim: looks at @retired
 * @faults_lock: protects @faults
 * @faults: requests in flight, see request.c
 * @nchunks: chunks that exist
 * @npages: entries that are present
 * @nleaves: leaves that exist
 * @count: &enum odp_counter
 */
struct odp_mirror {
	struct kref ref;
	struct list_head list;
	const void *owner;
	const struct odp_device_ops *ops;
	struct mm_struct *mm;
	struct odp_user *user;
	pid_t pid;
	u32 id;
	u64 windows;
	atomic_t nprefetches;

	struct xarray chunks;
	unsigned long shrink_at;
	struct llist_head retired;
	struct work_struct reclaim;

	spinlock_t faults_lock; /* see the top of this file */
	struct list_head faults;

	atomic_long_t nchunks;
	atomic_long_t npages;
	atomic_long_t nleaves;
	atomic64_t count[ODP_NR_COUNTERS];
};

/**
 * struct odp_slot - a chunk's 2 MiB of address space
 * @huge: the entry for all of it, if one mapping of at least that size has it
 * @leaf: else its table, or NULL when nothing in it is mapped
 * @npresent: pages that are present
 * @sequence: raised by every invalidation that touches the slot
 *
 * Protected by the chunk's lock. @sequence is what keeps a fault from being
 * thrown away because of an invalidation elsewhere in the chunk: see
 * odp_look().
 */
struct odp_slot {
	unsigned long huge;
	struct odp_leaf *leaf;
	u32 npresent;
	u32 sequence;
};

/**
 * struct odp_chunk - a slice of the address space with a page mapped in it
 * @notifier: covers exactly the slice
 * @lock: see the top of this file
 * @mirror: the mirror; holds no reference, a chunk does not outlive it
 * @first: first address
 * @npresent: pages present in all slots; protected by @lock
 * @used: a bit for each slot, set by an access and cleared by the shrinker
 * @cold: a bit for each slot where the next miss is likely one of mm's too; a
 *	guess, changed without a lock
 * @nfaults: faults in flight, and accesses about to come back; raised with
 *	@lock held shared, so stable while it is held exclusive
 * @shown: it is in the XArray, or is about to be; constant after creation
 * @settled: what mmu_interval_read_begin() returned last, see odp_look()
 * @dead: retired; protected by @lock
 * @retired: in odp_mirror.retired while @queued
 * @queued: @retired is in use
 * @ref: one while in the XArray, one while @queued, one per task that sleeps
 *	for @lock
 * @rcu: frees it
 * @slot: the table
 * @huge_address: what &odp_device_ops.map said of huge entries; only there if
 *	the mirror has one
 */
struct odp_chunk {
	struct mmu_interval_notifier notifier;
	struct rw_semaphore lock;
	struct odp_mirror *mirror;
	unsigned long first;
	unsigned long npresent;
	DECLARE_BITMAP(used, ODP_CHUNK_LEAVES);
	DECLARE_BITMAP(cold, ODP_CHUNK_LEAVES);
	atomic_t nfaults;
	unsigned long settled;
	bool shown;
	bool dead;
	struct llist_node retired;
	atomic_t queued;
	refcount_t ref;
	struct rcu_head rcu;
	struct odp_slot slot[ODP_CHUNK_LEAVES];
	u64 huge_address[];
};

static_assert(ODP_CHUNK_SHIFT >= ODP_LEAF_SHIFT); /* a chunk has slots */

/* Faults and prefetches: as many as they are, and as long as they take. */
extern struct workqueue_struct *odp_wq;
/* What never waits for a fault, and helps reclaim. */
extern struct workqueue_struct *odp_reclaim_wq;

static inline void odp_count(struct odp_mirror *mirror, enum odp_counter which)
{
	atomic64_inc(&mirror->count[which]);
}

static inline void odp_count_add(struct odp_mirror *mirror,
				 enum odp_counter which, u64 n)
{
	if (n)
		atomic64_add(n, &mirror->count[which]);
}

static inline unsigned long odp_chunk_index(unsigned long va)
{
	return va >> ODP_CHUNK_SHIFT;
}

static inline unsigned long odp_chunk_last(const struct odp_chunk *chunk)
{
	return chunk->first + (1UL << ODP_CHUNK_SHIFT) - 1;
}

static inline unsigned long odp_slot_index(const struct odp_chunk *chunk,
					   unsigned long va)
{
	return (va - chunk->first) >> ODP_LEAF_SHIFT;
}

static inline struct odp_slot *odp_slot(struct odp_chunk *chunk,
					unsigned long va)
{
	return &chunk->slot[odp_slot_index(chunk, va)];
}

static inline bool odp_chunk_is_cold(const struct odp_chunk *chunk,
				     unsigned long va)
{
	return test_bit(odp_slot_index(chunk, va), chunk->cold);
}

/* The line is shared by those who look, so it is written only if it must be. */
static inline void odp_chunk_guess(struct odp_chunk *chunk, unsigned long va,
				   bool cold)
{
	if (odp_chunk_is_cold(chunk, va) != cold)
		change_bit(odp_slot_index(chunk, va), chunk->cold);
}

static inline bool odp_mirror_maps(const struct odp_mirror *mirror)
{
	return mirror->ops && mirror->ops->map;
}

static inline unsigned long odp_slot_last(unsigned long va)
{
	return va | ((1UL << ODP_LEAF_SHIFT) - 1);
}

static inline unsigned long odp_leaf_index(unsigned long va)
{
	return (va >> PAGE_SHIFT) & (ODP_LEAF_ENTRIES - 1);
}

/*
 * What an access may do to make pages usable. Said on each, so that the first
 * call from a wrong context is found and not the first that has to fault.
 */
static inline void odp_may_fault(struct odp_mirror *mirror)
{
	might_alloc(GFP_KERNEL);
	might_lock_read(&mirror->mm->mmap_lock);
}

static inline struct page *odp_entry_page(unsigned long entry)
{
	return pfn_to_page(entry >> ODP_ENTRY_SHIFT);
}

/* The entry of a page, made from the huge one if there is one, or 0. */
static inline unsigned long odp_slot_entry(const struct odp_slot *slot,
					   unsigned long va)
{
	unsigned long i = odp_leaf_index(va);

	if (slot->huge)
		return slot->huge + (i << ODP_ENTRY_SHIFT);
	return slot->leaf ? slot->leaf->entry[i] : 0;
}

static inline bool odp_window_contains(const struct odp_window *window,
				       u64 iova, u64 length)
{
	return !ODP_RULE(BOUNDS) ||
	       (iova >= window->iova && length <= window->length &&
		iova - window->iova <= window->length - length);
}

/* mirror.c */
struct odp_mirror *odp_mirror_open(const void *owner,
				   const struct odp_device_ops *ops,
				   struct mm_struct *mm);
void odp_mirror_close(struct odp_mirror *mirror, struct odp_totals *totals);
void odp_mirror_get(struct odp_mirror *mirror);
void odp_mirror_put(struct odp_mirror *mirror);
void odp_mirrors_each(void (*fn)(struct odp_mirror *mirror, void *context),
		      void *context);
bool odp_mirrors_try_each(bool (*fn)(struct odp_mirror *mirror, void *context),
			  void *context);
void odp_mirror_stats(struct odp_mirror *mirror,
		      struct odp_mirror_stats *stats);

/**
 * struct odp_charge - what odp_charge_begin() changed
 * @memcg: the cgroup that pays
 * @old: the one that paid before
 */
struct odp_charge {
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
};

void odp_charge_begin(struct odp_mirror *mirror, struct odp_charge *charge);
bool odp_charge_may_sleep(void);
void odp_charge_end(struct odp_charge *charge);

/* tally.c */
/**
 * struct odp_tally - what happened to a window
 * @ref: one for the window, one for each request and range of a prefetch that
 *	was begun through it: these end when they end, and count then
 * @closed: the window is gone, nobody needs what is being prefetched for it
 * @faults: as in &struct odp_window_counts, like the other four
 * @pages_faulted: as above
 * @faults_failed: as above
 * @faults_queued: as above
 * @pages_prefetched: as above
 * @invalidations: what the mirror had counted when the window was made
 * @pages_invalidated: likewise
 */
struct odp_tally {
	refcount_t ref;
	bool closed;
	atomic64_t faults;
	atomic64_t pages_faulted;
	atomic64_t faults_failed;
	atomic64_t faults_queued;
	atomic64_t pages_prefetched;
	u64 invalidations;
	u64 pages_invalidated;
};

struct odp_tally *odp_tally_create(void);
void odp_tally_begin(struct odp_tally *tally, struct odp_mirror *mirror);
struct odp_tally *odp_tally_get(struct odp_tally *tally);
void odp_tally_put(struct odp_tally *tally);
void odp_tally_fault(struct odp_tally *tally, long pages);

/* chunk.c */
size_t odp_chunk_bytes(const struct odp_mirror *mirror);
struct odp_chunk *odp_chunk_lock_shared(struct odp_mirror *mirror,
					unsigned long va);
void odp_chunk_keep_locked(struct odp_chunk *chunk);
struct odp_chunk *odp_chunk_keep(struct odp_mirror *mirror, unsigned long va);
void odp_chunk_release_locked(struct odp_chunk *chunk);
void odp_chunk_release(struct odp_chunk *chunk);
void odp_chunk_maybe_retire_locked(struct odp_chunk *chunk);
void odp_chunks_destroy(struct odp_mirror *mirror);
void odp_chunks_reclaim(struct work_struct *work);

/* table.c */
int odp_tables_init(void);
void odp_tables_exit(void);
size_t odp_leaf_bytes(const struct odp_mirror *mirror);
struct odp_leaf *odp_leaf_alloc(struct odp_mirror *mirror);
void odp_leaf_free(struct odp_mirror *mirror, struct odp_leaf *leaf);
void odp_count_leaves(struct odp_mirror *mirror, long change);
void odp_slot_free_leaf_locked(struct odp_chunk *chunk, struct odp_slot *slot);
int odp_slot_set_locked(struct odp_chunk *chunk, struct odp_slot *slot,
			unsigned long va, unsigned long new);
int odp_slot_set_huge_locked(struct odp_chunk *chunk, struct odp_slot *slot,
			     unsigned long new);
unsigned int odp_slot_drop_locked(struct odp_chunk *chunk,
				  struct odp_slot *slot, unsigned long first,
				  unsigned long last);
unsigned int odp_slot_protect_locked(struct odp_chunk *chunk,
				     struct odp_slot *slot, unsigned long first,
				     unsigned long last);
u64 odp_slot_address(const struct odp_chunk *chunk, const struct odp_slot *slot,
		     unsigned long va);
void odp_mark_dirty(unsigned long entry);

/* invalidate.c */
extern const struct mmu_interval_notifier_ops odp_notifier_ops;

/* shrink.c */
extern atomic_long_t odp_nleaves;
int odp_shrinker_init(void);
void odp_shrinker_exit(void);

/* look.c */
/**
 * struct odp_look - part of a slot, and what mm said of it last
 * @chunk: the chunk, kept, not locked
 * @slot: the slot
 * @range: the pages that are looked at: those that are wanted, maybe neighbours
 * @first: first page that is wanted, counted from the start of @range
 * @end: behind the last one
 * @write: they are wanted writable
 * @quick: whoever wants them has others to care for, see &enum odp_fault_mode
 * @vma: where the start of @range is mapped, or NULL; valid from a look on until
 *	mmap_lock is dropped
 * @sequence: the slot's, from before the look
 * @spare: a table, should the slot have none
 */
struct odp_look {
	struct odp_chunk *chunk;
	struct odp_slot *slot;
	struct hmm_range range;
	unsigned long first;
	unsigned long end;
	bool write;
	bool quick;
	struct vm_area_struct *vma;
	u32 sequence;
	struct odp_leaf *spare;
};

int odp_look(struct odp_look *look);
unsigned long odp_look_absent(const struct odp_look *look, unsigned long n);
long odp_look_publish(struct odp_look *look);
bool odp_vma_is_refused(const struct vm_area_struct *vma);

/* fault.c */
/**
 * enum odp_fault_mode - how far a fault goes
 * @ODP_FAULT_LOOK: take what is present
 * @ODP_FAULT_QUICK: bring in what mm can without waiting for a device, a file
 *	system or a process, and do not wait for mmap_lock
 * @ODP_FAULT_FULL: bring it in, whatever it takes
 */
enum odp_fault_mode {
	ODP_FAULT_LOOK,
	ODP_FAULT_QUICK,
	ODP_FAULT_FULL,
};

/**
 * struct odp_outcome - what else is to be known of a fault that failed
 * @frozen: the file, referenced, whose file system is frozen; the fault is to be
 *	begun again after odp_wait_for_thaw(). Only with ODP_FAULT_FULL.
 * @sequence: the slot's, when it failed
 */
struct odp_outcome {
	struct file *frozen;
	u32 sequence;
};

bool odp_mm_get(struct odp_mirror *mirror);
void odp_mm_put(struct odp_mirror *mirror);
int odp_wait_for_thaw(struct odp_mirror *mirror, struct file *file);
long odp_fault_slot(struct odp_chunk *chunk, unsigned long first,
		    unsigned long last, bool write, enum odp_fault_mode mode,
		    struct odp_outcome *outcome);

/* request.c */
struct odp_chunk *odp_fault(struct odp_window *window, struct odp_chunk *chunk,
			    unsigned long first, unsigned long last,
			    bool write);

/* share.c */
void odp_share_init(void);
struct odp_user *odp_user_create(void);
void odp_user_free(struct odp_user *user);
bool odp_user_is(const struct odp_user *user, const struct odp_user *other);
bool odp_share_take(struct odp_user *user, enum odp_share which);
void odp_share_return(struct odp_user *user, enum odp_share which);

/* debugfs.c */
void odp_debugfs_init(void);
void odp_debugfs_exit(void);

#endif /* ODP_MIRROR_INTERNAL_H */
