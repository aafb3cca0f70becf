// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -2 +2
//
// rxe: complete the work request that failed with its own status
//
// A work request that the requester could not execute, because its data may
// not be read for example, was flushed like those behind it.
@@
struct ib_uverbs_wc *uwc;
@@
-	uwc->status = IB_WC_WR_FLUSH_ERR;
+	uwc->status = wqe->state == wqe_state_error ? wqe->status :
+						      IB_WC_WR_FLUSH_ERR;
@@
struct ib_wc *wc;
@@
-	wc->status = IB_WC_WR_FLUSH_ERR;
+	wc->status = wqe->state == wqe_state_error ? wqe->status :
+						     IB_WC_WR_FLUSH_ERR;
