// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe.c
// Lines: -0 +4
//
// rxe: announce ODP of unreliable connections
//
// What is not there in time is a lost message, which is what these have.
@@
expression E;
@@
	E.per_transport_caps.ud_odp_caps |= IB_ODP_SUPPORT_SRQ_RECV;
+	E.per_transport_caps.uc_odp_caps |= IB_ODP_SUPPORT_SEND;
+	E.per_transport_caps.uc_odp_caps |= IB_ODP_SUPPORT_RECV;
+	E.per_transport_caps.uc_odp_caps |= IB_ODP_SUPPORT_WRITE;
+	E.per_transport_caps.uc_odp_caps |= IB_ODP_SUPPORT_SRQ_RECV;
