/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * /dev/odp_mirror_test: a device without hardware on the mirror core.
 *
 * An open file is a device of its own. A window on it shows it a part of the
 * address space of the process that made the window, and commands access memory
 * through the window as a page-faulting device would: from the kernel, by iova,
 * whatever the process that calls has mapped itself.
 *
 * Each command is an ioctl() on a structure that begins with its own @size in
 * bytes. A structure may grow at its end: one that is as long as in an earlier
 * version is taken as if what it lacks were 0, and a longer one than this
 * kernel knows is accepted while the rest of it is 0. Reserved members and
 * unknown flags have to be 0. Members that are "out" are not looked at.
 *
 * Meaning of errno, for all commands:
 *
 * EFAULT: the structure or a buffer of the caller is not accessible
 * E2BIG: the structure has members that this kernel does not know and that are
 *	not 0
 * EINVAL: a member has a value that it may not have; @size is that of no version
 * ENOENT: no window, or no run, with that number
 * ERANGE: not inside the window
 * EACCES: the window's owner has nothing there that may be accessed so (no
 *	mapping, no permission, past the end of a file, a damaged page), or it
 *	has exited
 * EAGAIN: the page did not come within the time that was given; it may still
 * ENOMEM: no memory
 * EOPNOTSUPP: not persistent memory, for a flush
 * EIO: a DMA address that the core gave is not one, see @errors in
 *	&struct odp_test_dma_stats
 * EINTR: a fatal signal
 * ENOTTY: no such command
 *
 * After an error of an access, a part of the range may have been accessed.
 */
#ifndef _UAPI_LINUX_ODP_MIRROR_TEST_H
#define _UAPI_LINUX_ODP_MIRROR_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ODP_TEST_TYPE	'O'

/* The most that one command takes; see the members that they are named after. */
#define ODP_TEST_THREADS_MAX	64
#define ODP_TEST_WORDS_MAX	512
#define ODP_TEST_ROUNDS_MAX	65536
#define ODP_TEST_BARE_PAGES_MAX	512

/**
 * enum odp_test_window_flags - how a window is made
 * @ODP_TEST_WINDOW_WHOLE: the whole address space, iova = va; @iova, @va and
 *	@length have to be 0
 * @ODP_TEST_WINDOW_DMA: as a driver does that maps pages for DMA: accesses go
 *	through addresses of the device's own, and each mapping is accounted for,
 *	see &struct odp_test_dma_stats. Such windows have mirrors of their own.
 */
enum odp_test_window_flags {
	ODP_TEST_WINDOW_WHOLE	= 1 << 0,
	ODP_TEST_WINDOW_DMA	= 1 << 1,
};

/**
 * struct odp_test_window_create - ODP_TEST_WINDOW_CREATE
 * @size: of this structure
 * @flags: &enum odp_test_window_flags
 * @iova: in: first address as the commands name it
 * @va: in: first address in the caller's address space; nothing needs to be
 *	mapped there
 * @length: in: bytes, not 0; neither range may wrap (EINVAL)
 * @window: out: the number of the window, on this file
 * @reserved: 0
 *
 * The window belongs to the address space of the caller. It stays when that is
 * gone (exit, exec); access is EACCES then. Closing the file destroys it.
 */
struct odp_test_window_create {
	__u32 size;
	__u32 flags;
	__aligned_u64 iova;
	__aligned_u64 va;
	__aligned_u64 length;
	__u32 window;
	__u32 reserved;
};

/**
 * struct odp_test_window_destroy - ODP_TEST_WINDOW_DESTROY
 * @size: of this structure
 * @window: in: its number, which may be given to a new window afterwards
 *
 * Commands that run on the window go on, and so do threads, which keep the
 * window until they are stopped.
 */
struct odp_test_window_destroy {
	__u32 size;
	__u32 window;
};

/**
 * struct odp_test_access - ODP_TEST_READ, ODP_TEST_WRITE, ODP_TEST_FLUSH
 * @size: of this structure
 * @window: in: where
 * @iova: in: first address
 * @length: in: bytes; 0 does nothing
 * @intent: in: bytes from @iova on that the caller is going to access with this
 *	and later commands; sizes the faults. Less than @length counts as
 *	@length.
 * @buffer: in: address of @length bytes of the caller's, read into or written
 *	from; 0 for a flush
 * @timeout_ms: in: how long a page may take to come; 0 tries once
 * @retries: out: how often the core said that a page had not come
 * @done: out: bytes accessed, also when an error ended it
 *
 * A flush writes the CPU's caches back to persistent memory.
 */
struct odp_test_access {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 intent;
	__aligned_u64 buffer;
	__u32 timeout_ms;
	__u32 retries;
	__aligned_u64 done;
};

/**
 * enum odp_test_atomic_op - what is done to 8 bytes, in one step
 * @ODP_TEST_FETCH_ADD: add @operand
 * @ODP_TEST_COMPARE_SWAP: store @operand if the value is @compare
 *
 * Atomic against the CPUs too, in their byte order.
 */
enum odp_test_atomic_op {
	ODP_TEST_FETCH_ADD,
	ODP_TEST_COMPARE_SWAP,
};

/**
 * struct odp_test_atomic - ODP_TEST_ATOMIC
 * @size: of this structure
 * @window: in: where
 * @iova: in: the address; the va behind it has to be a multiple of 8 (EINVAL)
 * @op: in: &enum odp_test_atomic_op
 * @timeout_ms: in: as in &struct odp_test_access
 * @operand: in: see there
 * @compare: in: see there; 0 for ODP_TEST_FETCH_ADD
 * @old: out: the value before
 */
struct odp_test_atomic {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__u32 op;
	__u32 timeout_ms;
	__aligned_u64 operand;
	__aligned_u64 compare;
	__aligned_u64 old;
};

/**
 * enum odp_test_prefetch_mode - what a prefetch may do to the owner
 * @ODP_TEST_PREFETCH_READ: fault pages in for reading
 * @ODP_TEST_PREFETCH_WRITE: fault pages in for writing
 * @ODP_TEST_PREFETCH_PRESENT: take what is present
 */
enum odp_test_prefetch_mode {
	ODP_TEST_PREFETCH_READ,
	ODP_TEST_PREFETCH_WRITE,
	ODP_TEST_PREFETCH_PRESENT,
};

/**
 * enum odp_test_prefetch_flags - how a prefetch is done
 * @ODP_TEST_PREFETCH_WAIT: return when it has ended, with its error
 */
enum odp_test_prefetch_flags {
	ODP_TEST_PREFETCH_WAIT	= 1 << 0,
};

/**
 * struct odp_test_prefetch - ODP_TEST_PREFETCH
 * @size: of this structure
 * @window: in: where
 * @iova: in: first address
 * @length: in: bytes, not 0
 * @mode: in: &enum odp_test_prefetch_mode
 * @flags: in: &enum odp_test_prefetch_flags
 */
struct odp_test_prefetch {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__aligned_u64 length;
	__u32 mode;
	__u32 flags;
};

/**
 * enum odp_test_threads_flags - what threads do, at least one of it
 * @ODP_TEST_THREADS_READ: read
 * @ODP_TEST_THREADS_WRITE: write the words that belong there
 * @ODP_TEST_THREADS_VERIFY: compare what is read; needs READ
 * @ODP_TEST_THREADS_ZERO: bytes that are 0 are right as well, for memory that is
 *	given back meanwhile: an access is not atomic, so a word that another
 *	thread writes anew may be seen in part
 *
 * With both READ and WRITE each access is one of them, at random.
 */
enum odp_test_threads_flags {
	ODP_TEST_THREADS_READ	= 1 << 0,
	ODP_TEST_THREADS_WRITE	= 1 << 1,
	ODP_TEST_THREADS_VERIFY	= 1 << 2,
	ODP_TEST_THREADS_ZERO	= 1 << 3,
};

/* The 8-byte word that belongs at @iova, which is a multiple of 8. */
#define ODP_TEST_WORD(seed, iova) \
	((((iova) >> 3) + (seed) + 1) * 0x9e3779b97f4a7c15ULL)

/**
 * struct odp_test_threads_start - ODP_TEST_THREADS_START
 * @size: of this structure
 * @window: in: where
 * @iova: in: first address of the range that is accessed; a multiple of 8
 * @length: in: its bytes; a multiple of 8
 * @seed: in: of the words and of the offsets
 * @nthreads: in: kernel threads, 1 to ODP_TEST_THREADS_MAX
 * @flags: in: &enum odp_test_threads_flags
 * @nwords: in: words in an access, 1 to ODP_TEST_WORDS_MAX
 * @pause_us: in: pause between two accesses of a thread, in microseconds
 * @run: out: the number of the run, on this file
 * @reserved: 0
 *
 * Threads access @nwords words at a random offset, until they are stopped by
 * ODP_TEST_THREADS_STOP or by the last close of the file. An access that has no
 * page yet, or may not have one, is counted, and the thread tries another
 * offset a moment later.
 */
struct odp_test_threads_start {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 seed;
	__u32 nthreads;
	__u32 flags;
	__u32 nwords;
	__u32 pause_us;
	__u32 run;
	__u32 reserved;
};

/**
 * struct odp_test_threads - ODP_TEST_THREADS_COUNT, ODP_TEST_THREADS_STOP
 * @size: of this structure
 * @run: in: the run
 * @ok: out: accesses that succeeded
 * @retries: out: accesses that were not possible yet (EAGAIN, ENOMEM)
 * @faults: out: accesses that were refused (EACCES)
 * @errors: out: accesses that failed otherwise; there should be none
 * @mismatches: out: words that were wrong
 * @bad_iova: out: where the first of them was, if @mismatches is not 0
 * @bad_expected: out: what belongs there
 * @bad_found: out: what was there
 *
 * Stopping frees the run; its number may be given to a new one.
 */
struct odp_test_threads {
	__u32 size;
	__u32 run;
	__aligned_u64 ok;
	__aligned_u64 retries;
	__aligned_u64 faults;
	__aligned_u64 errors;
	__aligned_u64 mismatches;
	__aligned_u64 bad_iova;
	__aligned_u64 bad_expected;
	__aligned_u64 bad_found;
};

/**
 * enum odp_test_bench_op - what is measured
 * @ODP_TEST_BENCH_EMPTY: nothing, that is, the measuring itself
 * @ODP_TEST_BENCH_READ: a read through the mirror: a hit where pages are
 *	mirrored, a fault where they are cold
 * @ODP_TEST_BENCH_WRITE: the same, writing zeros
 * @ODP_TEST_BENCH_BARE_READ: hmm_range_fault() of the page for reading, into a
 *	private array, with an interval notifier that is there already: the least
 *	that a fault takes
 * @ODP_TEST_BENCH_BARE_WRITE: the same for writing
 * @ODP_TEST_BENCH_COPY: a copy of as many bytes inside the kernel: the least
 *	that a hit takes
 */
enum odp_test_bench_op {
	ODP_TEST_BENCH_EMPTY,
	ODP_TEST_BENCH_READ,
	ODP_TEST_BENCH_WRITE,
	ODP_TEST_BENCH_BARE_READ,
	ODP_TEST_BENCH_BARE_WRITE,
	ODP_TEST_BENCH_COPY,
};

/**
 * struct odp_test_bench - ODP_TEST_BENCH
 * @size: of this structure
 * @window: in: where
 * @iova: in: address of the first round
 * @stride: in: bytes from a round's address to the next one's
 * @intent: in: as in &struct odp_test_access; a BARE round faults the pages of
 *	that many bytes, which are at most those of ODP_TEST_BARE_PAGES_MAX
 * @length: in: bytes that a round accesses, 1 to one page
 * @op: in: &enum odp_test_bench_op
 * @rounds: in: 1 to ODP_TEST_ROUNDS_MAX
 * @timeout_ms: in: as in &struct odp_test_access
 * @cycles: in: address of @rounds 64-bit numbers, what each round took, in
 *	order; or 0
 * @minimum: out: cycles of the shortest round
 * @median: out: of the middle one; of an even number, the later of two
 * @maximum: out: of the longest one
 * @retries: out: how often a page had not come; the time of a round is that of
 *	all its tries
 * @reserved: 0
 *
 * All rounds have to be in the window (ERANGE). Cycles are the processor's time
 * stamp counter, read when what comes before is done. A BARE round works on the
 * address space of the window's owner from the caller's context.
 */
struct odp_test_bench {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__aligned_u64 stride;
	__aligned_u64 intent;
	__u32 length;
	__u32 op;
	__u32 rounds;
	__u32 timeout_ms;
	__aligned_u64 cycles;
	__aligned_u64 minimum;
	__aligned_u64 median;
	__aligned_u64 maximum;
	__u32 retries;
	__u32 reserved;
};

/**
 * enum odp_test_page_flags - what the mirror has for a page
 * @ODP_TEST_PAGE_PRESENT: it can be read without a fault
 * @ODP_TEST_PAGE_WRITE: and written
 * @ODP_TEST_PAGE_PMEM: it is persistent memory
 */
enum odp_test_page_flags {
	ODP_TEST_PAGE_PRESENT	= 1 << 0,
	ODP_TEST_PAGE_WRITE	= 1 << 1,
	ODP_TEST_PAGE_PMEM	= 1 << 2,
};

/**
 * struct odp_test_page - one page in a snapshot
 * @flags: &enum odp_test_page_flags
 * @order: log2 of the number of pages that its entry describes
 * @reserved: 0
 */
struct odp_test_page {
	__u8 flags;
	__u8 order;
	__u16 reserved;
};

/**
 * struct odp_test_snapshot - ODP_TEST_SNAPSHOT
 * @size: of this structure
 * @window: in: where
 * @iova: in: in the first page
 * @npages: in: pages of the owner's, all of them in the window (ERANGE)
 * @pages: in: address of @npages &struct odp_test_page
 *
 * Looks at the mirror only: nothing is faulted in. Each page is as it was at
 * one moment, and not all of them at the same.
 */
struct odp_test_snapshot {
	__u32 size;
	__u32 window;
	__aligned_u64 iova;
	__aligned_u64 npages;
	__aligned_u64 pages;
};

/**
 * struct odp_test_stats - ODP_TEST_STATS
 * @size: of this structure
 * @window: in: a window of the mirror that is asked about
 * @chunks: out: chunks that there are, each with one notifier
 * @pages: out: pages that are usable
 * @table_bytes: out: bytes of chunks and tables
 * @windows: out: windows on the mirror
 * @faults: out: faults: absent memory that mm was asked to bring in. This and
 *	all that follow count from the first window on.
 * @faults_queued: out: those of them that had to wait
 * @pages_mapped: out: pages that became usable
 * @snapshots: out: look-ups of what the owner has present
 * @prefetches: out: prefetch requests
 * @invalidations: out: notifier callbacks that took something away
 * @callbacks: out: notifier callbacks
 * @pages_dropped: out: pages that became unusable
 * @write_dropped: out: pages that lost write permission alone
 * @collisions: out: faults thrown away because of an invalidation
 * @retries: out: accesses that came back for a page that had gone again
 * @busy: out: accesses that ended with "not yet"
 * @errors: out: faults that mm refused
 * @chunks_created: out: chunks made
 * @huge_mapped: out: huge entries made
 * @tables_reclaimed: out: tables given back because memory was short
 * @pages_flushed: out: pages written back from the CPU's caches
 *
 * All windows that a process makes on a file share one mirror, but for those
 * with ODP_TEST_WINDOW_DMA, which share another.
 */
struct odp_test_stats {
	__u32 size;
	__u32 window;
	__aligned_u64 chunks;
	__aligned_u64 pages;
	__aligned_u64 table_bytes;
	__aligned_u64 windows;
	__aligned_u64 faults;
	__aligned_u64 faults_queued;
	__aligned_u64 pages_mapped;
	__aligned_u64 snapshots;
	__aligned_u64 prefetches;
	__aligned_u64 invalidations;
	__aligned_u64 callbacks;
	__aligned_u64 pages_dropped;
	__aligned_u64 write_dropped;
	__aligned_u64 collisions;
	__aligned_u64 retries;
	__aligned_u64 busy;
	__aligned_u64 errors;
	__aligned_u64 chunks_created;
	__aligned_u64 huge_mapped;
	__aligned_u64 tables_reclaimed;
	__aligned_u64 pages_flushed;
};

/**
 * struct odp_test_dma_stats - ODP_TEST_DMA_STATS
 * @size: of this structure
 * @reserved: 0
 * @maps: out: pages and huge pages that the core mapped
 * @unmaps: out: those that it unmapped
 * @live: out: those that are mapped now
 * @invalidates: out: ranges that the device was told to forget
 * @errors: out: what must not be: an unmap of what is not mapped, or with
 *	another order or permission; one without an invalidate since the map; an
 *	access at an address that is not mapped, or not for writing
 *
 * Of all windows with ODP_TEST_WINDOW_DMA on the file, also those that are
 * gone. When their mirrors are gone too, @live is 0.
 */
struct odp_test_dma_stats {
	__u32 size;
	__u32 reserved;
	__aligned_u64 maps;
	__aligned_u64 unmaps;
	__aligned_u64 live;
	__aligned_u64 invalidates;
	__aligned_u64 errors;
};

#define ODP_TEST_WINDOW_CREATE	_IO(ODP_TEST_TYPE, 0x40)
#define ODP_TEST_WINDOW_DESTROY	_IO(ODP_TEST_TYPE, 0x41)
#define ODP_TEST_READ		_IO(ODP_TEST_TYPE, 0x42)
#define ODP_TEST_WRITE		_IO(ODP_TEST_TYPE, 0x43)
#define ODP_TEST_FLUSH		_IO(ODP_TEST_TYPE, 0x44)
#define ODP_TEST_ATOMIC		_IO(ODP_TEST_TYPE, 0x45)
#define ODP_TEST_PREFETCH	_IO(ODP_TEST_TYPE, 0x46)
#define ODP_TEST_THREADS_START	_IO(ODP_TEST_TYPE, 0x47)
#define ODP_TEST_THREADS_COUNT	_IO(ODP_TEST_TYPE, 0x48)
#define ODP_TEST_THREADS_STOP	_IO(ODP_TEST_TYPE, 0x49)
#define ODP_TEST_BENCH		_IO(ODP_TEST_TYPE, 0x4a)
#define ODP_TEST_SNAPSHOT	_IO(ODP_TEST_TYPE, 0x4b)
#define ODP_TEST_STATS		_IO(ODP_TEST_TYPE, 0x4c)
#define ODP_TEST_DMA_STATS	_IO(ODP_TEST_TYPE, 0x4d)

#endif /* _UAPI_LINUX_ODP_MIRROR_TEST_H */
