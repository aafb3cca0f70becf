// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Having mm bring in what is absent.
 *
 * A fault is two steps that repeat: look what is present (look.c), then have
 * the fault handlers bring in what is not. They are given the first absent page
 * alone and then twice as many each time, with a look in between: one fault may
 * bring 2 MiB, or the sixteen pages around it, and faulting those again would
 * cost more than looking.
 *
 * Where the page behind the last one that was faulted in was absent as well, the
 * first look is left out and made up for afterwards: in memory that nobody has
 * touched yet it only costs, and a needless fault costs no more than it.
 *
 * Two kinds of faults. A quick one happens in the caller's context, with
 * FAULT_FLAG_RETRY_NOWAIT and only where memory comes from the page allocator,
 * a DAX device, or the page cache if the page is in it: nothing there waits for
 * a disk, for another process or for a thaw. It is as dear as the CPU's own
 * fault. All others go to a work item (request.c), and use fixup_user_fault(),
 * which lets go of mmap_lock across I/O and serves userfaultfd.
 *
 * 7.3 has hmm_range_fault_unlocked_timeout(), which lets go of mmap_lock as well.
 * It is not used: it faults every page of a hole, also when the first one
 * brought in all of them (hmm_do_fault() in mm/hmm.c), which is 512 faults instead
 * of one for 2 MiB; and it does not exist in 7.2, where fixup_user_fault() does
 * the same page by page with the same flags.
 */
#include <linux/dax.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "mirror.h"
#include "trace.h"

/* How often a fault starts over because of invalidations before it gives up. */
#define ODP_FAULT_TRIES		64

/* How often a fault looks whether a frozen file system has thawed. */
#define ODP_THAW_POLL_MS	20

/* Most pages that are faulted in between two looks; mmap_lock is held. */
#define ODP_FAULT_BURST		64

/*
 * Neighbours that are looked at along with what is wanted: the pages that a
 * read fault of a file maps together (fault_around_bytes in mm/memory.c).
 */
#define ODP_AROUND_SIZE		SZ_64K

/* Looks up to this size keep their array on the stack. */
#define ODP_STACK_PAGES		(2 * (ODP_AROUND_SIZE >> PAGE_SHIFT))

/*
 * A write fault on a shared mapping of a frozen file system sleeps until the
 * thaw, with mmap_lock held (sb_start_pagefault() in the file systems' handlers):
 * the owner could then not even unmap the queues of the queue pair that it
 * destroys. So such faults happen with a hold on the level of freezing that
 * comes before that of page faults: a freeze that begins meanwhile waits for us.
 * By a try only, because the level's place is outside mmap_lock.
 *
 * Returns false if the file system is frozen. @file: out; to be released.
 */
static bool odp_hold_freeze(struct vm_area_struct *vma, bool write,
			    struct file **file)
{
	*file = NULL;
	if (!write || !vma->vm_file || !(vma->vm_flags & VM_SHARED))
		return true;
	*file = get_file(vma->vm_file);
	return sb_start_write_trylock(file_inode(*file)->i_sb);
}

static void odp_release_freeze(struct file *file)
{
	if (!file)
		return;
	sb_end_write(file_inode(file)->i_sb);
	fput(file);
}

/**
 * odp_wait_for_thaw - wait for a file system to thaw
 * @mirror: the mirror
 * @file: &odp_outcome.frozen; released
 *
 * Without the mm, so that it goes when its process does, and not for somebody
 * who is gone. Idle, because this is no hung task.
 *
 * Context: process context, sleeps as long as the file system is frozen.
 *
 * Return: 0 to begin the fault again, or
 * -EFAULT: the mirror has no windows any more, or the process is gone
 */
int odp_wait_for_thaw(struct odp_mirror *mirror, struct file *file)
{
	struct super_block *sb = file_inode(file)->i_sb;
	int err = 0;

	while (READ_ONCE(sb->s_writers.frozen) != SB_UNFROZEN) {
		if (!READ_ONCE(mirror->windows) ||
		    !atomic_read(&mirror->mm->mm_users)) {
			err = -EFAULT;
			break;
		}
		schedule_timeout_idle(msecs_to_jiffies(ODP_THAW_POLL_MS));
	}
	fput(file);
	return err;
}

/* May the device access the memory so? As vma_permits_fault() in mm/gup.c. */
static bool odp_vma_permits(const struct vm_area_struct *vma, bool write)
{
	return vma->vm_flags & VM_READ &&
	       (!write || vma->vm_flags & VM_WRITE) && !odp_vma_is_refused(vma);
}

/*
 * FAULT_FLAG_RETRY_NOWAIT keeps a handler from letting go of mmap_lock, not from
 * waiting with it: filemap_fault() may read a page itself, and tmpfs waits for
 * what it swaps in (page_not_uptodate in mm/filemap.c, shmem_swapin_folio() in
 * mm/shmem.c).
 */
static bool odp_page_is_swapped(struct address_space *mapping, pgoff_t index)
{
	return xa_is_value(xa_load(&mapping->i_pages, index));
}

static bool odp_page_is_cached(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);
	bool cached;

	if (IS_ERR(folio))
		return false;
	cached = folio_test_uptodate(folio);
	folio_put(folio);
	return cached;
}

/*
 * Memory whose fault, with FAULT_FLAG_RETRY_NOWAIT, waits for nothing but the
 * page allocator, and not for the clearing of a gigabyte. On a file system that
 * is not tmpfs a write fault may wait for its journal, so only on DAX, where
 * there is no other way to be quick; virtiofs has DAX as well, without a block
 * device, and a server that may never answer.
 */
static bool odp_vma_is_quick(struct vm_area_struct *vma, unsigned long va,
			     bool write)
{
	struct address_space *mapping;
	struct super_block *sb;

	if (vma_is_anonymous(vma))
		return true;
	if (is_vm_hugetlb_page(vma))
		return huge_page_size(hstate_vma(vma)) <= PMD_SIZE;
	if (!vma->vm_file)
		return false;

	mapping = vma->vm_file->f_mapping;
	if (shmem_mapping(mapping))
		return !odp_page_is_swapped(mapping, linear_page_index(vma, va));
	sb = file_inode(vma->vm_file)->i_sb;
	if (vma_is_dax(vma))
		return sb->s_bdev || !vma_is_fsdax(vma);
	return (!write || !(vma->vm_flags & VM_SHARED)) &&
	       odp_page_is_cached(mapping, linear_page_index(vma, va));
}

/* Without waiting. 0, -EAGAIN if that is not possible, or another errno. */
static int odp_fault_page_quick(struct vm_area_struct *vma, unsigned long va,
				unsigned int flags)
{
	vm_fault_t fault;

	flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT;
	fault = handle_mm_fault(vma, va, flags, NULL);
	if (fault & VM_FAULT_ERROR)
		return vm_fault_to_errno(fault, 0) ?: -EFAULT;
	/* With RETRY_NOWAIT, mmap_lock is still held. */
	return fault & VM_FAULT_RETRY ? -EAGAIN : 0;
}

/**
 * struct odp_effort - how a fault is getting on
 * @mode: how far it goes
 * @burst: pages to fault in before the next look
 * @faulted: mm was asked for something
 * @around: and that may have brought in neighbours
 * @unseen: a page that mm brought in although it had not shown it
 * @frozen: a file, referenced, whose file system is to be waited for
 */
struct odp_effort {
	enum odp_fault_mode mode;
	unsigned long burst;
	bool faulted;
	bool around;
	unsigned long unseen;
	struct file *frozen;
};

/*
 * Fault one page in. Called with mmap_lock held shared; may let go of it and
 * take it again, unless in quick mode. 0, -EAGAIN if it cannot be had so, -EBUSY
 * if the file system is frozen, or another errno.
 */
static int odp_fault_page(struct odp_look *look, struct odp_effort *effort,
			  unsigned long n)
{
	unsigned long va = look->range.start + (n << PAGE_SHIFT);
	struct mm_struct *mm = look->chunk->mirror->mm;
	bool quick = effort->mode == ODP_FAULT_QUICK;
	unsigned int flags = FAULT_FLAG_REMOTE;
	struct vm_area_struct *vma;
	bool unlocked = false;
	struct file *file;
	int err;

	vma = look->vma;
	if (!vma || va < vma->vm_start || va >= vma->vm_end)
		vma = vma_lookup(mm, va);
	if (!vma || !odp_vma_permits(vma, look->write))
		return -EFAULT;
	if (!n)
		look->vma = vma;
	/* mm has it and does not show it: it has no page that can be used. */
	if (look->range.hmm_pfns[n] & HMM_PFN_ERROR) {
		if (effort->unseen == va)
			return -EFAULT;
		effort->unseen = va;
	}
	if (quick && (!odp_vma_is_quick(vma, va, look->write) ||
		      odp_charge_may_sleep()))
		return -EAGAIN;
	if (!odp_hold_freeze(vma, look->write, &file)) {
		effort->frozen = file;
		return -EBUSY;
	}

	effort->around = !look->write && vma->vm_file && !vma_is_dax(vma);
	if (look->write)
		flags |= FAULT_FLAG_WRITE;
	err = quick ? odp_fault_page_quick(vma, va, flags) :
		      fixup_user_fault(mm, va, flags, &unlocked);
	if (!quick)
		look->vma = NULL; /* mmap_lock may have been dropped */
	odp_release_freeze(file);
	return err;
}

/*
 * Fault in a burst of absent pages, from index @n on. Called with mmap_lock held
 * shared. What lies behind a page that cannot be had now is for another time,
 * unless that is the first wanted one: then its errno is returned.
 */
static int odp_fault_burst(struct odp_look *look, struct odp_effort *effort,
			   unsigned long n)
{
	unsigned long left;
	int err;

	for (left = effort->burst; left && n < look->end; left--) {
		err = odp_fault_page(look, effort, n);
		if (err && n == look->first)
			return err;
		if (err) {
			look->end = n;
			return 0;
		}
		effort->faulted = true;
		cond_resched();
		n = odp_look_absent(look, n + 1);
	}
	effort->burst = min(2 * effort->burst, ODP_FAULT_BURST);
	return 0;
}

/*
 * Take the neighbours into a look at little. Those of what had to be faulted in
 * are worth a look if mm maps pages around it: do_fault_around() in mm/memory.c
 * does that for reads of the page cache.
 */
static bool odp_look_widen(struct odp_look *look,
			   const struct odp_effort *effort)
{
	struct hmm_range *range = &look->range;
	unsigned long start = round_down(range->start, ODP_AROUND_SIZE);

	if (range->end - range->start >= ODP_AROUND_SIZE ||
	    (effort->faulted && !effort->around))
		return false;
	look->first += (range->start - start) >> PAGE_SHIFT;
	look->end += (range->start - start) >> PAGE_SHIFT;
	range->start = start;
	range->end = round_up(range->end, ODP_AROUND_SIZE);
	return true;
}

/*
 * Fault the first page in without having looked, if it is likely absent. What
 * goes wrong goes wrong again after the look, and is handled there.
 */
static void odp_fault_unseen(struct odp_look *look, struct odp_effort *effort)
{
	if (effort->mode != ODP_FAULT_QUICK || effort->faulted ||
	    !odp_chunk_is_cold(look->chunk, look->range.start))
		return;
	look->range.hmm_pfns[look->first] = 0;
	effort->faulted = !odp_fault_page(look, effort, look->first);
	if (effort->frozen)
		fput(effort->frozen);
	effort->frozen = NULL;
}

/* Look also at the page behind, if it is in the slot, and guess from it. */
static int odp_look_behind(struct odp_look *look)
{
	struct hmm_range *range = &look->range;
	unsigned long n = look->end;
	int err;

	if (!(range->end & (PMD_SIZE - 1)) || n >= ODP_STACK_PAGES)
		return odp_look(look);
	if (range->end == range->start + (n << PAGE_SHIFT))
		range->end += PAGE_SIZE;
	err = odp_look(look);
	if (!err)
		odp_chunk_guess(look->chunk, range->start,
				!(range->hmm_pfns[n] & HMM_PFN_VALID));
	return err;
}

/*
 * One look, and if need be one burst of faults and another look. Called with
 * mmap_lock held shared. 0 if there is something to publish, -EBUSY to come
 * again, or another errno.
 */
static int odp_fault_round(struct odp_look *look, struct odp_effort *effort)
{
	bool quick = effort->mode == ODP_FAULT_QUICK;
	bool fault = quick || effort->mode == ODP_FAULT_FULL;
	unsigned long n;
	int err;

	odp_fault_unseen(look, effort);
	err = effort->faulted ? odp_look_behind(look) : odp_look(look);
	if (err)
		return err;
	n = odp_look_absent(look, look->first);
	/* Quick is for who has nothing: let him use what there is. */
	if (fault && n < look->end &&
	    (!quick || n == look->first || effort->faulted)) {
		err = odp_fault_burst(look, effort, n);
		err = err ?: odp_look_behind(look);
		if (err)
			return err;
		if (odp_look_absent(look, look->first) < look->end)
			return -EBUSY;
	}
	if (odp_look_widen(look, effort)) {
		err = odp_look(look);
		if (err)
			return err;
	}
	if (fault && odp_look_absent(look, look->first) == look->first)
		return -EBUSY;
	return 0;
}

/* A round with the lock, and what follows from it. As odp_fault_slot(). */
static long odp_fault_try(struct odp_look *look, struct odp_effort *effort,
			  struct odp_outcome *outcome)
{
	struct odp_mirror *mirror = look->chunk->mirror;
	int err;

	if (effort->mode != ODP_FAULT_QUICK)
		mmap_read_lock(mirror->mm);
	else if (!mmap_read_trylock(mirror->mm))
		return -EAGAIN;
	look->vma = NULL;
	err = odp_fault_round(look, effort);
	/* While what mm said cannot have become wrong by what it maps. */
	outcome->sequence = READ_ONCE(look->slot->sequence);
	mmap_read_unlock(mirror->mm);

	if (effort->frozen && effort->mode == ODP_FAULT_FULL && err) {
		outcome->frozen = effort->frozen;
		return -EAGAIN;
	}
	if (effort->frozen) {
		fput(effort->frozen);
		effort->frozen = NULL;
		err = err ? -EAGAIN : 0;
	}
	return err ?: odp_look_publish(look);
}

/* As odp_fault_slot(). @faulted: out; mm was asked to bring something in. */
static long odp_fault_work(struct odp_chunk *chunk, unsigned long first,
			   unsigned long last, bool write,
			   enum odp_fault_mode mode,
			   struct odp_outcome *outcome, bool *faulted)
{
	unsigned long npages = (last >> PAGE_SHIFT) - (first >> PAGE_SHIFT) + 1;
	struct odp_effort effort = { .mode = mode, .burst = 1 };
	unsigned long stack[ODP_STACK_PAGES];
	struct odp_look look = {
		.chunk = chunk,
		.slot = odp_slot(chunk, first),
		.range = {
			.notifier = &chunk->notifier,
			.start = first & PAGE_MASK,
			.end = (first & PAGE_MASK) + (npages << PAGE_SHIFT),
			.hmm_pfns = stack,
		},
		.end = npages,
		.write = write,
		.quick = mode == ODP_FAULT_QUICK,
	};
	int tries = ODP_FAULT_TRIES;
	struct odp_charge charge;
	long ret;

	if (npages > ODP_STACK_PAGES) {
		look.range.hmm_pfns = kmalloc_array(npages, sizeof(*stack),
						    GFP_KERNEL);
		if (!look.range.hmm_pfns)
			return -ENOMEM;
	}

	odp_charge_begin(chunk->mirror, &charge);
	do {
		ret = odp_fault_try(&look, &effort, outcome);
		if (ret != -EBUSY)
			break;
		ret = -EAGAIN;
		cond_resched();
	} while (--tries);
	odp_charge_end(&charge);

	odp_leaf_free(chunk->mirror, look.spare);
	if (look.range.hmm_pfns != stack)
		kfree(look.range.hmm_pfns);
	*faulted = effort.faulted;
	if (effort.faulted)
		odp_count(chunk->mirror, ODP_COUNT_FAULTS);
	else if (ret > 0)
		odp_count(chunk->mirror, ODP_COUNT_SNAPSHOTS);
	/* mm said yes, but to a page that we refuse. */
	if (!ret && (mode == ODP_FAULT_FULL || mode == ODP_FAULT_QUICK))
		ret = -EFAULT;
	return ret;
}

/**
 * odp_fault_slot - look up or fault in part of a slot and publish it
 * @chunk: the chunk, kept, not locked
 * @first: first address
 * @last: last address, in the same slot
 * @write: for writing
 * @mode: how far to go
 * @outcome: out
 *
 * Neighbours that are present are published along; they are not faulted in.
 *
 * Context: process context, may sleep; holds a reference on the mm's users.
 *
 * Return: how many pages from @first on are usable, at least 1 unless @mode only
 * looks; or
 * -EFAULT: nothing is mapped at @first that may be accessed so
 * -ENOMEM: no memory, for the page or for the table
 * -EAGAIN: too many invalidations; or it would take longer than @mode allows; or
 *	@outcome->frozen is set
 * or what &odp_device_ops.map said.
 */
long odp_fault_slot(struct odp_chunk *chunk, unsigned long first,
		    unsigned long last, bool write, enum odp_fault_mode mode,
		    struct odp_outcome *outcome)
{
	u64 begun = trace_odp_fault_end_enabled() ? ktime_get_ns() : 0;
	bool faulted = false;
	long usable;

	outcome->frozen = NULL;
	trace_odp_fault_begin(chunk->mirror, first, last, write, mode);
	usable = odp_fault_work(chunk, first, last, write, mode, outcome,
				&faulted);
	if (trace_odp_fault_end_enabled())
		trace_odp_fault_end(chunk->mirror, first, write, mode, faulted,
				    usable, ktime_get_ns() - begun);
	return usable;
}

/**
 * odp_mm_get - take the owner's address space for the length of a fault
 * @mirror: the mirror
 *
 * Return: false after the owner's exit.
 */
bool odp_mm_get(struct odp_mirror *mirror)
{
	return mmget_not_zero(mirror->mm);
}

/**
 * odp_mm_put - the counterpart of odp_mm_get()
 * @mirror: the mirror
 *
 * The last user would tear the address space down, into our own callbacks; a
 * work item of mm does that instead.
 */
void odp_mm_put(struct odp_mirror *mirror)
{
	mmput_async(mirror->mm);
}
