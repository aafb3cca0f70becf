// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +4
//
// rxe: take a FLUSH for what uses a responder resource
//
// A queue pair with none has no place to put it, and its PSN tells a repeated
// FLUSH from another request.
@@
expression E;
@@
-	if (pkt->mask & (RXE_READ_OR_ATOMIC_MASK | RXE_ATOMIC_WRITE_MASK)) {
+	if (pkt->mask & (RXE_READ_OR_ATOMIC_MASK | RXE_ATOMIC_WRITE_MASK |
+			 RXE_FLUSH_MASK)) {
		if (likely(qp->attr.max_dest_rd_atomic > 0)) return RESPST_CHK_LENGTH;
		else return E;
	}
@@
@@
	res->flush.level = feth_sel(pkt);
+	res->first_psn = pkt->psn;
+	res->last_psn = pkt->psn;
+	res->cur_psn = pkt->psn;
