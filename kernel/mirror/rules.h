/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The rules that a mirror must not break, one by one breakable.
 *
 * A build with -DMIRROR_BREAK_NAME ignores the rule NAME, and `odplab test
 * mutation/` shows for each that a named test notices. Otherwise every
 * ODP_RULE() is a constant, and nothing of this is in the module.
 *
 * RETRY	what was seen is published only if nothing went meanwhile
 * DROP		an invalidation drops the entries in its range
 * DROP_WRITE	PROTECTION_PAGE and SOFT_DIRTY take write permission away
 * KEEP_READ	and nothing else
 * NEED_WRITE	a write needs an entry with write permission
 * DIRTY	a written page is dirty before its chunk is unlocked
 * CLEAN_AROUND	neighbours are mapped along, never dirtied along
 * LOCKED_COPY	the chunk is locked while the actor runs
 * RETIRE	a chunk without pages and faults goes
 * RETIRE_EMPTY	and no other
 * REFUSE	memory that is not for devices is not shown to them
 * BOUNDS	an access is inside its window
 * SHOOT_DOWN	a device forgets an address before it is unmapped
 * UNMAP	and whatever was mapped is unmapped
 */
#ifndef ODP_MIRROR_RULES_H
#define ODP_MIRROR_RULES_H

#include <linux/kconfig.h>

#define ODP_RULE(rule)		(!__is_defined(MIRROR_BREAK_##rule))

#endif /* ODP_MIRROR_RULES_H */
