// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows of a device that has addresses of its own for memory.
 *
 * There is no such device, so an address is the physical one, moved by a
 * constant: whoever uses it as it is crashes. What counts is the bookkeeping.
 * Each mapping that the core makes is a record, which the unmap has to find
 * again, and each access looks whether its address is in one. An account has
 * the sums of an open file.
 *
 * The core may call the ops after the last window is gone, for a fault that was
 * in flight then, and holds the account until that is over.
 */
#include <linux/hashtable.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "testdev.h"

/* Not a physical address, and none of the kernel's. */
#define ODP_TEST_BUS_OFFSET	BIT_ULL(60)

/**
 * struct odp_test_account - the DMA mappings of an open file
 * @ref: one for the file, one for each mirror
 * @stats: as user space gets them; @stats.live is the number of records.
 *	Protected by odp_test_records_lock.
 */
struct odp_test_account {
	struct kref ref;
	struct odp_test_dma_stats stats;
};

/**
 * struct odp_test_record - one mapping that the core has made
 * @node: in odp_test_records, by @address
 * @account: whose
 * @address: what the core was told
 * @order: log2 of its pages
 * @write: for writing
 * @invalidates: of the account, when it was made
 */
struct odp_test_record {
	struct hlist_node node;
	struct odp_test_account *account;
	u64 address;
	unsigned int order;
	bool write;
	u64 invalidates;
};

/*
 * Protects the records and the sums. Leaf: taken in notifier callbacks and with
 * a chunk's lock held, and nothing is taken or waited for under it.
 */
static DEFINE_SPINLOCK(odp_test_records_lock);
static DEFINE_HASHTABLE(odp_test_records, 10);

/* The core has it as what must not be looked at. */
static struct odp_test_account *odp_test_account(const void *owner)
{
	return (struct odp_test_account *)owner;
}

/**
 * odp_test_account_open - make an account
 *
 * Return: the account, or NULL when there is no memory.
 */
struct odp_test_account *odp_test_account_open(void)
{
	struct odp_test_account *account;

	account = kzalloc_obj(*account, GFP_KERNEL_ACCOUNT);
	if (account)
		kref_init(&account->ref);
	return account;
}

static void odp_test_account_free(struct kref *ref)
{
	struct odp_test_account *account =
		container_of(ref, struct odp_test_account, ref);

	/* Every mirror is gone, so the core has unmapped everything. */
	WARN_ON(account->stats.live);
	kfree(account);
}

/**
 * odp_test_account_close - the file is closed
 * @account: the account, which stays as long as the core has a use for it
 */
void odp_test_account_close(struct odp_test_account *account)
{
	kref_put(&account->ref, odp_test_account_free);
}

static void odp_test_dma_get(const void *owner)
{
	kref_get(&odp_test_account(owner)->ref);
}

static void odp_test_dma_put(const void *owner)
{
	kref_put(&odp_test_account(owner)->ref, odp_test_account_free);
}

static int odp_test_dma_map(const void *owner, struct page *page,
			    unsigned int order, bool write, u64 *address)
{
	struct odp_test_account *account = odp_test_account(owner);
	struct odp_test_record *record;

	record = kzalloc_obj(*record, GFP_NOWAIT);
	if (!record)
		return -EAGAIN;
	record->account = account;
	record->address = page_to_phys(page) + ODP_TEST_BUS_OFFSET;
	record->order = order;
	record->write = write;
	*address = record->address;

	spin_lock(&odp_test_records_lock);
	record->invalidates = account->stats.invalidates;
	hash_add(odp_test_records, &record->node, record->address);
	account->stats.maps++;
	account->stats.live++;
	spin_unlock(&odp_test_records_lock);
	return 0;
}

/* The record of just this mapping; of two that are alike, any. */
static struct odp_test_record *
odp_test_record_find(const void *owner, u64 address, unsigned int order,
		     bool write)
{
	struct odp_test_record *record;

	lockdep_assert_held(&odp_test_records_lock);

	hash_for_each_possible(odp_test_records, record, node, address)
		if (record->account == owner && record->address == address &&
		    record->order == order && record->write == write)
			return record;
	return NULL;
}

static void odp_test_dma_unmap(const void *owner, u64 address,
			       unsigned int order, bool write)
{
	struct odp_test_account *account = odp_test_account(owner);
	struct odp_test_record *record;

	spin_lock(&odp_test_records_lock);
	record = odp_test_record_find(owner, address, order, write);
	if (record) {
		hash_del(&record->node);
		account->stats.unmaps++;
		account->stats.live--;
	}
	if (!record || record->invalidates == account->stats.invalidates)
		account->stats.errors++;
	spin_unlock(&odp_test_records_lock);
	kfree(record);
}

static void odp_test_dma_invalidate(const void *owner, u64 first, u64 last)
{
	spin_lock(&odp_test_records_lock);
	odp_test_account(owner)->stats.invalidates++;
	spin_unlock(&odp_test_records_lock);
}

/* What a window with ODP_TEST_WINDOW_DMA gives to the core. */
const struct odp_device_ops odp_test_dma_ops = {
	.module		= THIS_MODULE,
	.get		= odp_test_dma_get,
	.put		= odp_test_dma_put,
	.map		= odp_test_dma_map,
	.unmap		= odp_test_dma_unmap,
	.invalidate	= odp_test_dma_invalidate,
};

/**
 * struct odp_test_dma - an access, for its actor
 * @account: whose mapping it has to be
 * @buffer: the other side
 * @write: to memory
 */
struct odp_test_dma {
	struct odp_test_account *account;
	void *buffer;
	bool write;
};

static bool odp_test_dma_is_mapped(const struct odp_test_dma *dma, u64 address,
				   unsigned int order)
{
	u64 first = round_down(address, (u64)PAGE_SIZE << order);

	return odp_test_record_find(dma->account, first, order, true) ||
	       (!dma->write &&
		odp_test_record_find(dma->account, first, order, false));
}

static bool odp_test_dma_check(const struct odp_test_dma *dma, u64 address)
{
	bool mapped;

	spin_lock(&odp_test_records_lock);
	mapped = odp_test_dma_is_mapped(dma, address, 0) ||
		 odp_test_dma_is_mapped(dma, address, PMD_ORDER);
	if (!mapped)
		dma->account->stats.errors++;
	spin_unlock(&odp_test_records_lock);
	return mapped;
}

/* The chunk's lock is held, so the mapping stays while the device works. */
static int odp_test_dma_actor(u64 address, size_t offset, size_t length,
			      void *context)
{
	const struct odp_test_dma *dma = context;
	void *memory;

	if (!odp_test_dma_check(dma, address))
		return -EIO;
	memory = phys_to_virt(address - ODP_TEST_BUS_OFFSET);
	if (dma->write)
		memcpy(memory, dma->buffer + offset, length);
	else if (copy_mc_to_kernel(dma->buffer + offset, memory, length))
		return -EFAULT;
	return 0;
}

/**
 * odp_test_dma_read - read as a device does that has its own addresses
 * @window: the window, made for that
 * @iova: as for odp_window_read(), also the following
 * @buffer: see there
 * @length: see there
 * @intent: see there
 *
 * Context: as for odp_window_map().
 *
 * Return: as odp_window_map(), or -EIO: the core gave an address that is not
 * mapped.
 */
int odp_test_dma_read(struct odp_test_window *window, u64 iova, void *buffer,
		      size_t length, size_t intent)
{
	struct odp_test_dma dma = {
		.account = window->account,
		.buffer = buffer,
	};

	return odp_window_map(&window->window, iova, length, intent,
			      ODP_ACCESS_READ, odp_test_dma_actor, &dma);
}

/**
 * odp_test_dma_write - write as a device does that has its own addresses
 * @window: the window, made for that
 * @iova: as for odp_window_write(), also the following
 * @buffer: see there
 * @length: see there
 * @intent: see there
 *
 * Context: as for odp_window_map().
 *
 * Return: as odp_test_dma_read().
 */
int odp_test_dma_write(struct odp_test_window *window, u64 iova,
		       const void *buffer, size_t length, size_t intent)
{
	struct odp_test_dma dma = {
		.account = window->account,
		.buffer = (void *)buffer,
		.write = true,
	};

	return odp_window_map(&window->window, iova, length, intent,
			      ODP_ACCESS_WRITE, odp_test_dma_actor, &dma);
}

/**
 * odp_test_dma_stats - ODP_TEST_DMA_STATS
 * @device: the device
 * @call: with &struct odp_test_dma_stats
 *
 * Return: 0, or -EINVAL
 */
int odp_test_dma_stats(struct odp_test_device *device,
		       struct odp_test_call *call)
{
	struct odp_test_dma_stats *stats = &call->data.dma_stats;
	u32 size = stats->size;

	if (stats->reserved)
		return -EINVAL;
	spin_lock(&odp_test_records_lock);
	*stats = device->account->stats;
	spin_unlock(&odp_test_records_lock);
	stats->size = size;
	return 0;
}
