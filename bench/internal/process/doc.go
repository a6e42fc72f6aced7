//go:build linux

// Package process runs the programs that a measurement needs and reads what the
// kernel tells of them. It knows nothing of what they are.
//
// Whatever becomes of the caller, nothing stays behind: each child leads a process
// group, and the group is killed with it or after it. A caller that is killed itself
// takes its children along, though not what they started: the kernel signals only a
// child.
package process
