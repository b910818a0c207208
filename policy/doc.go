// Package policy says what a plugin may do. It is data and checks alone: it opens no files and knows nothing of the kernel or of Wasm.
//
// A [Grant] is one line of text. A [Policy] is a file of such lines, a [Manifest] what a plugin asks for, and [Effective] makes [Rights] out of
// both and of what the operator adds. [Rights.Check] answers whether an [Action] is allowed, with a [*Denied] that names the line to
// add. [Suggest] finds the lines for actions that were seen.
//
// The zero Policy grants nothing but standard input and output, the clock and random numbers. A line that denies wins over all others.
package policy
