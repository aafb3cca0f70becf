/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A mirror of a process address space for a device that takes page faults.
 */
/**
 * DOC: Overview
 *
 * A device that takes page faults uses the memory of a process without pinning
 * it. This is the part that all such devices need: it knows which pages of an
 * address space are usable right now, has the kernel bring in those that are
 * not, and gives them back when the kernel asks.
 *
 * A driver has one &struct odp_window for each memory region. All windows of a
 * process on a device are views of one mirror, so that a page is known once no
 * matter how many regions it is in, and making a window costs the same for one
 * page and for 2^64 bytes. The driver never sees a page: it hands the core an
 * actor, and the core calls it for each piece of memory while that piece cannot
 * go away. A driver whose device accesses memory by itself plugs in with
 * &struct odp_device_ops and has the actor enter addresses instead.
 *
 * Ranges in this interface are an address and a length in bytes. Inside the
 * core they are closed, [first, last], so that a window may end at the last
 * byte of the address space.
 */
/**
 * DOC: Example
 *
 * A region is registered, written by a packet that is the first of a longer
 * message, and deregistered:
 *
 * .. code-block:: c
 *
 *	err = odp_window_init(&region->window, device, NULL, current->mm,
 *			      iova, start, length);
 *
 *	err = odp_window_write(&region->window, packet->iova, packet->data,
 *			       packet->length, packet->message_left);
 *	if (err == -EAGAIN || err == -ENOMEM)
 *		answer_receiver_not_ready(packet);
 *	else if (err)
 *		answer_access_error(packet);
 *
 *	odp_window_destroy(&region->window, &device->totals);
 *
 * -EAGAIN means that the page is on its way: the access is repeated later, and
 * nothing has to be remembered for that.
 */
#ifndef ODP_MIRROR_H
#define ODP_MIRROR_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct odp_mirror;
struct odp_prefetch;
struct odp_tally;
struct module;
struct page;

/**
 * struct odp_device_ops - what a driver does whose device translates addresses
 * @module: the driver's
 * @get: keep the owner until @put; called when a mirror is made
 * @put: the mirror is gone and none of the other ops will be called for it
 * @map: make memory reachable for the device
 * @unmap: undo a @map
 * @invalidate: make the device forget its translations of a range
 *
 * For hardware that keeps DMA addresses. A driver that copies with the CPU has
 * no use for them and passes NULL to odp_window_init().
 *
 * @map is called once for each page or huge page that becomes usable, with its
 * first page, and says in @address what the device calls it. @unmap is called
 * once for each @map that succeeded, with what that said, before the page can
 * be given to somebody else; the same page may be mapped anew before. Before
 * memory is unmapped @invalidate is called for the range that it is in, or a
 * wider one, and when it returns the device does not use it any more. A range
 * that only loses write permission is unmapped too.
 *
 * A fault may still be in flight when the last window is destroyed, and it maps
 * and unmaps until it ends. So what these functions need of the owner stays
 * until @put, and the core holds @module as long.
 *
 * Context of @get and @put: process context, may sleep. Of the other three: the
 * chunk's lock is held exclusive, maybe under
 * reclaim: they may not allocate memory that waits, may not wait for a fault
 * and may not call back into the core.
 *
 * @map returns 0, or a negative errno with which the page stays unusable and
 * the access ends; -EAGAIN if repeating makes sense.
 */
struct odp_device_ops {
	struct module *module;
	void (*get)(const void *owner);
	void (*put)(const void *owner);
	int (*map)(const void *owner, struct page *page, unsigned int order,
		   bool write, u64 *address);
	void (*unmap)(const void *owner, u64 address, unsigned int order,
		      bool write);
	void (*invalidate)(const void *owner, u64 first, u64 last);
};

/**
 * struct odp_window - a memory region's view of a mirror
 * @mirror: the mirror; the window holds a reference
 * @tally: what happened to the window, see odp_window_count()
 * @iova: first address of the region as the device names it
 * @va: first address of the region in the owner's mm
 * @length: size in bytes, at least 1; @va + @length - 1 does not wrap
 *
 * Constant after odp_window_init(). Embed it in the driver's memory region,
 * whose life time it shares.
 */
struct odp_window {
	struct odp_mirror *mirror;
	struct odp_tally *tally;
	u64 iova;
	u64 va;
	u64 length;
};

/**
 * typedef odp_actor_t - what a driver does to a piece of memory
 * @kaddr: kernel address of the piece
 * @offset: offset of the piece from the start of the access, in bytes
 * @length: bytes in the piece; it does not cross a page
 * @context: what the caller of odp_window_access() passed
 *
 * Context: process context with the chunk's lock held shared. May not sleep,
 * may not fault, may not call back into the core. The kernel address is valid
 * during the call only.
 *
 * Return: 0, or a negative errno that ends the access and is returned from it.
 */
typedef int (*odp_actor_t)(void *kaddr, size_t offset, size_t length,
			   void *context);

/**
 * typedef odp_map_actor_t - what a driver does with an address of its device
 * @address: what &odp_device_ops.map said, plus the offset in the page
 * @offset: offset of the piece from the start of the access, in bytes
 * @length: bytes in the piece; it does not cross a page or a huge page
 * @context: what the caller of odp_window_map() passed
 *
 * Context: as for &odp_actor_t. The address is valid until the driver's
 * invalidate is called for it, which may be right after this call.
 *
 * Return: 0, or a negative errno that ends the walk and is returned from it.
 */
typedef int (*odp_map_actor_t)(u64 address, size_t offset, size_t length,
			       void *context);

/**
 * enum odp_access - how an access uses the memory
 * @ODP_ACCESS_READ: the actor reads
 * @ODP_ACCESS_WRITE: the actor writes; the page must be writable in the mm, and
 *	is marked dirty before the chunk's lock is dropped
 */
enum odp_access {
	ODP_ACCESS_READ,
	ODP_ACCESS_WRITE,
};

/**
 * enum odp_prefetch_mode - what a prefetch may do to the owner's mm
 * @ODP_PREFETCH_READ: fault pages in for reading
 * @ODP_PREFETCH_WRITE: fault pages in for writing
 * @ODP_PREFETCH_PRESENT: only mirror what is present already
 */
enum odp_prefetch_mode {
	ODP_PREFETCH_READ,
	ODP_PREFETCH_WRITE,
	ODP_PREFETCH_PRESENT,
};

/**
 * enum odp_counter - what a mirror counts since it was created
 * @ODP_COUNT_FAULTS: faults: absent memory that mm was asked to bring in
 * @ODP_COUNT_QUEUED: faults that would have had to wait, for the memory or for a
 *	lock, and so went to a work item
 * @ODP_COUNT_PAGES: page entries published; one page mapped twice counts twice
 * @ODP_COUNT_SNAPSHOTS: look-ups of pages that were present in the mm already
 * @ODP_COUNT_PREFETCHES: prefetch requests
 * @ODP_COUNT_INVALIDATIONS: notifier callbacks that took something away
 * @ODP_COUNT_CALLBACKS: notifier callbacks, useful or not
 * @ODP_COUNT_PAGES_DROPPED: page entries dropped by invalidations
 * @ODP_COUNT_WRITE_DROPPED: page entries that lost only write permission
 * @ODP_COUNT_COLLISIONS: faults thrown away because an invalidation of the same
 *	2 MiB came before they were published
 * @ODP_COUNT_RELOOKS: looks that began anew because of an invalidation anywhere
 *	in the chunk; what had been faulted in is there still
 * @ODP_COUNT_RETRIES: accesses that came back for a page that had gone again
 * @ODP_COUNT_BUSY: accesses answered with -EAGAIN
 * @ODP_COUNT_ERRORS: faults that ended in an error, also one that is worth
 *	repeating
 * @ODP_COUNT_CHUNKS: chunks created
 * @ODP_COUNT_HUGE: huge entries published
 * @ODP_COUNT_RECLAIMED: tables given back because they were idle and memory was
 *	short
 * @ODP_COUNT_FLUSHED: pages written back from the CPU's caches by
 *	odp_window_flush_pmem()
 * @ODP_NR_COUNTERS: number of counters
 */
enum odp_counter {
	ODP_COUNT_FAULTS,
	ODP_COUNT_QUEUED,
	ODP_COUNT_PAGES,
	ODP_COUNT_SNAPSHOTS,
	ODP_COUNT_PREFETCHES,
	ODP_COUNT_INVALIDATIONS,
	ODP_COUNT_CALLBACKS,
	ODP_COUNT_PAGES_DROPPED,
	ODP_COUNT_WRITE_DROPPED,
	ODP_COUNT_COLLISIONS,
	ODP_COUNT_RELOOKS,
	ODP_COUNT_RETRIES,
	ODP_COUNT_BUSY,
	ODP_COUNT_ERRORS,
	ODP_COUNT_CHUNKS,
	ODP_COUNT_HUGE,
	ODP_COUNT_RECLAIMED,
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

/**
 * struct odp_window_counts - what happened to a window since it was made
 * @mirror: the number of its mirror, as debugfs and tracepoints have it
 * @faults: faults that its accesses took and that made something usable
 * @pages_faulted: pages that these made usable for them
 * @faults_failed: faults that its accesses took and that made nothing usable
 * @faults_queued: those of both that had to wait
 * @pages_prefetched: pages that prefetches through it made usable
 * @invalidations: notifier callbacks that took something away from the mirror
 * @pages_invalidated: pages that these took away, or made read-only
 *
 * An invalidation is an event in the address space and changes the one entry
 * that all windows over a page share. So the last two count for the mirror: all
 * windows of a process on a device see the same events, each from its own
 * beginning on. The others are the window's own.
 */
struct odp_window_counts {
	u32 mirror;
	u64 faults;
	u64 pages_faulted;
	u64 faults_failed;
	u64 faults_queued;
	u64 pages_prefetched;
	u64 invalidations;
	u64 pages_invalidated;
};

/**
 * struct odp_totals - what a device's mirrors counted that are no more in use
 * @count: indexed by &enum odp_counter
 *
 * Part of the driver's device, zeroed when that is made; read by
 * odp_device_count().
 */
struct odp_totals {
	u64 count[ODP_NR_COUNTERS];
};

/**
 * struct odp_snapshot - what a mirror has for a page
 * @present: it can be read
 * @write: it can be written
 * @pmem: it is persistent memory
 * @order: log2 of the pages that the entry describes; 0 if not @present
 */
struct odp_snapshot {
	bool present;
	bool write;
	bool pmem;
	u8 order;
};

int odp_window_init(struct odp_window *window, const void *owner,
		    const struct odp_device_ops *ops, struct mm_struct *mm,
		    u64 iova, u64 va, u64 length);
void odp_window_destroy(struct odp_window *window, struct odp_totals *totals);

int odp_window_access(struct odp_window *window, u64 iova, size_t length,
		      size_t intent, enum odp_access access,
		      odp_actor_t actor, void *context);
int odp_window_read(struct odp_window *window, u64 iova, void *buffer,
		    size_t length, size_t intent);
int odp_window_write(struct odp_window *window, u64 iova, const void *buffer,
		     size_t length, size_t intent);
int odp_window_flush_pmem(struct odp_window *window, u64 iova, u64 length);
int odp_window_map(struct odp_window *window, u64 iova, size_t length,
		   size_t intent, enum odp_access access,
		   odp_map_actor_t actor, void *context);

void odp_window_stats(struct odp_window *window,
		      struct odp_mirror_stats *stats);
void odp_window_count(struct odp_window *window,
		      struct odp_window_counts *counts);
void odp_device_count(const void *owner, const struct odp_totals *totals,
		      u64 count[ODP_NR_COUNTERS]);
int odp_window_snapshot(struct odp_window *window, u64 iova,
			unsigned long npages, struct odp_snapshot *snapshot);

struct odp_prefetch *odp_prefetch_create(u32 nranges,
					 enum odp_prefetch_mode mode);
int odp_prefetch_add(struct odp_prefetch *prefetch, struct odp_window *window,
		     u64 iova, u64 length);
int odp_prefetch_start(struct odp_prefetch *prefetch);
int odp_prefetch_wait(struct odp_prefetch *prefetch);
void odp_prefetch_forget(struct odp_prefetch *prefetch);

#endif /* ODP_MIRROR_H */
