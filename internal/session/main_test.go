package session

import (
	"testing"

	"wsify/internal/testtool"
)

func TestMain(m *testing.M) { testtool.Main(m) }
