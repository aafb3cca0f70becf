// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_loc.h
// Lines: -1 +0
//
// rxe: remove the declaration of rxe_lookup_mw()
@@
@@
-struct rxe_mw *rxe_lookup_mw(...);
