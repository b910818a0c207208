/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_ebpf/bpf_map.h: the maps of wasi_ebpf/bpf.h, which includes it.
 *
 * The macros take pointers and give the host the size of what they point to, which must be that of
 * the map: uint32_t key; struct flow value; bpf_map_lookup(m, &key, &value). Arrays of bytes go
 * through the functions with sizes. All answer 0 or a negative error. Values of a per-CPU map are
 * one for each possible CPU, each padded to 8 bytes, unless one CPU is named.
 */
#ifndef WASI_EBPF_BPF_MAP_H
#define WASI_EBPF_BPF_MAP_H

#include "bpf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies the value of *key to *value; -EBPF_ENOENT if there is none. */
#define bpf_map_lookup(map, key, value) \
	(-ebpf_map_lookup((map), (key), sizeof *(key), (value), sizeof *(value), 0))

/* Sets the value of *key; flags are EBPF_UPDATE_*. */
#define bpf_map_update(map, key, value, flags) \
	(-ebpf_map_update((map), (key), sizeof *(key), (value), sizeof *(value), (flags)))

/* Removes *key; -EBPF_ENOENT if it is not there. */
#define bpf_map_delete(map, key) (-ebpf_map_delete((map), (key), sizeof *(key)))

/* Copies the value of *key to *value and removes the key, in one step. */
#define bpf_map_take(map, key, value) \
	(-ebpf_map_lookup_and_delete((map), (key), sizeof *(key), (value), sizeof *(value), 0))

/* Copies one CPU's value of *key; -EBPF_ERANGE if there are not so many CPUs. */
#define bpf_map_lookup_cpu(map, key, cpu, value)                                                \
	(-ebpf_map_lookup((map), (key), sizeof *(key), (value), sizeof *(value),                \
			  (uint64_t)(cpu) << 32 | EBPF_UPDATE_CPU))

/* Sets the value of *key to the same for every CPU. */
#define bpf_map_update_cpus(map, key, value) bpf_map_update(map, key, value, EBPF_UPDATE_ALL_CPUS)

/* Appends to a queue or stack, or adds to a Bloom filter; -EBPF_ETOOBIG if it is full. */
#define bpf_map_push(map, value) (-ebpf_map_push((map), (value), sizeof *(value), 0))

/* Takes the next value of a queue or stack; -EBPF_ENOENT if it is empty. */
#define bpf_map_pop(map, value) (-ebpf_map_pop((map), (value), sizeof *(value)))

/* Copies the next value of a queue or stack; of a Bloom filter, asks whether *value may be there. */
#define bpf_map_peek(map, value) (-ebpf_map_peek((map), (value), sizeof *(value)))

/*
 * Puts a program, map, socket or cgroup into a map that holds such: a program array, a map of maps,
 * a socket map, a cgroup array.
 */
#define bpf_map_put(map, key, handle) bpf_i_map_put((map), (key), sizeof *(key), (handle))

/*
 * Internal: bpf_map_put with the size of the key. The host looks at the first 4 bytes of the value;
 * socket maps may have values of 8.
 */
static inline int32_t bpf_i_map_put(bpf_map m, const void *key, uint32_t key_size, ebpf_handle h)
{
	ebpf_handle value[2] = { h, 0 };
	struct ebpf_map_info info;
	ebpf_errno err = ebpf_map_info(m, &info, sizeof info);

	return -(err ? err : ebpf_map_update(m, key, key_size, value, info.value_size > 4 ? 8 : 4, EBPF_UPDATE_ANY));
}

/* Makes a map without an object; type and flags are the kernel's BPF_MAP_TYPE_* and BPF_F_*. */
static inline bpf_map bpf_map_make(uint32_t type, uint32_t key_size, uint32_t value_size,
				   uint32_t max_entries, uint32_t flags, const char *name)
{
	struct ebpf_map_options opts;
	ebpf_map m = 0;

	memset(&opts, 0, sizeof opts);
	opts.type = type;
	opts.key_size = key_size;
	opts.value_size = value_size;
	opts.max_entries = max_entries;
	opts.flags = flags;
	return bpf_i_result(ebpf_map_create(&opts, sizeof opts, name, bpf_i_len(name), &m), m);
}

/* Describes a map. */
static inline int32_t bpf_map_describe(bpf_map m, struct ebpf_map_info *info)
{
	return -ebpf_map_info(m, info, sizeof *info);
}

/* Makes a map read-only for user space, for ever. */
static inline int32_t bpf_map_freeze(bpf_map m) { return -ebpf_map_freeze(m); }

/* Opens the map that a map of maps holds under *key. The caller closes it. */
#define bpf_map_inner(map, key) bpf_i_map_inner((map), (key), sizeof *(key))

/* Internal: bpf_map_inner with the size of the key. */
static inline bpf_map bpf_i_map_inner(bpf_map m, const void *key, uint32_t key_size)
{
	ebpf_map inner = 0;

	return bpf_i_result(ebpf_map_inner(m, key, key_size, &inner), inner);
}

/*
 * Walks over all entries of a map, many at a time:
 *	bpf_walk *w = bpf_walk_open(m);
 *	for (const uint32_t *k; (k = bpf_walk_next(w)); )
 *		printf("%u: %u\n", *k, *(const uint32_t *)bpf_walk_value(w));
 *	bpf_walk_close(w);
 * When nothing changes the map, each entry comes once.
 */
typedef struct bpf_walk {
	bpf_map map;
	uint32_t key_size, entry_size, cursor_size;
	uint32_t room;		/* entries that keys and values have room for */
	uint32_t cpus;		/* values of an entry: 1, or the number of possible CPUs */
	uint32_t count, at;	/* entries that are there, and which is next */
	int32_t err;		/* a negative error that ended the walk */
	int32_t take;		/* remove what is answered */
	char *cursor;		/* then keys and values, in memory of their own */
	char *keys, *values;
} bpf_walk;

/* Internal: makes room for so many entries. */
static inline int bpf_i_walk_room(bpf_walk *w, uint32_t room)
{
	free(w->keys);
	free(w->values);
	w->keys = (char *)bpf_i_alloc((size_t)room * w->key_size);
	w->values = (char *)bpf_i_alloc((size_t)room * w->entry_size);
	w->room = room;
	return w->keys && w->values;
}

/* Ends a walk. NULL is no walk. */
static inline void bpf_walk_close(bpf_walk *w)
{
	if (!w)
		return;
	free(w->cursor);
	free(w->keys);
	free(w->values);
	free(w);
}

/* Begins a walk. Returns NULL on an error. The handle of the map must stay open. */
static inline bpf_walk *bpf_walk_open(bpf_map m)
{
	struct ebpf_map_info info;
	bpf_walk *w;

	if (bpf_map_describe(m, &info) || !(w = (bpf_walk *)bpf_i_alloc(sizeof *w)))
		return NULL;
	w->map = m;
	w->key_size = info.key_size;
	w->entry_size = info.entry_size;
	w->cpus = info.values;
	w->cursor_size = info.cursor_size;
	w->cursor = (char *)bpf_i_alloc(info.cursor_size);
	if (w->cursor && bpf_i_walk_room(w, 256))
		return w;
	bpf_walk_close(w);
	return NULL;
}

/* As bpf_walk_open, but removes the entries that it answers. */
static inline bpf_walk *bpf_walk_take(bpf_map m)
{
	bpf_walk *w = bpf_walk_open(m);

	if (w)
		w->take = 1;
	return w;
}

/* Internal: gets the next entries. */
static inline ebpf_errno bpf_i_walk_fill(bpf_walk *w)
{
	ebpf_errno (*batch)(ebpf_map, void *, uint32_t, void *, uint32_t, void *, uint32_t, uint64_t,
			    uint32_t *) = w->take ? ebpf_map_lookup_and_delete_batch : ebpf_map_lookup_batch;

	return batch(w->map, w->cursor, w->cursor_size, w->keys, w->room * w->key_size, w->values,
		     w->room * w->entry_size, 0, &w->count);
}

/*
 * Returns the key of the next entry, valid until the next call, or NULL after the last one and on an
 * error (see bpf_walk_err).
 */
static inline const void *bpf_walk_next(bpf_walk *w)
{
	ebpf_errno err;

	if (!w || w->err)
		return NULL;
	if (w->at == w->count) {
		w->at = w->count = 0;
		for (;;) {
			err = bpf_i_walk_fill(w);
			if (err == EBPF_EAGAIN) /* nothing yet behind many empty places */
				continue;
			if (err != EBPF_ENOSPC || w->room >= 1 << 24)
				break;
			/* A bucket of a hash map has more entries than there is room for. */
			if (!bpf_i_walk_room(w, w->room * 2)) {
				err = EBPF_ENOMEM;
				break;
			}
		}
		if (err) {
			w->err = -err;
			w->count = 0;
		}
		if (!w->count)
			return NULL;
	}
	return w->keys + w->key_size * w->at++;
}

/* Returns the value of the entry whose key was answered last. */
static inline const void *bpf_walk_value(const bpf_walk *w)
{
	return w->values + w->entry_size * (w->at - 1);
}

/* Of a per-CPU map: returns the value of one CPU, below w->cpus, of the entry whose key was answered last. */
static inline const void *bpf_walk_value_cpu(const bpf_walk *w, uint32_t cpu)
{
	return (const char *)bpf_walk_value(w) + w->entry_size / w->cpus * cpu;
}

/* Returns the negative error that ended a walk, or 0 if it came to its end. */
static inline int32_t bpf_walk_err(const bpf_walk *w) { return w ? w->err : -EBPF_ENOMEM; }

#ifdef __cplusplus
}
#endif

#endif
