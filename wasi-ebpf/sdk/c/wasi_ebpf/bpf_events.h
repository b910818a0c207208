/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_ebpf/bpf_events.h: records from programs and to them, for wasi_ebpf/bpf.h, which includes it.
 */
#ifndef WASI_EBPF_BPF_EVENTS_H
#define WASI_EBPF_BPF_EVENTS_H

#include "bpf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A reader of ring buffers and perf arrays. Many records cross at once; bpf_next answers one. */
typedef struct bpf_events {
	char *at, *end;		/* the frames in buf that were not answered yet */
	uint32_t size;		/* bytes of the record that was answered last */
	uint16_t source;	/* its source, as bpf_events_add numbered it; the first is 0 */
	uint16_t flags;		/* EBPF_FRAME_TRUNCATED if it was longer (only with EBPF_EVENTS_TRUNCATE) */
	uint64_t lost;		/* records that the kernel could not store, so far */
	int32_t err;		/* why bpf_next answered NULL last: 0 is a time-out */
	ebpf_events handle;
	uint32_t room;		/* bytes in buf */
	char *buf;		/* 8-byte aligned */
} bpf_events;

EBPF_ASSERT(offsetof(bpf_events, flags) - offsetof(bpf_events, size) == offsetof(struct ebpf_frame, flags));

enum { BPF_EVENTS_ROOM = 64 * 1024 };

/* Closes a reader. NULL is none. */
static inline void bpf_events_close(bpf_events *ev)
{
	if (!ev)
		return;
	bpf_close(ev->handle);
	free(ev->buf);
	free(ev);
}

/* Opens a reader without sources. Returns NULL on an error. */
static inline bpf_events *bpf_events_new(void)
{
	bpf_events *ev = (bpf_events *)bpf_i_alloc(sizeof *ev);
	ebpf_errno err;

	if (!ev)
		return NULL;
	ev->room = BPF_EVENTS_ROOM;
	ev->buf = (char *)bpf_i_alloc(ev->room);
	err = ev->buf ? ebpf_events_open(&ev->handle) : EBPF_ENOMEM;
	if (!err)
		return ev;
	free(ev->buf);
	free(ev);
	return NULL;
}

/* Adds a ring buffer or perf array; opts may be NULL. Returns the source's number, or an error. */
static inline int32_t bpf_events_add(bpf_events *ev, bpf_map m, const struct ebpf_events_options *opts)
{
	uint32_t source = 0;

	return bpf_i_result(ebpf_events_add(ev->handle, m, opts, opts ? sizeof *opts : 0, &source),
			    (int32_t)source);
}

/* Opens a reader of one ring buffer or perf array of an object. Returns NULL on an error. */
static inline bpf_events *bpf_events_open(bpf_obj o, const char *map)
{
	bpf_map m = bpf_find_map(o, map);
	bpf_events *ev = bpf_err(m) ? NULL : bpf_events_new();

	if (ev && bpf_err(bpf_events_add(ev, m, NULL))) {
		bpf_events_close(ev);
		ev = NULL;
	}
	if (!bpf_err(m))
		bpf_close(m);
	return ev;
}

/* Internal: waits for records. Returns 0 if some are there. */
static inline int bpf_i_events_fill(bpf_events *ev, int32_t timeout_ms)
{
	struct ebpf_batch batch;
	ebpf_errno err;

	ev->at = ev->end = ev->buf;
	do {
		memset(&batch, 0, sizeof batch);
		err = ebpf_events_read(ev->handle, ev->buf, ev->room,
				       timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000, &batch,
				       sizeof batch);
		ev->lost += batch.lost;
		if (err == EBPF_EMSGSIZE && batch.need > ev->room) {
			free(ev->buf);
			ev->buf = (char *)bpf_i_alloc(batch.need);
			ev->room = ev->buf ? batch.need : 0;
			ev->at = ev->end = ev->buf;
			err = ev->buf ? EBPF_ESUCCESS : EBPF_ENOMEM;
			continue;
		}
	} while (!err && !batch.records && (timeout_ms < 0 || ev->room == 0));
	ev->err = -err;
	if (!err)
		ev->end += batch.bytes;
	return err || !batch.records;
}

/* Returns 1 if bpf_next answers without asking the host; 0 is the moment to write out what was printed. */
static inline int bpf_ready(const bpf_events *ev) { return ev && ev->at != ev->end; }

/*
 * Returns the next record, valid until the next call; ev->size is its length. The record is the
 * guest's own copy and may be changed. Waits for one up to timeout_ms, without limit if that is
 * negative. Returns NULL after the time-out (ev->err is then 0), when the host is stopping the guest
 * (-EBPF_EINTR: return from main), and on an error. With a limit it may also return NULL early, with
 * ev->err 0: when records were lost (ev->lost has grown), or when a record needed a larger buffer,
 * which the next call has.
 */
static inline void *bpf_next(bpf_events *ev, int32_t timeout_ms)
{
	struct ebpf_frame *f;

	if (!ev || (ev->at == ev->end && bpf_i_events_fill(ev, timeout_ms)))
		return NULL;
	f = (struct ebpf_frame *)(void *)ev->at;
	ev->at += (uint32_t)sizeof *f + ((f->size + 7) & ~7u);
	memcpy(&ev->size, f, sizeof *f);	/* size, source and flags are as in the frame */
	return f + 1;
}

/* Returns how many records the kernel could not store, as far as reads have told. */
static inline uint64_t bpf_lost(const bpf_events *ev) { return ev ? ev->lost : 0; }

/* Writes one record to a user ring buffer. Returns 0, -EBPF_EAGAIN if it has no room, or an error. */
static inline int32_t bpf_ring_write(bpf_map m, const void *data, uint32_t size)
{
	uint32_t padded = (size + 7) & ~7u, done = 0;
	struct ebpf_frame *f;
	ebpf_errno err;

	if (padded < size || !(f = (struct ebpf_frame *)bpf_i_alloc(sizeof *f + (size_t)padded)))
		return -EBPF_ENOMEM;
	f->size = size;
	memcpy(f + 1, data, size);
	err = ebpf_map_write_ring(m, f, (uint32_t)sizeof *f + padded, &done);
	free(f);
	return -err;
}

#ifdef __cplusplus
}
#endif

#endif
