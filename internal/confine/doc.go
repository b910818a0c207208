// Package confine takes power away from this process for good: capabilities (Drop), the file system (Files); and it runs a command of
// its own in a child process that it can kill (Supervise). It knows nothing of plugins and policies.
package confine
