// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Copying between packets and the memory that a work request names.
 *
 * The queues of a user's queue pair are memory that the user can write at any
 * time, also while a work request in them is executed. So what says where to
 * copy is read once, and is checked against what the queue was made for and not
 * against what else is in the work request.
 *
 * A copy is repeatable: the work request moves on only if all of it succeeded.
 */
#include "rxe.h"

/**
 * rxe_copy_wqe - copy to or from the memory that a work request names
 * @pd: the queue pair's
 * @access: what the regions have to permit, as for lookup_mr()
 * @dma: the work request's elements and where it is in them
 * @max_sge: elements that a request in this queue can have
 * @addr: the packet's payload, @length bytes
 * @length: bytes
 * @dir: which way
 *
 * Page faults are sized by what is left of the request and of the element.
 *
 * Context: process context, may sleep.
 *
 * Return: 0, or
 * -ENOSPC: more than is left of the request, or than its elements have
 * -EINVAL: an lkey that is none
 * or what rxe_mr_copy_ahead() returns.
 */
int rxe_copy_wqe(struct rxe_pd *pd, int access, struct rxe_dma_info *dma,
		 unsigned int max_sge, void *addr, unsigned int length,
		 enum rxe_mr_copy_dir dir)
{
	u32 num_sge = min_t(u32, READ_ONCE(dma->num_sge), max_sge);
	u32 offset = READ_ONCE(dma->sge_offset);
	u32 resid = READ_ONCE(dma->resid);
	u32 cur = READ_ONCE(dma->cur_sge);

	if (!length)
		return 0;
	if (length > resid)
		return -ENOSPC;

	while (length) {
		u32 size, bytes, lkey;
		struct rxe_mr *mr;
		u64 iova;
		int err;

		if (cur >= num_sge)
			return -ENOSPC;
		size = READ_ONCE(dma->sge[cur].length);
		if (offset >= size) {
			cur++;
			offset = 0;
			continue;
		}

		iova = READ_ONCE(dma->sge[cur].addr) + offset;
		lkey = READ_ONCE(dma->sge[cur].lkey);
		bytes = min(length, size - offset);
		mr = lookup_mr(pd, access, lkey, RXE_LOOKUP_LOCAL);
		if (!mr)
			return -EINVAL;
		err = rxe_mr_copy_ahead(mr, iova, addr, bytes,
					min(resid, size - offset), dir);
		rxe_put(mr);
		if (err)
			return err;

		offset += bytes;
		resid -= bytes;
		length -= bytes;
		addr += bytes;
	}

	dma->cur_sge = cur;
	dma->sge_offset = offset;
	dma->resid = resid;
	return 0;
}

/**
 * rxe_skip_wqe - leave out what the peer has already
 * @dma: the work request's elements and where it is in them
 * @max_sge: elements that a request in this queue can have
 * @length: bytes; what the elements do not have is not left out
 */
void rxe_skip_wqe(struct rxe_dma_info *dma, unsigned int max_sge,
		  unsigned int length)
{
	u32 num_sge = min_t(u32, READ_ONCE(dma->num_sge), max_sge);
	u32 offset = READ_ONCE(dma->sge_offset);
	u32 resid = READ_ONCE(dma->resid);
	u32 cur = READ_ONCE(dma->cur_sge);

	while (length && cur < num_sge) {
		u32 size = READ_ONCE(dma->sge[cur].length);
		u32 bytes;

		if (offset >= size) {
			cur++;
			offset = 0;
			continue;
		}
		bytes = min(length, size - offset);
		offset += bytes;
		resid -= bytes;
		length -= bytes;
	}

	dma->cur_sge = cur;
	dma->sge_offset = offset;
	dma->resid = resid;
}

/**
 * rxe_copy_inline - copy from the data inside a work request
 * @qp: the queue pair
 * @dma: the work request's data and where it is in them
 * @addr: the packet's payload, @length bytes
 * @length: bytes
 *
 * Return: 0, or -EINVAL: more than a request in this queue can have.
 */
int rxe_copy_inline(struct rxe_qp *qp, struct rxe_dma_info *dma, void *addr,
		    unsigned int length)
{
	u32 offset = READ_ONCE(dma->sge_offset);

	if (offset > qp->sq.max_inline || length > qp->sq.max_inline - offset)
		return -EINVAL;
	memcpy(addr, &dma->inline_data[offset], length);
	dma->resid -= length;
	dma->sge_offset = offset + length;
	return 0;
}

/**
 * rxe_take_recv - begin with a receive request
 * @wqe: the driver's copy of it
 * @num_sge: its elements, as checked
 *
 * A receive request in the queue is what user space wrote, and that includes
 * where in its elements it claims to be.
 */
void rxe_take_recv(struct rxe_recv_wqe *wqe, unsigned int num_sge)
{
	wqe->dma.num_sge = num_sge;
	wqe->dma.cur_sge = 0;
	wqe->dma.sge_offset = 0;
	wqe->dma.resid = wqe->dma.length;
}

/**
 * rxe_unbind_mws - take the memory windows from a queue pair
 * @qp: the queue pair, which is being destroyed
 *
 * A type 2 window that is bound to a queue pair keeps it, and destroying it
 * would wait for the window's end. It is free again instead.
 *
 * Context: process context.
 */
void rxe_unbind_mws(struct rxe_qp *qp)
{
	struct rxe_dev *rxe = to_rdev(qp->ibqp.device);
	struct rxe_pool_elem *elem;
	unsigned long index;
	struct rxe_mw *mw;

	xa_for_each(&rxe->mw_pool.xa, index, elem) {
		mw = rxe_pool_get_index(&rxe->mw_pool, index);
		if (!mw)
			continue;
		if (READ_ONCE(mw->qp) == qp)
			rxe_invalidate_mw(qp, mw->rkey);
		rxe_put(mw);
	}
}
