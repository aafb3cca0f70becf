/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A mirror of a process address space for a device that takes page faults.
 *
 * A driver holds one &struct odp_mirror per (device, mm) and one
 * &struct odp_window per memory region. The window says which part of the
 * mirror a region may touch; the mirror knows which pages of the mm are
 * usable right now. The driver never sees a page: it hands the core an actor,
 * and the core calls it for each piece of memory while that piece cannot go
 * away.
 *
 * Ranges in this interface are an address and a length in bytes. Inside the
 * core they are closed, [first, last], so that a window may end at the last
 * byte of the address space.
 */
#ifndef ODP_MIRROR_H
#define ODP_MIRROR_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct odp_mirror;
struct odp_prefetch;

/**
 * struct odp_window - a memory region's view of a mirror
 * @mirror: the mirror; the window holds a reference
 * @iova: first address of the region as the device names it
 * @va: first address of the region in the owner's mm
 * @length: size in bytes, at least 1; @va + @length - 1 does not wrap
 *
 * Constant after odp_window_init(). Embed it in the driver's memory region,
 * whose life time it shares.
 */
struct odp_window {
	struct odp_mirror *mirror;
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

int odp_window_init(struct odp_window *window, const void *owner,
		    struct mm_struct *mm, u64 iova, u64 va, u64 length);
void odp_window_destroy(struct odp_window *window);

int odp_window_access(struct odp_window *window, u64 iova, size_t length,
		      size_t intent, enum odp_access access,
		      odp_actor_t actor, void *context);
int odp_window_read(struct odp_window *window, u64 iova, void *buffer,
		    size_t length, size_t intent);
int odp_window_write(struct odp_window *window, u64 iova, const void *buffer,
		     size_t length, size_t intent);
int odp_window_flush_pmem(struct odp_window *window, u64 iova, u64 length);

struct odp_prefetch *odp_prefetch_start(struct odp_window *window, u64 iova,
					u64 length, enum odp_prefetch_mode mode);
int odp_prefetch_wait(struct odp_prefetch *prefetch);
void odp_prefetch_forget(struct odp_prefetch *prefetch);

#endif /* ODP_MIRROR_H */
