/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Packets that wait for a page; rxe_hold.c says how. Included from rxe_verbs.h,
 * for what a queue pair has of it.
 */
#ifndef RXE_HOLD_H
#define RXE_HOLD_H

#include <linux/timer.h>
#include <linux/types.h>

struct rxe_pkt_info;
struct rxe_qp;
struct sk_buff;

/**
 * struct rxe_late - since when a packet has been waiting
 * @psn: the packet
 * @since: in jiffies
 */
struct rxe_late {
	u32 psn;
	unsigned long since;
};

/**
 * struct rxe_hold - the packets of a queue pair that wait for a page
 * @timer: runs the send task again
 * @request: the one that the requester could not send
 * @response: the one that the completer could not store
 * @refused: the one that the responder sent an RNR NAK for
 * @due: the PSN behind the last request that asked for an acknowledgment
 * @acked: comp.psn when the completer looked last
 * @is_requesting: the requester holds @request still
 * @has_dropped: a response found no room; set by who receives packets
 * @rnr_timer: what the next RNR NAK is to say, or 0
 *
 * The responder's belong to the receive task, the others to the send task.
 */
struct rxe_hold {
	struct timer_list timer;
	struct rxe_late request;
	struct rxe_late response;
	struct rxe_late refused;
	u32 due;
	u32 acked;
	bool is_requesting;
	bool has_dropped;
	u8 rnr_timer;
};

void rxe_hold_init(struct rxe_qp *qp);
void rxe_hold_stop(struct rxe_qp *qp);
void rxe_hold_destroy(struct rxe_qp *qp);
void rxe_hold_restart(struct rxe_qp *qp);
bool rxe_hold_drop_request(struct rxe_qp *qp, struct sk_buff *skb);
bool rxe_hold_drop_response(struct rxe_qp *qp, struct sk_buff *skb);
bool rxe_hold_request(struct rxe_qp *qp, int err);
bool rxe_hold_response(struct rxe_qp *qp, struct rxe_pkt_info *pkt, int err);
void rxe_hold_sent(struct rxe_qp *qp);
void rxe_hold_recover(struct rxe_qp *qp);
bool rxe_hold_keeps_timer(struct rxe_qp *qp);
bool rxe_hold_awaits_peer(const struct rxe_qp *qp);
void rxe_hold_refuse(struct rxe_qp *qp);
u8 rxe_hold_rnr_timer(struct rxe_qp *qp);

#endif /* RXE_HOLD_H */
