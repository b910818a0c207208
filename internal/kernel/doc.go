// Package kernel answers what the running Linux kernel is, has, allows and refuses, and opens its file systems without mounting
// them anywhere. It changes nothing and leaves nothing behind. Requires at least Linux 5.2 for access without mounts.
package kernel
