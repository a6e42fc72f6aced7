//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is tcpkali's report at the end.
func (k *kali) report(w io.Writer, took time.Duration) {
	sent, received, seconds := k.sent.Load(), k.received.Load(), took.Seconds()
	fmt.Fprintf(w, "Total data sent:     %s (%d bytes)\n", expressBytes(sent), sent)
	fmt.Fprintf(w, "Total data received: %s (%d bytes)\n", expressBytes(received), received)
	each := float64(sent+received) / seconds / float64(k.connections)
	fmt.Fprintf(w, "Bandwidth per channel: %.3f⇅ Mbps (%.1f kBps)\n", 8*each/1e6, each/1e3)
	fmt.Fprintf(w, "Aggregate bandwidth: %.3f↓, %.3f↑ Mbps\n", 8*float64(received)/seconds/1e6, 8*float64(sent)/seconds/1e6)
	fmt.Fprintf(w, "Packet rate estimate: 1.0↓, 1.0↑ (1↓, 1↑ TCP MSS/op)\n")
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, title := range []string{"TCP connect", "First byte", "Message"} {
		if len(k.latencies[title]) > 0 {
			k.reportLatency(w, title)
		}
	}
	fmt.Fprintf(w, "Test duration: %s s.\n", strconv.FormatFloat(seconds, 'g', 6, 64))
}

func (k *kali) reportLatency(w io.Writer, title string) {
	all := slices.Sorted(slices.Values(k.latencies[title]))
	asked := strings.Split(k.flags["--latency-percentiles"], ",")
	var values []string
	for _, p := range asked {
		share, _ := strconv.ParseFloat(p, 64)
		at := all[min(int(share/100*float64(len(all))), len(all)-1)]
		values = append(values, fmt.Sprintf("%.1f", at.Seconds()*1000))
	}
	fmt.Fprintf(w, "%s latency at percentiles: %s ms (%s%%)\n", title, strings.Join(values, "/"), strings.Join(asked, "/"))
}

func expressBytes(n int64) string {
	switch {
	case n < 2048:
		return fmt.Sprintf("%d bytes", n)
	case n < 512<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/1024)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1024*1024))
}
