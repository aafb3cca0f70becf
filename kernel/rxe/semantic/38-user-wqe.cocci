// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -6 +10
//
// rxe: do not trust a user's work request
//
// Inline data ends where the queue's elements end, an ATOMIC WRITE has eight
// bytes, and the region of a fast registration is a kernel's pointer.
@@
@@
-	u8 *tmp = &wqe->dma.inline_data[wqe->dma.sge_offset];
-	memcpy(payload_addr(pkt), tmp, payload);
-	wqe->dma.resid -= payload;
-	wqe->dma.sge_offset += payload;
+	err = rxe_copy_inline(qp, &wqe->dma, payload_addr(pkt), payload);
+	if (err)
+		return err;
@@
@@
	if (pkt->mask & RXE_ATOMIC_WRITE_MASK) {
+		if (payload > sizeof(u64))
+			return -EINVAL;
		memcpy(...);
		...
	}
@@
@@
+		if (qp->is_user) {
+			wqe->status = IB_WC_LOC_QP_OP_ERR;
+			return -EINVAL;
+		}
		ret = rxe_reg_fast_mr(qp, wqe);
