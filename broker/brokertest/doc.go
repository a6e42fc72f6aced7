// Package brokertest has what the tests of all brokers need: a node that records its log and the
// publications that it delivers.
package brokertest
