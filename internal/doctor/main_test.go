package doctor

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// A run leaves nothing behind. The client that asks an authorizer keeps a goroutine for some
// seconds after it was closed.
func TestMain(m *testing.M) {
	code := m.Run()
	err := goleak.Find()
	for range 20 { // each takes about a second
		if err == nil {
			break
		}
		err = goleak.Find()
	}
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
