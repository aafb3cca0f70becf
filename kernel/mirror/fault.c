// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What we ask of mm: faults and look-ups.
 *
 * A page that is present in the owner's page tables already is looked up in the
 * caller's context. Anything else is a request to a work item, for which the
 * caller waits a bounded time: a page fault may take as long as a file system
 * stays frozen, and neither the queue pair that hit it nor the process that
 * deregisters the memory may be stuck that long. The request goes on without
 * them, holding the mirror and, for its own length, the address space. A later
 * access to the same range finds the request and waits for it again.
 *
 * A fault is two steps that repeat: look what is present, then have the fault
 * handlers bring in what is not. hmm_range_fault() only looks. It could fault as
 * well, but with mmap_lock held until the last page is there, without
 * userfaultfd, and with one errno for every reason (hmm_vma_fault() in mm/hmm.c
 * of 7.2). fixup_user_fault() lets go of the lock across I/O and tells "no
 * memory" from "no access".
 *
 * What was seen goes into a private array and is published under the chunk's
 * lock, held exclusive, if nothing was invalidated meanwhile in the same slot;
 * see odp_fault_slot().
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mirror.h"

/*
 * How long an access waits for its fault. Less than the shortest
 * time-out for an ACK that applications commonly use (14, that is 67 ms: IBTA
 * 9.7.6.1.3), so that the answer "not ready" gets out before the peer sends
 * again.
 */
#define ODP_FAULT_WAIT_MS	40

/* How often a request starts over because of invalidations before it gives up. */
#define ODP_FAULT_TRIES		64

/* How often a fault looks whether a frozen file system has thawed. */
#define ODP_THAW_POLL_MS	20

/*
 * Faults that one mirror may have in flight, so that one process with memory
 * that never answers does not take all workers there are.
 */
#define ODP_REQUESTS_MAX	32

/* Requests up to this size keep their array on the stack. */
#define ODP_STACK_PAGES		16

/**
 * struct odp_request - a fault in flight
 * @work: runs it
 * @list: in odp_mirror.faults until it is done
 * @ref: one for the work item, one for each task that waits
 * @mirror: held
 * @first: first address; the error is about this one
 * @last: last address that would be good to have, in the same slot
 * @write: fault for writing
 * @error: how it ended; valid after @done
 * @done: completed when it ended
 */
struct odp_request {
	struct work_struct work;
	struct list_head list;
	refcount_t ref;
	struct odp_mirror *mirror;
	unsigned long first;
	unsigned long last;
	bool write;
	int error;
	struct completion done;
};

/*
 * 0 for a page that the CPU cannot be pointed at: memory of another device,
 * private (mm should have faulted it back) or peer to peer (a BAR).
 */
static unsigned long odp_entry_make(unsigned long hmm_pfn)
{
	struct page *page = hmm_pfn_to_page(hmm_pfn);
	unsigned long entry;

	entry = page_to_pfn(page) << ODP_ENTRY_SHIFT | ODP_ENTRY_PRESENT;
	if (hmm_pfn & HMM_PFN_WRITE)
		entry |= ODP_ENTRY_WRITE;
	if (!is_zone_device_page(page))
		return entry;

	switch (page_pgmap(page)->type) {
	case MEMORY_DEVICE_FS_DAX:
	case MEMORY_DEVICE_GENERIC:
		return entry | ODP_ENTRY_PMEM;
	case MEMORY_DEVICE_COHERENT:
		return entry;
	default:
		return 0;
	}
}

/*
 * Enter what mm said into the slot. Returns how many pages, from the first on,
 * are now usable as asked.
 */
static unsigned long odp_publish_locked(struct odp_chunk *chunk,
					struct odp_slot *slot,
					const struct hmm_range *range,
					bool write)
{
	unsigned long i = odp_leaf_index(range->start);
	unsigned long npages = (range->end - range->start) >> PAGE_SHIFT;
	unsigned long need = ODP_ENTRY_PRESENT | (write ? ODP_ENTRY_WRITE : 0);
	unsigned long n, usable = 0, added = 0, published = 0;

	lockdep_assert_held_write(&chunk->lock);

	for (n = 0; n < npages; n++) {
		unsigned long hmm_pfn = range->hmm_pfns[n];
		unsigned long *entry = &slot->leaf->entry[i + n];
		unsigned long new = 0;

		if ((hmm_pfn & (HMM_PFN_VALID | HMM_PFN_ERROR)) ==
		    HMM_PFN_VALID)
			new = odp_entry_make(hmm_pfn);
		/*
		 * What mm did not show may still be right: had it gone, an
		 * invalidation would have cleared the entry.
		 */
		if (new && new != *entry) {
			added += !*entry;
			published++;
			*entry = new;
		}
		if (usable == n && (*entry & need) == need)
			usable++;
	}

	slot->npresent += added;
	chunk->npresent += added;
	atomic_long_add(added, &chunk->mirror->npages);
	odp_count_add(chunk->mirror, ODP_COUNT_PAGES, published);
	return usable;
}

static bool odp_file_is_frozen(struct file *file)
{
	struct super_block *sb = file_inode(file)->i_sb;

	return READ_ONCE(sb->s_writers.frozen) >= SB_FREEZE_PAGEFAULT;
}

/*
 * A write fault on a shared mapping of a frozen file system sleeps in
 * sb_start_pagefault() until the thaw, with mmap_lock held: the owner could
 * then not even unmap the queues of the queue pair that it destroys. So find
 * out first. Called with mmap_lock held shared. A freeze that begins right
 * after this look is waited for with the lock held after all.
 *
 * Returns the file, referenced, or NULL.
 */
static struct file *odp_frozen_file(struct mm_struct *mm,
				    const struct hmm_range *range)
{
	VMA_ITERATOR(vmi, mm, range->start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, range->end)
		if (vma->vm_file && vma->vm_flags & VM_SHARED &&
		    odp_file_is_frozen(vma->vm_file))
			return get_file(vma->vm_file);
	return NULL;
}

/*
 * Wait without a lock, and without waiting for somebody who is gone. Idle,
 * because this is no hung task. -EBUSY when it is worth asking again.
 */
static int odp_wait_for_thaw(struct odp_mirror *mirror, struct file *file)
{
	int err = -EBUSY;

	while (odp_file_is_frozen(file)) {
		if (!READ_ONCE(mirror->windows)) {
			err = -EFAULT;
			break;
		}
		schedule_timeout_idle(msecs_to_jiffies(ODP_THAW_POLL_MS));
	}
	fput(file);
	return err;
}

/*
 * Memory that HMM shows and that must not be reached: secretmem is not in the
 * kernel's map, and a shadow stack is written by call instructions alone. GUP
 * refuses both (check_vma_flags() in mm/gup.c). Called with mmap_lock held.
 */
static bool odp_vma_is_refused(const struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_SHADOW_STACK)
		return true;
	return vma->vm_file &&
	       file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

static void odp_hide_refused(struct mm_struct *mm, struct hmm_range *range)
{
	VMA_ITERATOR(vmi, mm, range->start);
	struct vm_area_struct *vma;
	unsigned long va;

	for_each_vma_range(vmi, vma, range->end) {
		if (!odp_vma_is_refused(vma))
			continue;
		for (va = max(vma->vm_start, range->start);
		     va < min(vma->vm_end, range->end); va += PAGE_SIZE)
			range->hmm_pfns[(va - range->start) >> PAGE_SHIFT] =
				HMM_PFN_ERROR;
	}
}

static bool odp_pfn_satisfies(unsigned long hmm_pfn, bool write)
{
	unsigned long need = HMM_PFN_VALID | (write ? HMM_PFN_WRITE : 0);

	return !(hmm_pfn & HMM_PFN_ERROR) && (hmm_pfn & need) == need;
}

/*
 * Fault in what is absent from the range as last seen, in order. Called with
 * mmap_lock held shared; lets go of it in between. How many pages are settled,
 * that is, were there or are there now; or the errno of the first page.
 */
static long odp_fault_absent(struct mm_struct *mm, const struct hmm_range *range,
			     bool write)
{
	unsigned int flags = FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0);
	unsigned long npages = (range->end - range->start) >> PAGE_SHIFT;
	bool unlocked = false;
	unsigned long n;
	int err = 0;

	for (n = 0; n < npages; n++) {
		if (odp_pfn_satisfies(range->hmm_pfns[n], write))
			continue;
		/* No mapping, no read permission, or nothing with pages. */
		if (range->hmm_pfns[n] & HMM_PFN_ERROR)
			err = -EFAULT;
		else
			err = fixup_user_fault(mm, range->start +
					       (n << PAGE_SHIFT), flags,
					       &unlocked);
		if (err)
			break;
		cond_resched();
	}
	return n ? n : err;
}

/**
 * struct odp_look - part of a slot, and what mm said of it last
 * @chunk: the chunk, kept by odp_chunk_begin_fault(), not locked
 * @slot: the slot
 * @range: the pages and what is known of them
 * @sequence: the slot's, from before
 * @write: what is wanted
 * @spare: a table, should the slot have none
 */
struct odp_look {
	struct odp_chunk *chunk;
	struct odp_slot *slot;
	struct hmm_range range;
	u32 sequence;
	bool write;
	struct odp_leaf *spare;
};

/* See what is present. mmap_lock is held afterwards, unless it failed. */
static int odp_look(struct odp_look *look, bool may_wait)
{
	struct mm_struct *mm = look->chunk->notifier.mm;
	struct hmm_range *range = &look->range;
	unsigned long npages = (range->end - range->start) >> PAGE_SHIFT;
	int err;

	/* Allocated here because nothing is under the chunk's lock. */
	if (!look->spare && !READ_ONCE(look->slot->leaf)) {
		look->spare = kzalloc_obj(*look->spare, GFP_KERNEL_ACCOUNT);
		if (!look->spare)
			return -ENOMEM;
	}

	/* Pairs with the release in odp_chunk_invalidate_locked(). */
	look->sequence = smp_load_acquire(&look->slot->sequence);
	range->notifier_seq = mmu_interval_read_begin(range->notifier);
	memset(range->hmm_pfns, 0, npages * sizeof(*range->hmm_pfns));
	if (may_wait)
		mmap_read_lock(mm);
	else if (!mmap_read_trylock(mm))
		return -EAGAIN;

	err = hmm_range_fault(range);
	if (err == -EBUSY)
		odp_count(look->chunk->mirror, ODP_COUNT_COLLISIONS);
	if (err)
		mmap_read_unlock(mm);
	else
		odp_hide_refused(mm, range);
	return err;
}

/* How many pages from the first on are usable, or -EBUSY: look again. */
static long odp_publish(struct odp_look *look)
{
	struct odp_chunk *chunk = look->chunk;
	struct odp_slot *slot = look->slot;
	long usable = -EBUSY;

	down_write(&chunk->lock);
	if (slot->sequence != look->sequence || (!slot->leaf && !look->spare)) {
		odp_count(chunk->mirror, ODP_COUNT_COLLISIONS);
		goto unlock;
	}
	if (!slot->leaf) {
		WRITE_ONCE(slot->leaf, look->spare);
		atomic_long_inc(&chunk->mirror->nleaves);
		look->spare = NULL;
	}
	usable = odp_publish_locked(chunk, slot, &look->range, look->write);
	if (!slot->npresent)
		odp_chunk_free_leaf_locked(chunk, slot);
unlock:
	up_write(&chunk->lock);
	return usable;
}

/*
 * One look, and if need be one round of faults. What is usable, or -EBUSY to
 * come again, or another errno.
 */
static long odp_fault_round(struct odp_look *look, bool fault, bool may_wait)
{
	struct mm_struct *mm = look->chunk->notifier.mm;
	unsigned long npages;
	struct file *frozen;
	long settled;
	int err;

	err = odp_look(look, may_wait);
	if (err)
		return err;

	npages = (look->range.end - look->range.start) >> PAGE_SHIFT;
	for (settled = 0; settled < npages; settled++)
		if (!odp_pfn_satisfies(look->range.hmm_pfns[settled],
				       look->write))
			break;
	if (!fault || settled == npages) {
		mmap_read_unlock(mm);
		return odp_publish(look);
	}

	frozen = look->write ? odp_frozen_file(mm, &look->range) : NULL;
	if (frozen) {
		mmap_read_unlock(mm);
		return odp_wait_for_thaw(look->chunk->mirror, frozen);
	}
	settled = odp_fault_absent(mm, &look->range, look->write);
	mmap_read_unlock(mm);
	if (settled < 0)
		return settled;
	/* What comes behind a page that cannot be had is for another time. */
	look->range.end = look->range.start + (settled << PAGE_SHIFT);
	return -EBUSY;
}

/**
 * odp_fault_slot - look up or fault in part of a slot and publish it
 * @chunk: the chunk, kept by odp_chunk_begin_fault(), not locked
 * @first: first address
 * @last: last address, in the same slot
 * @fault: call the fault handlers for what is absent; else only look
 * @write: for writing
 * @may_wait: wait for mmap_lock, and start over when an invalidation collides
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
 *
 * Context: process context, may sleep; holds a reference on the mm's users.
 *
 * Return: how many pages from @first on are usable, at least 1 if @fault; or
 * -EFAULT: nothing is mapped at @first that may be accessed so
 * -ENOMEM: no memory, for the page or for the table
 * -EAGAIN: too many invalidations, or mmap_lock is taken and not @may_wait
 */
long odp_fault_slot(struct odp_chunk *chunk, unsigned long first,
		    unsigned long last, bool fault, bool write, bool may_wait)
{
	unsigned long npages = (last >> PAGE_SHIFT) - (first >> PAGE_SHIFT) + 1;
	int tries = may_wait ? ODP_FAULT_TRIES : 1;
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
		.write = write,
	};
	long ret;

	if (npages > ODP_STACK_PAGES) {
		look.range.hmm_pfns = kmalloc_array(npages, sizeof(*stack),
						    GFP_KERNEL);
		if (!look.range.hmm_pfns)
			return -ENOMEM;
	}

	do {
		ret = odp_fault_round(&look, fault, may_wait);
		if (ret != -EBUSY)
			break;
		ret = -EAGAIN;
		cond_resched();
	} while (--tries);

	kfree(look.spare);
	if (look.range.hmm_pfns != stack)
		kfree(look.range.hmm_pfns);
	/* mm said yes, but to a page that we refuse. */
	if (fault && !ret)
		ret = -EFAULT;
	return ret;
}

static void odp_request_put(struct odp_request *request)
{
	if (!refcount_dec_and_test(&request->ref))
		return;
	odp_mirror_put(request->mirror);
	kfree(request);
}

/**
 * odp_mm_get - take the owner's address space for the length of a fault
 * @mirror: the mirror
 * @charge: out, for odp_mm_put()
 *
 * What is allocated until odp_mm_put() is charged to the owner's cgroup.
 *
 * Return: false after the owner's exit.
 */
bool odp_mm_get(struct odp_mirror *mirror, struct odp_charge *charge)
{
	if (!mmget_not_zero(mirror->mm))
		return false;
	charge->memcg = get_mem_cgroup_from_mm(mirror->mm);
	charge->old = set_active_memcg(charge->memcg);
	return true;
}

/**
 * odp_mm_put - the counterpart of odp_mm_get()
 * @mirror: the mirror
 * @charge: from odp_mm_get()
 *
 * The last user would tear the address space down, into our own callbacks; a
 * work item of mm does that instead.
 */
void odp_mm_put(struct odp_mirror *mirror, struct odp_charge *charge)
{
	set_active_memcg(charge->old);
	mem_cgroup_put(charge->memcg);
	mmput_async(mirror->mm);
}

/* 0, or an errno as for odp_fault_slot(). The mm is held. */
static int odp_request_fault(struct odp_request *request)
{
	struct odp_chunk *chunk;
	long ret;

	chunk = odp_chunk_begin_fault(request->mirror, request->first);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	odp_count(request->mirror, ODP_COUNT_FAULTS);
	ret = odp_fault_slot(chunk, request->first, request->last, true,
			     request->write, true);
	odp_chunk_end_fault(chunk);
	return ret < 0 ? ret : 0;
}

static void odp_request_work(struct work_struct *work)
{
	struct odp_request *request = container_of(work, struct odp_request,
						   work);
	struct odp_mirror *mirror = request->mirror;
	struct odp_charge charge;
	int err = -EFAULT;

	/* Not after exit: then there is nothing to fault in. */
	if (odp_mm_get(mirror, &charge)) {
		err = odp_request_fault(request);
		odp_mm_put(mirror, &charge);
	}
	if (err)
		odp_count(mirror, ODP_COUNT_ERRORS);

	spin_lock(&mirror->faults_lock);
	list_del(&request->list);
	spin_unlock(&mirror->faults_lock);
	request->error = err;
	complete_all(&request->done);
	odp_request_put(request);
}

/*
 * The request under way that will have the page, NULL if there is none, or
 * ERR_PTR(-EAGAIN) if there are too many.
 */
static struct odp_request *odp_request_find_locked(struct odp_mirror *mirror,
						   unsigned long first,
						   bool write)
{
	struct odp_request *request;
	int n = 0;

	lockdep_assert_held(&mirror->faults_lock);

	list_for_each_entry(request, &mirror->faults, list) {
		if (request->first <= first && first <= request->last &&
		    (request->write || !write))
			return request;
		n++;
	}
	return n < ODP_REQUESTS_MAX ? NULL : ERR_PTR(-EAGAIN);
}

/* Join the request that covers @first, or start one. Takes a reference. */
static struct odp_request *odp_request_get(struct odp_mirror *mirror,
					   unsigned long first,
					   unsigned long last, bool write)
{
	struct odp_request *request, *new;

	new = kzalloc_obj(*new, GFP_KERNEL);
	if (!new)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&new->work, odp_request_work);
	refcount_set(&new->ref, 2);
	new->mirror = mirror;
	new->first = first;
	new->last = last;
	new->write = write;
	init_completion(&new->done);

	spin_lock(&mirror->faults_lock);
	request = odp_request_find_locked(mirror, first, write);
	if (!request) {
		odp_mirror_get(mirror);
		list_add_tail(&new->list, &mirror->faults);
	} else if (!IS_ERR(request)) {
		refcount_inc(&request->ref);
	}
	spin_unlock(&mirror->faults_lock);

	if (request) {
		kfree(new);
		return request;
	}
	queue_work(odp_wq, &new->work);
	return new;
}

static int odp_request_and_wait(struct odp_mirror *mirror, unsigned long first,
				unsigned long last, bool write)
{
	unsigned long timeout = msecs_to_jiffies(ODP_FAULT_WAIT_MS);
	struct odp_request *request;
	int err = -EAGAIN;

	request = odp_request_get(mirror, first, last, write);
	if (IS_ERR(request)) {
		/* Whoever repeats the access should not do so at once. */
		schedule_timeout_idle(1);
		return PTR_ERR(request);
	}
	if (wait_for_completion_timeout(&request->done, timeout))
		err = request->error;
	/* The error of a request that began elsewhere, or to write, is not ours. */
	if (err != -EAGAIN &&
	    (request->first >> PAGE_SHIFT != first >> PAGE_SHIFT ||
	     request->write != write))
		err = 0;
	odp_request_put(request);
	return err;
}

/*
 * Take the chunk of an address for the length of a fault, and mirror what the
 * owner has present there. Keeping the chunk until the caller has what it
 * wants spares it from being retired and made again in between.
 *
 * @usable: out; how many pages from @first on are usable, or an errno
 */
static struct odp_chunk *odp_snapshot(struct odp_mirror *mirror,
				      unsigned long first, unsigned long last,
				      bool write, long *usable)
{
	struct odp_charge charge;
	struct odp_chunk *chunk;

	if (!odp_mm_get(mirror, &charge))
		return ERR_PTR(-EFAULT);

	chunk = odp_chunk_begin_fault(mirror, first);
	if (!IS_ERR(chunk)) {
		odp_count(mirror, ODP_COUNT_SNAPSHOTS);
		*usable = odp_fault_slot(chunk, first, last, false, write,
					 false);
	}
	odp_mm_put(mirror, &charge);
	return chunk;
}

/**
 * odp_fault - make pages usable
 * @mirror: the mirror
 * @first: first address
 * @last: last address that the caller is going to need
 * @write: for writing
 *
 * Makes progress from @first on, and not further than the 2 MiB that @first is
 * in: the caller looks again at what it has. Waits ODP_FAULT_WAIT_MS at most
 * for the fault, which goes on if that is not enough, and besides for an
 * invalidation that is under way in the same chunk.
 *
 * Context: process context, may sleep; no chunk is locked.
 *
 * Return: 0, or
 * -EFAULT: nothing is mapped at @first that may be accessed so, or the process
 *	is gone
 * -ENOMEM: no memory; worth trying again
 * -EAGAIN: not resolved yet; try again
 */
int odp_fault(struct odp_mirror *mirror, unsigned long first,
	      unsigned long last, bool write)
{
	struct odp_chunk *chunk;
	long usable;
	int err = 0;

	if (first >= mirror->mm->task_size)
		return -EFAULT;
	last = min3(last, odp_slot_last(first), mirror->mm->task_size - 1);

	chunk = odp_snapshot(mirror, first, last, write, &usable);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	if (usable <= 0)
		err = odp_request_and_wait(mirror, first, last, write);
	odp_chunk_end_fault(chunk);
	return err;
}
