/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The parts of the mirror core, and the one place where its locking is
 * written down.
 *
 *	mirror.c	mirrors: one per (owner, mm), reference counts
 *	window.c	windows: a region's bounds on a mirror
 *	chunk.c		chunks: a slice of address space, its notifier, its table
 *	invalidate.c	what mm does to us
 *	fault.c		what we ask of mm
 *	prefetch.c	the same, ahead of time
 *	access.c	using the pages
 *	debugfs.c	the summary file
 *
 * Locks, outermost first
 * ----------------------
 *
 * odp_mirrors_lock (mutex)
 *	Protects the list of mirrors and each mirror's count of windows. Taken
 *	when a window is made or destroyed, never on an access.
 *
 * mm->mmap_lock (not ours)
 *	Held shared around hmm_range_fault(). Exclusive only when the first
 *	mirror of an mm is made, which prepares it for notifiers. Never taken with a chunk's lock
 *	held, because a notifier callback takes the chunk's lock under it.
 *
 * odp_chunk.lock (rw_semaphore)
 *	Shared: using a page of the chunk (an access), or telling the chunk
 *	that a fault on it is in flight. Exclusive: publishing entries,
 *	invalidating them, retiring the chunk. Taken in notifier callbacks, so
 *	also under reclaim, i_mmap and anon_vma locks: no memory is allocated
 *	under it and nothing waits under it for another task.
 *
 * odp_mirror.faults_lock (spinlock)
 *	Protects the list of faults in flight. Leaf.
 *
 * odp_mirror.chunks (XArray, its own spinlock)
 *	Index: va >> ODP_CHUNK_SHIFT. Read under RCU; changed by cmpxchg.
 *
 * Two accesses on two chunks share no lock: the XArray is read under RCU and
 * the window holds the mirror.
 *
 * Life times
 * ----------
 *
 * A mirror lives while it has windows, a fault in flight or a prefetch. It holds the
 * mm_struct (mmgrab), not the address space: a fault takes that for its own
 * length only (mmget_not_zero).
 *
 * A chunk is reachable from its XArray slot, and is removed from there only
 * with its lock held exclusive, dead set, no entry present and no fault in
 * flight. Whoever finds it under RCU takes the lock inside the same RCU
 * section (a try) or takes a reference first, then looks at dead. Destroying a
 * mirror needs neither: it stops the reclaim work first, which alone retires. It is freed
 * after its notifier is removed and a grace period.
 */
#ifndef ODP_MIRROR_INTERNAL_H
#define ODP_MIRROR_INTERNAL_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/odp_mirror.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/*
 * A leaf describes as much as one PMD, a chunk 32 times that: on x86-64, 2 MiB
 * in a 4 KiB table, and 64 MiB.
 */
#define ODP_LEAF_SHIFT		PMD_SHIFT
#define ODP_LEAF_ENTRIES	(1UL << (ODP_LEAF_SHIFT - PAGE_SHIFT))
#define ODP_CHUNK_SHIFT		(ODP_LEAF_SHIFT + 5)
#define ODP_CHUNK_LEAVES	(1UL << (ODP_CHUNK_SHIFT - ODP_LEAF_SHIFT))

/*
 * An entry is the page frame number above these bits, or 0. It changes with
 * the chunk's lock held exclusive.
 *
 * PMEM: a DAX page. Its dirtiness is the file system's business, recorded when
 * it granted write permission, and its stores need a cache write-back to last.
 */
#define ODP_ENTRY_PRESENT	BIT(0)
#define ODP_ENTRY_WRITE		BIT(1)
#define ODP_ENTRY_PMEM		BIT(2)
#define ODP_ENTRY_SHIFT		8

/**
 * enum odp_counter - what a mirror counts since it was created
 * @ODP_COUNT_FAULTS: fault requests that called into mm
 * @ODP_COUNT_PAGES: page entries published; one page mapped twice counts twice
 * @ODP_COUNT_SNAPSHOTS: look-ups of pages that were present in the mm already
 * @ODP_COUNT_PREFETCHES: prefetch requests
 * @ODP_COUNT_INVALIDATIONS: notifier callbacks that took something away
 * @ODP_COUNT_CALLBACKS: notifier callbacks, useful or not
 * @ODP_COUNT_PAGES_DROPPED: page entries dropped by invalidations
 * @ODP_COUNT_WRITE_DROPPED: page entries that lost only write permission
 * @ODP_COUNT_COLLISIONS: faults thrown away because an invalidation ran into
 *	the same chunk before they were published
 * @ODP_COUNT_RETRIES: accesses that came back for a page that had gone again
 * @ODP_COUNT_BUSY: accesses answered with -EAGAIN
 * @ODP_COUNT_ERRORS: faults that mm refused
 * @ODP_COUNT_CHUNKS: chunks created
 * @ODP_COUNT_FLUSHED: pages written back from the CPU's caches by
 *	odp_window_flush_pmem()
 * @ODP_NR_COUNTERS: number of counters
 */
enum odp_counter {
	ODP_COUNT_FAULTS,
	ODP_COUNT_PAGES,
	ODP_COUNT_SNAPSHOTS,
	ODP_COUNT_PREFETCHES,
	ODP_COUNT_INVALIDATIONS,
	ODP_COUNT_CALLBACKS,
	ODP_COUNT_PAGES_DROPPED,
	ODP_COUNT_WRITE_DROPPED,
	ODP_COUNT_COLLISIONS,
	ODP_COUNT_RETRIES,
	ODP_COUNT_BUSY,
	ODP_COUNT_ERRORS,
	ODP_COUNT_CHUNKS,
	ODP_COUNT_FLUSHED,
	ODP_NR_COUNTERS
};

/**
 * struct odp_mirror_stats - a reading of a mirror's state
 * @count: the counters, indexed by &enum odp_counter
 * @chunks: chunks that exist now, each with one notifier in the mm
 * @pages: page entries that are present now
 * @table_bytes: bytes of chunks and leaves allocated now
 * @windows: windows that exist now
 *
 * Each value is read once; they are not a consistent set while faults run.
 */
struct odp_mirror_stats {
	u64 count[ODP_NR_COUNTERS];
	u64 chunks;
	u64 pages;
	u64 table_bytes;
	u64 windows;
};

struct odp_leaf {
	unsigned long entry[ODP_LEAF_ENTRIES];
};

/**
 * struct odp_mirror - a device's mirror of one address space
 * @ref: one for @windows not being 0, one per fault in flight, one per prefetch
 * @list: in odp_mirrors; protected by odp_mirrors_lock
 * @owner: what tells devices apart; never dereferenced
 * @mm: the owner's mm, held by mmgrab()
 * @pid: of the process that made the mirror, for the summary
 * @id: for the summary
 * @windows: protected by odp_mirrors_lock; a prefetch looks without it
 * @nprefetches: prefetches that run
 * @chunks: &struct odp_chunk by va >> ODP_CHUNK_SHIFT
 * @retired: chunks to look at for reclaim
 * @reclaim: looks at @retired
 * @faults_lock: protects @faults
 * @faults: requests in flight, see fault.c
 * @nchunks: chunks that exist
 * @npages: entries that are present
 * @nleaves: leaves that exist
 * @count: &enum odp_counter
 */
struct odp_mirror {
	struct kref ref;
	struct list_head list;
	const void *owner;
	struct mm_struct *mm;
	pid_t pid;
	u32 id;
	u64 windows;
	atomic_t nprefetches;

	struct xarray chunks;
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
 * @leaf: its table, or NULL when nothing in it is mapped
 * @npresent: entries present in @leaf
 * @sequence: raised by every invalidation that touches the slot
 *
 * Protected by the chunk's lock. @sequence is what keeps a fault from being
 * thrown away because of an invalidation elsewhere in the chunk: see
 * odp_fault_slot().
 */
struct odp_slot {
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
 * @npresent: entries present in all slots; protected by @lock
 * @nfaults: faults in flight; raised with @lock held shared, so stable while
 *	it is held exclusive
 * @dead: retired; protected by @lock
 * @retired: in odp_mirror.retired while @queued
 * @queued: @retired is in use
 * @ref: one while in the XArray, one while @queued, one per task that sleeps
 *	for @lock
 * @rcu: frees it
 * @slot: the table
 */
struct odp_chunk {
	struct mmu_interval_notifier notifier;
	struct rw_semaphore lock;
	struct odp_mirror *mirror;
	unsigned long first;
	unsigned long npresent;
	atomic_t nfaults;
	bool dead;
	struct llist_node retired;
	atomic_t queued;
	refcount_t ref;
	struct rcu_head rcu;
	struct odp_slot slot[ODP_CHUNK_LEAVES];
};

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

static inline struct odp_slot *odp_slot(struct odp_chunk *chunk,
					unsigned long va)
{
	return &chunk->slot[(va - chunk->first) >> ODP_LEAF_SHIFT];
}

static inline unsigned long odp_slot_last(unsigned long va)
{
	return va | ((1UL << ODP_LEAF_SHIFT) - 1);
}

static inline unsigned long odp_leaf_index(unsigned long va)
{
	return (va >> PAGE_SHIFT) & (ODP_LEAF_ENTRIES - 1);
}

static inline struct page *odp_entry_page(unsigned long entry)
{
	return pfn_to_page(entry >> ODP_ENTRY_SHIFT);
}

static inline bool odp_window_contains(const struct odp_window *window,
				       u64 iova, u64 length)
{
	return iova >= window->iova && length <= window->length &&
	       iova - window->iova <= window->length - length;
}

/* mirror.c */
struct odp_mirror *odp_mirror_open(const void *owner, struct mm_struct *mm);
void odp_mirror_close(struct odp_mirror *mirror);
void odp_mirror_get(struct odp_mirror *mirror);
void odp_mirror_put(struct odp_mirror *mirror);
void odp_mirrors_each(void (*fn)(struct odp_mirror *mirror, void *context),
		      void *context);
void odp_mirror_stats(struct odp_mirror *mirror,
		      struct odp_mirror_stats *stats);

/* chunk.c */
struct odp_chunk *odp_chunk_lock_shared(struct odp_mirror *mirror,
					unsigned long va);
struct odp_chunk *odp_chunk_begin_fault(struct odp_mirror *mirror,
					unsigned long va);
void odp_chunk_end_fault(struct odp_chunk *chunk);
void odp_chunk_maybe_retire_locked(struct odp_chunk *chunk);
void odp_chunk_free_leaf_locked(struct odp_chunk *chunk,
				struct odp_slot *slot);
void odp_chunks_destroy(struct odp_mirror *mirror);
void odp_chunks_reclaim(struct work_struct *work);

/* invalidate.c */
extern const struct mmu_interval_notifier_ops odp_notifier_ops;

/* fault.c */
/* What odp_mm_get() changed. */
struct odp_charge {
	struct mem_cgroup *memcg;
	struct mem_cgroup *old;
};

bool odp_mm_get(struct odp_mirror *mirror, struct odp_charge *charge);
void odp_mm_put(struct odp_mirror *mirror, struct odp_charge *charge);
long odp_fault_slot(struct odp_chunk *chunk, unsigned long first,
		    unsigned long last, bool fault, bool write, bool may_wait);
int odp_fault(struct odp_mirror *mirror, unsigned long first,
	      unsigned long last, bool write);

/* debugfs.c */
void odp_debugfs_init(void);
void odp_debugfs_exit(void);

#endif /* ODP_MIRROR_INTERNAL_H */
