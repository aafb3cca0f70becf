// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: a memory region's bounds on a mirror.
 *
 * Making one costs the same for one page and for the whole address space: it
 * takes a reference and stores four numbers. Nothing is looked up in the mm,
 * so a window may cover addresses where nothing is mapped yet, or ever.
 */
#include <linux/export.h>
#include <linux/overflow.h>

#include "mirror.h"

/**
 * odp_window_init - make a window on the mirror of an mm
 * @window: out
 * @owner: tells devices apart: windows with equal @owner and @mm share a mirror
 * @mm: the address space; the caller holds it (current->mm)
 * @iova: first address of the region as the device names it
 * @va: first address of the region in @mm
 * @length: bytes
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or
 * -EINVAL: @length is 0, or @va + @length - 1 or @iova + @length - 1 wraps
 * -ENOMEM: no memory for the mirror
 */
int odp_window_init(struct odp_window *window, const void *owner,
		    struct mm_struct *mm, u64 iova, u64 va, u64 length)
{
	u64 last;

	if (!length || check_add_overflow(va, length - 1, &last) ||
	    check_add_overflow(iova, length - 1, &last))
		return -EINVAL;

	window->mirror = odp_mirror_open(owner, mm);
	if (!window->mirror)
		return -ENOMEM;
	window->iova = iova;
	window->va = va;
	window->length = length;
	return 0;
}
EXPORT_SYMBOL_GPL(odp_window_init);

/**
 * odp_window_destroy - the region is gone
 * @window: made by odp_window_init()
 *
 * The caller has made sure that no call on @window is running or can start.
 * Faults that such a call left in flight go on without the window, and the
 * mirror, its chunks and notifiers go with the last of its windows and faults.
 *
 * Context: process context, may sleep; does not wait for faults or for I/O.
 */
void odp_window_destroy(struct odp_window *window)
{
	odp_mirror_close(window->mirror);
	window->mirror = NULL;
}
EXPORT_SYMBOL_GPL(odp_window_destroy);
