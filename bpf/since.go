package bpf

import "github.com/cilium/ebpf"

// hookSince is the first kernel that has a hook, where the program type alone does not tell.
var hookSince = map[Hook]version{
	HookTPBTF: {5, 5}, HookFentry: {5, 5}, HookFexit: {5, 5}, HookFmodRet: {5, 7}, HookFreplace: {5, 6},
	HookLSM: {5, 7}, HookLSMCgroup: {6, 0}, HookIter: {5, 8}, HookStructOps: {5, 6},
	HookKprobeMulti: {5, 18}, HookKretMulti: {5, 18}, HookKprobeSession: {6, 10},
	HookUprobeMulti: {6, 6}, HookUretMulti: {6, 6}, HookUprobeSession: {6, 13},
	HookTCX: {6, 6}, HookNetkit: {6, 7}, HookNetfilter: {6, 4},
	HookSkLookup: {5, 9}, HookSyscall: {5, 14}, HookXDP: {4, 8},
}

// programSince is the first kernel that has a program type.
var programSince = map[ebpf.ProgramType]version{
	ebpf.SocketFilter: {3, 19}, ebpf.Kprobe: {4, 1}, ebpf.SchedCLS: {4, 1}, ebpf.SchedACT: {4, 1}, ebpf.TracePoint: {4, 7},
	ebpf.XDP: {4, 8}, ebpf.PerfEvent: {4, 9}, ebpf.CGroupSKB: {4, 10}, ebpf.CGroupSock: {4, 10}, ebpf.LWTIn: {4, 10},
	ebpf.LWTOut: {4, 10}, ebpf.LWTXmit: {4, 10}, ebpf.SockOps: {4, 13}, ebpf.SkSKB: {4, 14}, ebpf.CGroupDevice: {4, 15},
	ebpf.SkMsg: {4, 17}, ebpf.RawTracepoint: {4, 17}, ebpf.CGroupSockAddr: {4, 17}, ebpf.LWTSeg6Local: {4, 18},
	ebpf.LircMode2: {4, 18}, ebpf.SkReuseport: {4, 19}, ebpf.FlowDissector: {4, 20}, ebpf.CGroupSysctl: {5, 2},
	ebpf.RawTracepointWritable: {5, 2}, ebpf.CGroupSockopt: {5, 3}, ebpf.Tracing: {5, 5}, ebpf.StructOps: {5, 6},
	ebpf.Extension: {5, 6}, ebpf.LSM: {5, 7}, ebpf.SkLookup: {5, 9}, ebpf.Syscall: {5, 14}, ebpf.Netfilter: {6, 4},
}

// mapSince is the first kernel that has a map type.
var mapSince = map[ebpf.MapType]version{
	ebpf.Hash: {3, 19}, ebpf.Array: {3, 19}, ebpf.ProgramArray: {4, 2}, ebpf.PerfEventArray: {4, 3}, ebpf.PerCPUHash: {4, 6},
	ebpf.PerCPUArray: {4, 6}, ebpf.StackTrace: {4, 6}, ebpf.CGroupArray: {4, 8}, ebpf.LRUHash: {4, 10}, ebpf.LRUCPUHash: {4, 10},
	ebpf.LPMTrie: {4, 11}, ebpf.ArrayOfMaps: {4, 12}, ebpf.HashOfMaps: {4, 12}, ebpf.DevMap: {4, 14}, ebpf.SockMap: {4, 14},
	ebpf.CPUMap: {4, 15}, ebpf.XSKMap: {4, 18}, ebpf.SockHash: {4, 18}, ebpf.CGroupStorage: {4, 19},
	ebpf.ReusePortSockArray: {4, 19}, ebpf.PerCPUCGroupStorage: {4, 20}, ebpf.Queue: {4, 20}, ebpf.Stack: {4, 20},
	ebpf.SkStorage: {5, 2}, ebpf.DevMapHash: {5, 4}, ebpf.StructOpsMap: {5, 6}, ebpf.RingBuf: {5, 8}, ebpf.InodeStorage: {5, 10},
	ebpf.TaskStorage: {5, 11}, ebpf.BloomFilter: {5, 16}, ebpf.UserRingbuf: {6, 1}, ebpf.CgroupStorage: {6, 2}, ebpf.Arena: {6, 9},
}
