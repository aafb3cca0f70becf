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
 * struct rxe_cursor - a place in the elements of a work request
 * @dma: the work request's elements
 * @nelements: that may be looked at
 * @element: the one that the place is in
 * @at: bytes of it that are behind
 * @left: bytes of the request that are ahead, as it says
 * @sge: the element, read once by rxe_cursor_piece()
 */
struct rxe_cursor {
	struct rxe_dma_info *dma;
	u32 nelements;
	u32 element;
	u32 at;
	u32 left;
	struct ib_sge sge;
};

static struct rxe_cursor rxe_cursor_begin(struct rxe_dma_info *dma,
					  unsigned int max_sge)
{
	return (struct rxe_cursor) {
		.dma = dma,
		.nelements = min_t(u32, READ_ONCE(dma->num_sge), max_sge),
		.element = READ_ONCE(dma->cur_sge),
		.at = READ_ONCE(dma->sge_offset),
		.left = READ_ONCE(dma->resid),
	};
}

/* How much the element has from here on, in the next one if need be; 0 at the end. */
static u32 rxe_cursor_piece(struct rxe_cursor *cursor)
{
	const struct rxe_sge *sge;

	for (; cursor->element < cursor->nelements; cursor->element++) {
		sge = &cursor->dma->sge[cursor->element];
		cursor->sge.length = READ_ONCE(sge->length);
		if (cursor->at < cursor->sge.length) {
			cursor->sge.addr = READ_ONCE(sge->addr);
			cursor->sge.lkey = READ_ONCE(sge->lkey);
			return cursor->sge.length - cursor->at;
		}
		cursor->at = 0;
	}
	return 0;
}

static void rxe_cursor_move(struct rxe_cursor *cursor, u32 bytes)
{
	cursor->at += bytes;
	cursor->left -= bytes;
}

/* Make the place the work request's. */
static void rxe_cursor_end(const struct rxe_cursor *cursor)
{
	cursor->dma->cur_sge = cursor->element;
	cursor->dma->sge_offset = cursor->at;
	cursor->dma->resid = cursor->left;
}

/* @bytes at the cursor, which are all in one element. */
static int rxe_cursor_copy(const struct rxe_cursor *cursor, struct rxe_pd *pd,
			   int access, void *addr, u32 bytes, u32 ahead,
			   enum rxe_mr_copy_dir dir)
{
	struct rxe_mr *mr = lookup_mr(pd, access, cursor->sge.lkey,
				      RXE_LOOKUP_LOCAL);
	int err;

	if (!mr)
		return -EINVAL;
	err = rxe_mr_copy_ahead(mr, cursor->sge.addr + cursor->at, addr, bytes,
				ahead, dir);
	rxe_put(mr);
	return err;
}

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
	struct rxe_cursor cursor = rxe_cursor_begin(dma, max_sge);
	unsigned int done = 0;
	u32 piece, bytes;
	int err;

	if (!length)
		return 0;
	if (length > cursor.left)
		return -ENOSPC;

	for (; done < length; done += bytes) {
		piece = rxe_cursor_piece(&cursor);
		if (!piece)
			return -ENOSPC;
		bytes = min(length - done, piece);
		err = rxe_cursor_copy(&cursor, pd, access, addr + done, bytes,
				      min(cursor.left, piece), dir);
		if (err)
			return err;
		rxe_cursor_move(&cursor, bytes);
	}
	rxe_cursor_end(&cursor);
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
	struct rxe_cursor cursor = rxe_cursor_begin(dma, max_sge);
	u32 piece, bytes;

	for (; length; length -= bytes) {
		piece = rxe_cursor_piece(&cursor);
		if (!piece)
			break;
		bytes = min(length, piece);
		rxe_cursor_move(&cursor, bytes);
	}
	rxe_cursor_end(&cursor);
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
 * rxe_bind_mw_once - rxe_bind_mw() on a copy
 * @qp: the queue pair
 * @wqe: a request in its queue, which user space can change
 *
 * Return: as rxe_bind_mw()
 */
int rxe_bind_mw_once(struct rxe_qp *qp, const struct rxe_send_wqe *wqe)
{
	struct rxe_send_wqe copy = { };

	memcpy(&copy.wr, &wqe->wr, sizeof(copy.wr));
	return rxe_bind_mw(qp, &copy);
}

/**
 * rxe_wait_for_skbs - be told when fewer packets are under way
 * @qp: the queue pair, which has as many as it may have
 *
 * Return: true if the queue pair's send task will be scheduled; false if there
 * are few already.
 */
bool rxe_wait_for_skbs(struct rxe_qp *qp)
{
	WRITE_ONCE(qp->need_req_skb, 1);
	/* Pairs with the atomic_dec_return() in rxe_skb_tx_dtor(). */
	smp_mb();
	return atomic_read(&qp->skb_out) >= RXE_INFLIGHT_SKBS_PER_QP_LOW;
}
