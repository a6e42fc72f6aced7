package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asProgram is the environment variable that makes this test binary the echo server
// itself, so that the tests run it as a user does, with the checks they are built with.
const asProgram = "ECHO_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
