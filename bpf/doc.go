// Package bpf loads BPF objects into the kernel, attaches their programs and talks to them through maps, ring buffers and
// perf buffers. It is a plain Go library over cilium/ebpf: it knows no Wasm and no policy.
//
//	spec, err := bpf.Open(file)                   // parse, no privilege needed
//	object, err := spec.Load(bpf.LoadOptions{})   // maps and programs, all or nothing
//	link, err := object.Attach(program, bpf.Target{})
//	ring, err := bpf.OpenRing(events)
//	for {
//		if _, err := ring.Wait(ctx, -1); err != nil { ... }
//		n, err := ring.Drain(0, func(record []byte) error { ... })
//	}
//	object.Close()                                // links, programs, maps
//
// Maps also live without an object: [CreateMap], [PinDir.OpenMap], [OpenSharedMap] and [Map.GetMap] give maps that their caller
// closes.
//
// So do programs: [LoadProgram] takes instructions that were made at run time, and [PinDir.OpenProgram] what was pinned. [Program.TestRun]
// runs one on a packet, [Program.Info] and [Link.Info] tell what the kernel knows, [KernelType] and [KernelField] what its types look
// like.
//
// What it adds: every record that the kernel could not store is counted ([Ring.Lost]), map operations, also batches of them, are one
// system call without allocation, records are read where the kernel wrote them or copied once ([Ring.ReadInto]), and errors name what
// is missing: a capability ([PermissionError]), something of the kernel ([UnsupportedError]) or the verifier's consent
// ([VerifierError]).
package bpf
