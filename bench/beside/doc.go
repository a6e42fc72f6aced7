//go:build linux

// Command beside runs the scripts of a load generator that others wrote, k6 or
// tcpkali, against wsify, then our own (bench/wsbench) on the same binary with the
// same load, and prints both side by side.
//
//	go run ./bench/beside k6
//	go run ./bench/beside -duration 30s -connections 500 k6
//	go run ./bench/beside tcpkali
//
// k6 is fetched through the Go module proxy into bin/tools when it is not there.
// tcpkali has to be on the PATH.
//
// Each script gets a server of its own, on a free port of the loopback with the
// memory broker. Whatever happens, the processes it started are gone when it ends.
//
// The exit code is 0 when all was well, 1 when something could not be run, 2 for a
// wrong command line, 3 when there is no tcpkali, 99 when k6 found something wrong:
// a threshold was missed.
package main
