/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the converted rxe calls for On-Demand Paging beside what rxe_loc.h
 * declares already. Included from rxe.h, after rxe_loc.h.
 *
 * An access to an ODP region has a third result besides success and error: not
 * yet. The page is on its way, or memory is short, and repeating the access is
 * the right thing to do. The responder says so with an RNR NAK, the requester
 * and the completer hold the packet (rxe_hold.c); the functions here keep the
 * queue pair's state such that repeating works.
 */
#ifndef RXE_ODP_H
#define RXE_ODP_H

#include <linux/odp_mirror.h>

/**
 * struct rxe_odp - what an ODP region has more than any region
 * @window: its view of the mirror
 * @implicit: the window is the whole address space
 * @closing: the region is being deregistered, which waits for its users
 */
struct rxe_odp {
	struct odp_window window;
	bool implicit;
	bool closing;
};

/**
 * rxe_odp_retryable - tell "not yet" from "no"
 * @err: from rxe_mr_copy_ahead(), copy_data() or another access
 *
 * Return: true if repeating the access is legal and may succeed.
 */
static inline bool rxe_odp_retryable(int err)
{
	return err == -EAGAIN || err == -ENOMEM;
}

/**
 * rxe_adds_persistence - whether a right says more of memory than is known
 * @mr: the region
 * @access: the rights that it, or an MW on it, is to have
 *
 * Whether pinned memory lasts is looked at when it is registered, and only if
 * the right to flush it for good is asked for. Of an ODP region it is looked at
 * when it is flushed.
 *
 * Return: true if such a right is to be refused
 */
static inline bool rxe_adds_persistence(const struct rxe_mr *mr, int access)
{
	return !mr->odp && access & ~mr->access & IB_ACCESS_FLUSH_PERSISTENT;
}

bool rxe_mr_close(struct rxe_mr *mr);
int rxe_mw_attach(struct rxe_qp *qp, struct rxe_mw *mw, struct rxe_mr *mr);
void rxe_mw_release(struct rxe_mw *mw, enum rxe_mw_state state);
void rxe_unbind_mws(struct rxe_qp *qp);
struct rxe_mr *rxe_request_region(struct rxe_qp *qp, struct rxe_pkt_info *pkt,
				  int access);
struct rxe_mr *rxe_read_region(struct rxe_qp *qp, const struct resp_res *res);
int rxe_copy_wqe(struct rxe_pd *pd, int access, struct rxe_dma_info *dma,
		 unsigned int max_sge, void *addr, unsigned int length,
		 enum rxe_mr_copy_dir dir);
void rxe_skip_wqe(struct rxe_dma_info *dma, unsigned int max_sge,
		  unsigned int length);
int rxe_copy_inline(struct rxe_qp *qp, struct rxe_dma_info *dma, void *addr,
		    unsigned int length);
void rxe_take_recv(struct rxe_recv_wqe *wqe, unsigned int num_sge);
int rxe_bind_mw_once(struct rxe_qp *qp, const struct rxe_send_wqe *wqe);
bool rxe_wait_for_skbs(struct rxe_qp *qp);

#if IS_ENABLED(CONFIG_INFINIBAND_ON_DEMAND_PAGING)
int rxe_mr_copy_ahead(struct rxe_mr *mr, u64 iova, void *addr,
		      unsigned int length, u64 ahead,
		      enum rxe_mr_copy_dir dir);
void rxe_odp_mr_stop(struct rxe_mr *mr);
void rxe_odp_mr_release(struct rxe_mr *mr);
int rxe_odp_flush(struct rxe_qp *qp, struct rxe_mr *mr, u64 iova, u64 length);

enum resp_states rxe_odp_resp_error(struct rxe_qp *qp,
				    struct rxe_pkt_info *pkt, int err,
				    enum resp_states state);
enum resp_states rxe_odp_resp_state(struct rxe_qp *qp,
				    enum resp_states state);
enum resp_states rxe_odp_read_error(struct rxe_qp *qp,
				    struct rxe_pkt_info *pkt, int err);
enum resp_states rxe_odp_recv_error(struct rxe_qp *qp,
				    struct rxe_pkt_info *pkt, int err);

int rxe_odp_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int rxe_odp_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr);
void rxe_odp_update_counters(struct rxe_dev *rxe);
#else /* no region is an ODP region, nothing has to be repeated */
static inline int rxe_mr_copy_ahead(struct rxe_mr *mr, u64 iova, void *addr,
				    unsigned int length, u64 ahead,
				    enum rxe_mr_copy_dir dir)
{
	return rxe_mr_copy(mr, iova, addr, length, dir);
}

static inline void rxe_odp_mr_stop(struct rxe_mr *mr)
{
}

static inline void rxe_odp_mr_release(struct rxe_mr *mr)
{
}

static inline int rxe_odp_flush(struct rxe_qp *qp, struct rxe_mr *mr, u64 iova,
				u64 length)
{
	return rxe_flush_pmem_iova(mr, iova, length);
}

static inline enum resp_states rxe_odp_resp_error(struct rxe_qp *qp,
						  struct rxe_pkt_info *pkt,
						  int err,
						  enum resp_states state)
{
	return state;
}

static inline enum resp_states rxe_odp_resp_state(struct rxe_qp *qp,
						  enum resp_states state)
{
	return state;
}

static inline enum resp_states rxe_odp_read_error(struct rxe_qp *qp,
						  struct rxe_pkt_info *pkt,
						  int err)
{
	return rxe_odp_retryable(err) ? RESPST_ERR_RNR :
					RESPST_ERR_RKEY_VIOLATION;
}

static inline enum resp_states rxe_odp_recv_error(struct rxe_qp *qp,
						  struct rxe_pkt_info *pkt,
						  int err)
{
	return err == -ENOSPC ? RESPST_ERR_LENGTH : RESPST_ERR_MALFORMED_WQE;
}

static inline int rxe_odp_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	return 0;
}

static inline int rxe_odp_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	return 0;
}

static inline void rxe_odp_update_counters(struct rxe_dev *rxe)
{
}
#endif

#endif /* RXE_ODP_H */
