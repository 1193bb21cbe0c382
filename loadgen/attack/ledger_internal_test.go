package attack

import (
	"strings"
	"testing"
	"time"
)

// URLs are as long as what a target sends, so that they bound a block as its hits do.
func TestLongURLsFillABlock(t *testing.T) {
	l := newLedger(true, func() time.Duration { return 0 })
	l.urls = true
	long := strings.Repeat("x", 16<<10)
	for range 100 {
		l.ended(&hit{url: long})
	}
	blocks := l.take()
	hits := 0
	for _, b := range blocks {
		if hits += len(b.ends); b.text > maxText+len(long) || len(b.urls) != len(b.ends) {
			t.Errorf("a block has %d hits, %d URLs of %d bytes", len(b.ends), len(b.urls), b.text)
		}
		l.give(b)
		if b.text != 0 || len(b.urls) != 0 || b.urls[:1][0] != "" {
			t.Error("a block that was read keeps its URLs")
		}
	}
	if hits != 100 || len(blocks) < 6 {
		t.Errorf("%d hits in %d blocks, want 100 in 7", hits, len(blocks))
	}
}

// A moment in which nothing is summed up, or nothing is answered, does not keep its
// memory for the rest of the drill.
func TestABacklogGivesItsMemoryBack(t *testing.T) {
	l := newLedger(true, func() time.Duration { return 0 })
	for range 200 * blockSize {
		l.ended(&hit{})
	}
	for _, b := range l.take() {
		l.give(b)
	}
	if n := len(l.spare); n == 0 || n > maxSpare {
		t.Errorf("%d blocks are kept, want up to %d", n, maxSpare)
	}
	line := &timeline{}
	for range 10 * maxSpares {
		line.recycle(&hit{})
	}
	n := 0
	for h := line.spare; h != nil; h = h.free {
		n++
	}
	if n != maxSpares || line.spares != n {
		t.Errorf("%d hits are kept, counted as %d, want %d", n, line.spares, maxSpares)
	}
	for range n {
		line.fresh()
	}
	if line.spare != nil || line.spares != 0 {
		t.Errorf("%d hits are left", line.spares)
	}
}
