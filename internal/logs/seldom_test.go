package logs

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheSameFaultIsLoggedOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got strings.Builder
		noTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		log := slog.New(Seldom(slog.NewTextHandler(&got, &slog.HandlerOptions{ReplaceAttr: noTime})))
		for range 3 {
			log.Warn("a", "n", 1)
			log.With("loop", 7).Warn("a")
			log.Error("b")
			log.Info("c")
			log.Debug("d")
			time.Sleep(seldomPause / 2)
		}
		want := "level=WARN msg=a n=1\nlevel=ERROR msg=b\nlevel=INFO msg=c\n" +
			"level=INFO msg=c\n" +
			"level=WARN msg=a n=1 left_out=3\nlevel=ERROR msg=b left_out=1\nlevel=INFO msg=c\n"
		if got.String() != want {
			t.Errorf("got\n%swant\n%s", got.String(), want)
		}
	})
}
