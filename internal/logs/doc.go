// Package logs keeps a program's log from holding up or ending the program.
//
// A Writer takes lines and never waits: one goroutine writes them, and lines that find
// its queue full are dropped, counted and reported. Stderr makes standard error a file
// that a stopped reader cannot block. Seldom limits how often a fault is logged that
// strangers or the kernel may cause without end.
package logs
