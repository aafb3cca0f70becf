// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -0 +1
//
// rxe: begin anew with what is due when a request is repeated
@@
@@
	req_retry(qp);
+	rxe_hold_restart(qp);
