// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What mm has already: looking at the owner's page tables, and publishing what
 * was seen.
 *
 * hmm_range_fault() could fault as well, but with mmap_lock held until the last
 * page is there, without userfaultfd, and with one errno for every reason
 * (hmm_vma_fault() in mm/hmm.c of 7.2). Here it only looks; fault.c does the
 * rest.
 *
 * A published entry must not be older than an invalidation of its address.
 * mmu_interval_read_retry() would tell, but for the whole chunk, and throw away
 * faults that nothing happened to. So each slot has a sequence that the
 * notifier callback raises, under the chunk's lock, after it called
 * mmu_interval_set_seq(). It is read first, then mmu_interval_read_begin() is
 * called: an invalidation whose callback came before the reading is over when
 * mmu_interval_read_begin() returns, and one whose callback comes later is
 * seen when the sequence is compared under the lock. (hmm_range_fault() itself
 * still looks at the chunk and starts over; no page is lost by that.)
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/memremap.h>

#include "mirror.h"
#include "trace.h"

/*
 * 0 for a page that the CPU cannot be pointed at: memory of another device,
 * private (mm should have faulted it back) or peer to peer (a BAR).
 */
static unsigned long odp_entry_make(unsigned long hmm_pfn)
{
	struct page *page;
	unsigned long entry;

	if ((hmm_pfn & (HMM_PFN_VALID | HMM_PFN_ERROR)) != HMM_PFN_VALID)
		return 0;

	page = hmm_pfn_to_page(hmm_pfn);
	entry = page_to_pfn(page) << ODP_ENTRY_SHIFT | ODP_ENTRY_PRESENT;
	if (hmm_pfn & HMM_PFN_WRITE)
		entry |= ODP_ENTRY_WRITE;
	if (!is_zone_device_page(page))
		return entry;

	switch (page_pgmap(page)->type) {
	case MEMORY_DEVICE_FS_DAX:
	case MEMORY_DEVICE_GENERIC:
		return entry | ODP_ENTRY_DAX;
	case MEMORY_DEVICE_COHERENT:
		return entry;
	default:
		return 0;
	}
}

/**
 * odp_vma_is_refused - memory that must not be reached although HMM shows it
 * @vma: where it is mapped
 *
 * secretmem is not in the kernel's map, and a shadow stack is written by call
 * instructions alone. GUP refuses both (check_vma_flags() in mm/gup.c), and what
 * has no pages to show.
 *
 * Context: mmap_lock is held.
 */
bool odp_vma_is_refused(const struct vm_area_struct *vma)
{
	if (!ODP_RULE(REFUSE))
		return false;
	if (vma->vm_flags & (VM_SHADOW_STACK | VM_IO | VM_PFNMAP))
		return true;
	return vma->vm_file &&
	       file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

static void odp_hide(struct hmm_range *range, unsigned long start,
		     unsigned long end)
{
	for (; start < end; start += PAGE_SIZE)
		range->hmm_pfns[(start - range->start) >> PAGE_SHIFT] =
			HMM_PFN_ERROR;
}

static void odp_hide_refused(struct odp_look *look)
{
	VMA_ITERATOR(vmi, look->chunk->mirror->mm, look->range.start);
	struct hmm_range *range = &look->range;
	struct vm_area_struct *vma = look->vma;

	/* The usual case costs no second search of the tree. */
	if (vma && vma->vm_end >= range->end) {
		if (odp_vma_is_refused(vma))
			odp_hide(range, range->start, range->end);
		return;
	}
	for_each_vma_range(vmi, vma, range->end)
		if (odp_vma_is_refused(vma))
			odp_hide(range, max(vma->vm_start, range->start),
				 min(vma->vm_end, range->end));
}

/*
 * Begin a look. mmu_interval_read_begin() waits for an invalidation that is under
 * way in the chunk, and then for whatever others of the mm overlap with that one
 * (mn_itree_inv_end() in mm/mmu_notifier.c), which somebody can make last. It
 * does not if nothing happened to the chunk since it returned last. Otherwise who
 * has others to care for waits as one of the user's waiters, of whom there are
 * not too many.
 */
static int odp_look_begin(struct odp_look *look)
{
	struct odp_chunk *chunk = look->chunk;
	bool waits = look->quick &&
		     mmu_interval_check_retry(&chunk->notifier,
					      READ_ONCE(chunk->settled));

	if (waits && !odp_share_take(chunk->mirror->user, ODP_SHARE_WAITERS))
		return -EAGAIN;
	look->range.notifier_seq = mmu_interval_read_begin(&chunk->notifier);
	if (waits)
		odp_share_return(chunk->mirror->user, ODP_SHARE_WAITERS);
	if (READ_ONCE(chunk->settled) != look->range.notifier_seq)
		WRITE_ONCE(chunk->settled, look->range.notifier_seq);
	return 0;
}

/**
 * odp_look - see what is present
 * @look: the pages; what was seen is in its range afterwards
 *
 * Waits for invalidations. That may be done with mmap_lock held: they begin under
 * it and never take it.
 *
 * Context: process context, may sleep; mmap_lock is held shared.
 *
 * Return: 0, or
 * -EBUSY: an invalidation came in between; look again
 * -EAGAIN: too many wait for invalidations
 */
int odp_look(struct odp_look *look)
{
	struct odp_mirror *mirror = look->chunk->mirror;
	struct hmm_range *range = &look->range;
	unsigned long npages = (range->end - range->start) >> PAGE_SHIFT;
	int err;

	/* Pairs with the release in odp_chunk_invalidate_locked(). */
	look->sequence = smp_load_acquire(&look->slot->sequence);
	err = odp_look_begin(look);
	if (err)
		return err;
	memset(range->hmm_pfns, 0, npages * sizeof(*range->hmm_pfns));
	/* It stays what it is while the lock is held. */
	if (!look->vma || range->start < look->vma->vm_start)
		look->vma = vma_lookup(mirror->mm, range->start);

	err = hmm_range_fault(range);
	if (err) {
		odp_count(mirror, ODP_COUNT_RELOOKS);
		return err;
	}
	odp_hide_refused(look);
	return 0;
}

/**
 * odp_look_absent - the next wanted page that will not do
 * @look: after odp_look()
 * @n: index in the range of the first page in question
 *
 * Return: its index in the range, or @look->end.
 */
unsigned long odp_look_absent(const struct odp_look *look, unsigned long n)
{
	unsigned long need = HMM_PFN_VALID | (look->write ? HMM_PFN_WRITE : 0);

	for (; n < look->end; n++)
		if ((look->range.hmm_pfns[n] & (need | HMM_PFN_ERROR)) != need)
			break;
	return n;
}

/* A mapping of the slot's size or more covers all of it. */
static bool odp_look_is_huge(const struct odp_look *look)
{
	unsigned long hmm_pfn = look->range.hmm_pfns[0];

	return hmm_pfn & HMM_PFN_VALID &&
	       hmm_pfn_to_map_order(hmm_pfn) >= PMD_ORDER;
}

static bool odp_entry_does(const struct odp_look *look, unsigned long entry)
{
	unsigned long need = ODP_ENTRY_PRESENT |
			     (look->write ? ODP_ENTRY_WRITE : 0);

	return (entry & need) == need;
}

static long odp_publish_huge_locked(struct odp_look *look)
{
	unsigned long new = odp_entry_make(look->range.hmm_pfns[0]);
	struct odp_mirror *mirror = look->chunk->mirror;
	int err;

	if (!new)
		return 0;
	new -= odp_leaf_index(look->range.start) << ODP_ENTRY_SHIFT;
	err = odp_slot_set_huge_locked(look->chunk, look->slot, new);
	if (err < 0)
		return err;
	if (err) {
		odp_count(mirror, ODP_COUNT_HUGE);
		odp_count_add(mirror, ODP_COUNT_PAGES, ODP_LEAF_ENTRIES);
	}
	return odp_entry_does(look, new) ? look->end - look->first : 0;
}

static long odp_publish_pages_locked(struct odp_look *look)
{
	unsigned long npages = (look->range.end - look->range.start) >>
			       PAGE_SHIFT;
	unsigned long va = look->range.start;
	unsigned long n, new, published = 0;
	long usable = 0;
	int err = 0;

	for (n = 0; n < npages; n++, va += PAGE_SIZE) {
		new = odp_entry_make(look->range.hmm_pfns[n]);
		/*
		 * What mm did not show may still be right: had it gone, an
		 * invalidation would have cleared the entry.
		 */
		err = new ? odp_slot_set_locked(look->chunk, look->slot, va,
						new) : 0;
		if (err < 0)
			break;
		published += err;
		if (!ODP_RULE(CLEAN_AROUND) && new & ODP_ENTRY_WRITE)
			odp_mark_dirty(new);
		if (n == look->first + usable && n < look->end &&
		    odp_entry_does(look, odp_slot_entry(look->slot, va)))
			usable++;
	}
	odp_count_add(look->chunk->mirror, ODP_COUNT_PAGES, published);
	return usable ?: min(err, 0);
}

/*
 * Make sure of the table. mm splits a huge mapping only after it announced
 * that, so a slot that was seen in pages has no huge entry any more.
 */
static bool odp_install_leaf_locked(struct odp_look *look)
{
	struct odp_slot *slot = look->slot;

	if (WARN_ON_ONCE(slot->huge))
		return false;
	if (slot->leaf)
		return true;
	if (!look->spare)
		return false;
	WRITE_ONCE(slot->leaf, look->spare);
	look->spare = NULL;
	odp_count_leaves(look->chunk->mirror, 1);
	return true;
}

static long odp_publish_locked(struct odp_look *look)
{
	struct odp_chunk *chunk = look->chunk;
	struct odp_slot *slot = look->slot;
	bool huge = odp_look_is_huge(look);
	long usable;

	if ((ODP_RULE(RETRY) && slot->sequence != look->sequence) ||
	    (!huge && !odp_install_leaf_locked(look))) {
		odp_count(chunk->mirror, ODP_COUNT_COLLISIONS);
		trace_odp_collide(chunk->mirror, look->range.start);
		return -EBUSY;
	}
	usable = huge ? odp_publish_huge_locked(look) :
			odp_publish_pages_locked(look);
	if (!slot->npresent)
		odp_slot_free_leaf_locked(chunk, slot);
	trace_odp_publish(chunk->mirror, look->range.start, look->range.end - 1,
			  usable, huge);
	return usable;
}

static bool odp_look_found(const struct odp_look *look)
{
	unsigned long npages = (look->range.end - look->range.start) >>
			       PAGE_SHIFT;
	unsigned long n;

	for (n = 0; n < npages; n++)
		if (odp_entry_make(look->range.hmm_pfns[n]))
			return true;
	return false;
}

/**
 * odp_look_publish - make what was seen usable
 * @look: after odp_look(); mmap_lock is not held any more
 *
 * Context: process context, may sleep; between odp_charge_begin() and
 * odp_charge_end().
 *
 * Return: how many of the wanted pages, from the first on, are usable; or
 * -EBUSY: too late, look again
 * -EAGAIN: the table would have to be waited for
 * -ENOMEM: no memory for a table
 * or what &odp_device_ops.map said.
 */
long odp_look_publish(struct odp_look *look)
{
	long usable;

	if (!odp_look_found(look))
		return 0;
	/* Here, because no memory is allocated under the chunk's lock. */
	if (!odp_look_is_huge(look) && !look->spare &&
	    !READ_ONCE(look->slot->leaf)) {
		if (look->quick && odp_charge_may_sleep())
			return -EAGAIN;
		look->spare = odp_leaf_alloc(look->chunk->mirror);
		if (!look->spare)
			return -ENOMEM;
	}

	down_write(&look->chunk->lock);
	usable = odp_publish_locked(look);
	up_write(&look->chunk->lock);
	return usable;
}
