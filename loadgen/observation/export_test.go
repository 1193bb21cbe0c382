package observation

import (
	"bytes"
	"os"
	"testing"
)

// FillDisk makes every further write of windows fail as on a full disk.
func (r *Recorder) FillDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.windows.Close()
	r.windows = full
	r.zip.Reset(full)
}

// WriteLine is how a Recorder writes a window.
func (w *Window) WriteLine(to *bytes.Buffer) error { return w.writeLine(to) }
