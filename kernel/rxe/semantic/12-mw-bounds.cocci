// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +4
//
// rxe: check a remote access against its memory window
//
// The responder checked the range of the region below the window only, so
// that a peer with the key of a 4 KiB window reached all of the region: of an
// implicit one, the whole address space. A FLUSH of the whole region names no
// range.
@@
@@
	rxe_get(mr);
+	if (rxe_mw_check_range(mw, qp, pkt)) {
+		state = get_rkey_violation_state(pkt);
+		goto err;
+	}
	rxe_put(mw);
	mw = NULL;
