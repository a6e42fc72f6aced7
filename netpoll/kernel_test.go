package netpoll

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// interest asks the kernel which events fd is registered for, without EPOLLERR and EPOLLHUP.
func interest(t testing.TB, l *Loop, fd int) (events uint32, registered bool) {
	t.Helper()
	for _, line := range fdinfo(t, epollFD(l)) {
		var number int
		if n, _ := fmt.Sscanf(line, "tfd: %d events: %x", &number, &events); n == 2 && number == fd {
			return events &^ (unix.EPOLLERR | unix.EPOLLHUP), true
		}
	}
	return 0, false
}

func fdinfo(t testing.TB, fd int) (lines []string) {
	t.Helper()
	f, err := os.Open("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	return lines
}

// epollFD is the descriptor of the loop's epoll instance.
func epollFD(l *Loop) int {
	if p, ok := l.poller.(*nativePoller); ok {
		return p.fd
	}
	return int(reflect.ValueOf(l.poller.(*easygoPoller).ep).Elem().FieldByName("fd").Int())
}

// registered is how many descriptors the loop has registered: in easygo's map, or
// in the kernel.
func registered(t testing.TB, l *Loop) (n int) {
	t.Helper()
	if p, ok := l.poller.(*easygoPoller); ok {
		return reflect.ValueOf(p.ep).Elem().FieldByName("callbacks").Len()
	}
	for _, line := range fdinfo(t, epollFD(l)) {
		if strings.HasPrefix(line, "tfd:") {
			n++
		}
	}
	return n
}
