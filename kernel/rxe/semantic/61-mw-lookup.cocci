// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -22 +0
//
// rxe: remove rxe_lookup_mw()
//
// What it found was true only while nobody looked: it took no lock.
@@
@@
-rxe_lookup_mw(...)
-{ ... }
