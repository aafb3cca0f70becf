// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -2 +2
//
// rxe: invalidate only a memory window that is bound, and to this queue pair
//
// A free one has no queue pair and no region to let go of. One that is bound to
// another is that one's: anybody with a queue pair on the device, and anybody at
// the other end of one, could take it away.
@@
@@
 rxe_check_invalidate_mw(...)
 {
-	if (unlikely(mw->state == RXE_MW_STATE_INVALID))
+	if (unlikely(mw->state != RXE_MW_STATE_VALID || mw->qp != qp))
		return -EINVAL;
	...
 }
@@
@@
-	rxe_err_mw
+	rxe_dbg_mw
	(mw, "access %#x not supported\n", ...);
