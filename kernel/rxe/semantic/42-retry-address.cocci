// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -2 +2
//
// rxe: repeat an ATOMIC WRITE and a FLUSH where they were meant
//
// After an RNR NAK they went out for address 0. And what a repeated request
// skips is bounded by its queue, not by what user space says.
@@
@@
	(mask &
-	WR_READ_OR_WRITE_MASK
+	(WR_READ_OR_WRITE_MASK | WR_ATOMIC_WRITE_MASK | WR_FLUSH_MASK)
	) ? wqe->wr.wr.rdma.remote_addr : 0
@@
expression N;
@@
-	advance_dma_data(&wqe->dma, N);
+	rxe_skip_wqe(&wqe->dma, qp->sq.max_sge, N);
