package server

import (
	"log/slog"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

func TestTheStartWarnsOfAShortBacklog(t *testing.T) {
	for most, warns := range map[int]bool{0: false, 128: true, 4095: true, 4096: false, 65535: false} {
		book := &testtool.Log{}
		(&Server{log: slog.New(slog.NewTextHandler(book, nil))}).announceBacklog(most)
		if strings.Contains(book.String(), "somaxconn") != warns {
			t.Errorf("with %d the log has %q", most, book)
		}
	}
}
