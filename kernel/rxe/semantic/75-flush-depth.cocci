// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -1 +1
//
// rxe: count a FLUSH as outstanding
//
// It takes a responder resource as a READ or an atomic does, hence took that of an
// atomic whose answer was lost, which then could not be repeated.
@@
@@
	mask & (RXE_READ_OR_ATOMIC_MASK |
-		RXE_ATOMIC_WRITE_MASK
+		RXE_ATOMIC_WRITE_MASK | RXE_FLUSH_MASK
	       )
