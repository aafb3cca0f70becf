// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +2
//
// rxe: let go of the packet whose completion has no place
//
// And of its region, which the queue pair kept: deregistering it took 50 s, and
// destroying the queue pair used it after it was freed.
@end@
position p;
@@
	if (qp->resp.goto_error) {
		state@p = RESPST_ERROR;
		break;
	}
@@
position p != end.p;
@@
-	state@p = RESPST_ERROR;
+	qp->resp.goto_error = 1;
+	state = RESPST_CLEANUP;
