package session

import (
	"errors"
	"testing"

	"wsify/broker"
)

// A member gets the content without its head. Nothing is delivered when the head cannot be read.
func TestAHeadIsNotContent(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("news")
	for _, tc := range []struct {
		content string
		want    error
	}{
		{"\x00 {\"user\":\"ann\"}\n1", nil},
		{"\x00 {\n2", broker.ErrHead},
		{"\x00e-3-2 \n3", nil},
		{"4", nil},
	} {
		if _, _, err := srv.broker.Publish(nil, []byte("news"), []byte(tc.content), nil); !errors.Is(err, tc.want) {
			t.Errorf("Publish(%q): %v, want %v", tc.content, err, tc.want)
		}
	}
	for _, want := range []string{"1", "3", "4"} {
		p.expectText(want)
	}
}
