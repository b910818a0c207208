package abi

func mapFuncs() []Func {
	m := handle("map", "map", "The map.")
	key := in("key", "Exactly key_size bytes. Where the kernel takes a descriptor, a handle.", Bytes)
	value := in("value", "Exactly entry_size bytes; with the flag cpu or all_cpus, value_size. Where the kernel takes a descriptor, a handle.", Bytes)
	valueOut := in("value", "Receives exactly entry_size bytes; with the flag cpu, value_size.", Buffer)
	flags := in("flags", "Of update, and the kernel's others.", U64)
	cursor := in("cursor", "cursor_size bytes that the guest keeps between the calls. All zero is the beginning; else only what the last call left there.", InOut)
	keysOut := in("keys", "Receives keys, one after the other without padding.", Buffer)
	valuesOut := in("values", "Receives entry_size bytes for each key.", Buffer)
	count := in("out_count", "Receives the number of entries that were done.", OutU32)
	size := "INVAL: A key or value has the wrong length, or the type of map does not have this operation."
	closed := "CANCELED: The object of the map was closed."
	miss := "NOENT: There is no such key."
	noHandle := "BADF: A handle in place of a descriptor is not open, or of the wrong kind."
	small := "NOSPC: The next bucket of a hash map has more entries than there is room for. Nothing was written, the cursor is as it was: call again with more room."
	sparse := "AGAIN: Nothing was found yet behind many empty places, or the map changes all the time. The cursor has moved on: call again."
	return []Func{
		{
			Family: "map", Name: "map_create",
			Doc:    "Creates a map without an object. All types that the kernel has, but struct_ops.",
			Params: []Param{structure("options", "map_options", "What to create.", Struct), in("name", "At most 15 characters out of A-Z a-z 0-9 _ and .; may be empty.", Text), outHandle("map")},
			Errnos: cases("INVAL: The kernel does not take these sizes or flags for this type.", "TOOBIG: More entries than the kernel can take."),
		},
		{
			Family: "map", Name: "map_info",
			Doc:    "Describes a map.",
			Params: []Param{m, structure("out", "map_info", "Receives the description.", OutStruct)},
			Errnos: cases(closed),
		},
		{
			Family: "map", Name: "map_lookup",
			Doc:    "Copies the value of a key. In maps of maps and program arrays the value is the kernel's number of the map or program; see map_inner.",
			Params: []Param{m, key, valueOut, flags},
			Errnos: cases(miss, size, closed, noHandle, "RANGE: There is no such CPU."),
		},
		{
			Family: "map", Name: "map_update",
			Doc:    "Sets the value of a key. Where the kernel takes the descriptor of a map, a program, a socket or a cgroup, the guest writes a handle, in the same place.",
			Params: []Param{m, key, value, flags},
			Errnos: cases("EXIST: With noexist: the key is there.", "NOENT: With exist: the key is not there.", "TOOBIG: The map is full, or the index is outside of an array.", size, closed, noHandle, "PERM: The map is frozen.", "BUSY: The element is in use.", "RANGE: There is no such CPU."),
		},
		{
			Family: "map", Name: "map_delete",
			Doc:    "Removes a key.",
			Params: []Param{m, key},
			Errnos: cases(miss, size, closed, noHandle, "PERM: The map is frozen."),
		},
		{
			Family: "map", Name: "map_next_key",
			Doc:    "Answers the key that follows a key in the kernel's order, which is any order. A key that is not there any more starts at the beginning, so a loop over a map that others change needs a bound; map_lookup_batch does not have that problem.",
			Params: []Param{m, in("key", "The key before, or nothing (length 0) for the first one.", Bytes), in("next", "Receives exactly key_size bytes.", Buffer)},
			Errnos: cases("NOENT: There are no more.", size, closed),
		},
		{
			Family: "map", Name: "map_lookup_and_delete",
			Doc:    "Copies the value of a key and removes it in one step.",
			Params: []Param{m, key, valueOut, flags},
			Errnos: cases(miss, size, closed), Kernel: "4.20 for queues and stacks, 5.14 for hash maps",
		},
		{
			Family: "map", Name: "map_lookup_batch",
			Doc:    "Copies many entries: as many as fit whole into both buffers, at least one, and are there. When nothing changes the map, the calls from one beginning answer each entry once. After the last entry out_count is 0. On kernels without batches (before Linux 5.6), and for types without them, the host does the same with single calls.",
			Params: []Param{m, cursor, keysOut, valuesOut, flags, count},
			Errnos: cases(small, sparse, size, closed),
		},
		{
			Family: "map", Name: "map_lookup_and_delete_batch",
			Doc:    "As map_lookup_batch, and removes the entries that it answers.",
			Params: []Param{m, cursor, keysOut, valuesOut, flags, count},
			Errnos: cases(small, sparse, size, closed, "PERM: The map is frozen."),
		},
		{
			Family: "map", Name: "map_update_batch",
			Doc:    "Sets the values of many keys, in order, until one fails.",
			Params: []Param{m, in("keys", "Keys, one after the other.", Bytes), in("values", "entry_size bytes for each key.", Bytes), flags, count},
			Errnos: cases("TOOBIG: The map is full; out_count were stored.", size, closed, "PERM: The map is frozen."),
		},
		{
			Family: "map", Name: "map_delete_batch",
			Doc:    "Removes many keys, in order, until one fails.",
			Params: []Param{m, in("keys", "Keys, one after the other.", Bytes), flags, count},
			Errnos: cases("NOENT: A key is not there; out_count were removed before it.", size, closed, "PERM: The map is frozen."),
		},
		{
			Family: "map", Name: "map_push",
			Doc:    "Appends a value to a queue or a stack, or adds it to a Bloom filter.",
			Params: []Param{m, value, flags},
			Errnos: cases("TOOBIG: It is full; the flag exist drops the oldest value instead.", size, closed),
		},
		{
			Family: "map", Name: "map_pop",
			Doc:    "Takes the next value of a queue or a stack.",
			Params: []Param{m, valueOut},
			Errnos: cases("NOENT: It is empty.", size, closed),
		},
		{
			Family: "map", Name: "map_peek",
			Doc:    "Copies the next value of a queue or a stack and leaves it there. Of a Bloom filter: says whether the value may have been added.",
			Params: []Param{m, in("value", "Receives the value; of a Bloom filter, the value that is asked for.", InOut)},
			Errnos: cases("NOENT: It is empty; of a Bloom filter: the value was certainly not added.", size, closed),
		},
		{
			Family: "map", Name: "map_freeze",
			Doc:    "Makes the map read-only for user space, for ever. Programs may still write to it. Freezing it again is no error.",
			Params: []Param{m},
			Errnos: cases("BUSY: It is being written to, or its memory is mapped.", "NOTSUP: Maps of this type cannot be frozen.", closed), Kernel: "5.2",
		},
		{
			Family: "map", Name: "map_inner",
			Doc:    "Opens the map that a map of maps holds under a key.",
			Params: []Param{m, key, outHandle("map")},
			Errnos: cases(miss, size, closed),
		},
		{
			Family: "map", Name: "map_write_ring",
			Doc:    "Writes records to a user ring buffer, whose programs read them with bpf_user_ringbuf_drain.",
			Params: []Param{m, in("frames", "Records as events_read answers them: frame, data, padding. Source and flags do not count.", Bytes), in("out_records", "Receives how many were written.", OutU32)},
			Errnos: cases("AGAIN: There is no room for the next one; out_records are written.", "INVAL: A frame is damaged or larger than the ring, or the map is of another type; those before it are written.", "BUSY: Another handle of the same map writes.", closed), Kernel: "6.1",
		},
	}
}
