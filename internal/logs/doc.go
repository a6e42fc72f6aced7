// Package logs keeps a program's log from delaying or ending the program.
//
// A Writer queues lines and never waits: one goroutine writes them, and lines that do not fit in
// its queue are dropped, counted and reported. Stderr makes standard error a file that a stopped
// reader cannot block. Seldom limits how often a fault is logged that peers or the kernel may cause
// without end.
package logs
