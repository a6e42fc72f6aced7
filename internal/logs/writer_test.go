package logs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a file whose writes wait or fail, as the test says.
type sink struct {
	gate chan struct{} // nil: writes do not wait

	mu  sync.Mutex
	err error
	got strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.got.Write(p)
}

func (s *sink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func say(to io.Writer, n uint64) { fmt.Fprintf(to, "%d dropped\n", n) }

func TestLinesAreWrittenInOrderByTheEnd(t *testing.T) {
	var want strings.Builder
	s := &sink{}
	w := NewWriter(s, say)
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if n, err := w.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	w.Close(time.Minute)
	if s.got.String() != want.String() || w.Dropped() != 0 {
		t.Errorf("got\n%swant\n%s%d dropped, want none", s.got.String(), want.String(), w.Dropped())
	}
}

func TestLinesThatFindTheQueueFullAreDroppedCountedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		w := NewWriter(s, say)
		fmt.Fprintln(w, "first")
		synctest.Wait() // the line is being written
		half := strings.Repeat("x", maxQueue/2-1) + "\n"
		for range 5 { // two fit
			fmt.Fprint(w, half)
		}
		if got := w.Dropped(); got != 3 {
			t.Errorf("%d dropped, want 3", got)
		}
		close(s.gate)
		synctest.Wait()
		fmt.Fprintln(w, "last")
		w.Close(time.Minute)
		if want := "first\n" + half + half + "3 dropped\nlast\n"; s.got.String() != want {
			t.Errorf("%d bytes were written that end with %q; want %d", s.got.Len(), s.got.String()[max(0, s.got.Len()-50):], len(want))
		}
	})
}

func TestLinesThatCannotBeWrittenAreReportedWhenTheyCanAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{err: errors.New("broken pipe")}
		w := NewWriter(s, say)
		for range 3 {
			fmt.Fprintln(w, "lost")
			synctest.Wait()
		}
		s.fail(nil)
		fmt.Fprintln(w, "there")
		fmt.Fprintln(w, "again")
		w.Close(time.Minute)
		if got := s.got.String(); got != "there\nagain\n3 dropped\n" && got != "there\n3 dropped\nagain\n" || w.Dropped() != 3 {
			t.Errorf("got %q, %d dropped", got, w.Dropped())
		}
	})
}

func TestCloseDoesNotWaitLongerForAWriteThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		w := NewWriter(s, say)
		fmt.Fprintln(w, "stuck")
		began := time.Now()
		w.Close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v, want 1s", took)
		}
		if fmt.Fprintln(w, "late"); w.Dropped() != 1 {
			t.Errorf("%d dropped, want the line that came after Close", w.Dropped())
		}
		close(s.gate)
		w.Close(time.Second)
	})
}
