// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_qp.c
// Lines: -0 +1
//
// rxe: begin without bound memory windows
@@
@@
	spin_lock_init(&qp->state_lock);
+	INIT_LIST_HEAD(&qp->mws);
