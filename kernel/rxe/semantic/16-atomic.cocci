// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -2 +2
//
// rxe: let atomics and ATOMIC WRITE wait for their page
//
// The repeated request must not find the half-made reply of the first.
@@
expression E1, E2;
@@
	if (is_odp_mr(mr))
		err = E1;
	else
		err = E2;
	if (err)
-		return err;
+		return rxe_odp_resp_state(qp, err);
