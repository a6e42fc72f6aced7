package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// sessionOfAllKinds is a whole session: every command, every kind of frame, messages
// in fragments with control frames between, errors with an id, and the end. It must
// receive its own publications before it leaves.
func sessionOfAllKinds() string {
	command := `{"command":"broadcast","args":{"channel":"split","content":"in f` + "\u00e4\U0001f600" + `ragments"},"id":3}`
	return message(`{"command":"join","args":{"channel":" split "},"id":1}`) +
		message(`{"command":"broadcast","args":{"channel":"split","content":{"n":12345678901234567890}},"id":"two"}`) +
		part(opText, command[:20]) + final(opPing, "between") + part(opContinuation, "") +
		part(opContinuation, command[20:70]) + final(opPong, "") + final(opContinuation, command[70:]) +
		final(opBinary, `{"command":"broadcast","args":{"channel":"split"},"id":4}`) +
		message(`not JSON`) +
		message(`{"command":"dance","id":5}`) +
		message(`{"command":"broadcast","args":{"channel":"split","content":"`+strings.Repeat("long ", 40)+`"}}`) +
		message(`{"command":"leave","args":{"channel":"split"},"id":6}`) +
		closing(3210, "bye")
}

// A transcript is the frames that a session got. Publications are in order, and so are
// answers. How the two interleave depends on how the input was read.
type transcript struct{ answers, heard []string }

func (p *peer) transcript() (got transcript) {
	p.t.Helper()
	for {
		f, err := p.next()
		switch {
		case err != nil:
			p.t.Fatalf("after %q: %v", got, err)
		case f.op == opText && !strings.HasPrefix(f.payload, `{"id":`):
			got.heard = append(got.heard, f.payload)
		default:
			got.answers = append(got.answers, f.String())
		}
		if f.op == opClose {
			p.expectEnd()
			return got
		}
	}
}

// handled waits until the server has read n more bytes than before.
func handled(t testing.TB, srv *Server, before uint64, n int) {
	t.Helper()
	testtool.Until(t, fmt.Sprintf("%d bytes are read", n), func() bool {
		return srv.group.Stats().BytesReceived >= before+uint64(n)
	})
}

// playInPieces sends a session in pieces, each when the server has read the one before.
// It returns the answers.
func playInPieces(t *testing.T, srv *Server, pieces ...string) transcript {
	t.Helper()
	p := dial(t, srv)
	before := srv.group.Stats().BytesReceived
	sent := 0
	for _, piece := range pieces {
		p.write(piece)
		sent += len(piece)
		handled(t, srv, before, sent)
	}
	p.expectUpgrade()
	return p.transcript()
}

func expectSame(t *testing.T, how string, got, want transcript) {
	t.Helper()
	if !slices.Equal(got.answers, want.answers) || !slices.Equal(got.heard, want.heard) {
		t.Fatalf("%s:\n%q\nwhole:\n%q", how, got, want)
	}
}

// inPieces cuts a session into pieces of size bytes.
func inPieces(session string, size int) (pieces []string) {
	for piece := range slices.Chunk([]byte(session), size) {
		pieces = append(pieces, string(piece))
	}
	return pieces
}

func TestASessionCutAnywhereGetsTheAnswersOfTheWhole(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	session := upgradeHead("/ws") + sessionOfAllKinds()
	want := playInPieces(t, srv, session)
	for cut := 1; cut < len(session); cut += unlessRace(1, 7) {
		expectSame(t, fmt.Sprintf("cut at %d of %d", cut, len(session)), playInPieces(t, srv, session[:cut], session[cut:]), want)
	}
}

func TestASessionInPiecesOfEverySizeGetsTheAnswersOfTheWhole(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	session := upgradeHead("/ws") + sessionOfAllKinds()
	want := playInPieces(t, srv, session)
	if len(want.answers) != 8 || len(want.heard) != 4 {
		t.Fatalf("the whole session: %q", want)
	}
	for _, size := range []int{1, 2, 3, 5, 7, 13, 64, 125, 126, 400} {
		expectSame(t, fmt.Sprintf("in pieces of %d", size), playInPieces(t, srv, inPieces(session, size)...), want)
	}
}

// pongsFirst returns the transcript with all pongs first, so that their time does not matter.
func (t transcript) pongsFirst() transcript {
	isPong := func(answer string) int {
		if strings.HasPrefix(answer, "pong ") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(t.answers, func(a, b string) int { return isPong(a) - isPong(b) })
	return t
}

// With an authorizer a session parks at each command. Later input has to wait, except
// pings.
func TestASessionWithAnAuthorizerCutAnywhereGetsTheAnswersOfTheWhole(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{AuthorizerURL: newWebhook(t, nil).URL})
	session := upgradeHead("/ws") + sessionOfAllKinds()
	want := playInPieces(t, srv, session).pongsFirst()
	for cut := 1; cut < len(session); cut += unlessRace(5, 35) {
		got := playInPieces(t, srv, session[:cut], session[cut:]).pongsFirst()
		expectSame(t, fmt.Sprintf("cut at %d of %d", cut, len(session)), got, want)
	}
}
