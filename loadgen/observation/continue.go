package observation

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Continue opens a folder that a Recorder left without closing it, after its process
// died. What was torn at the end of journal and samples is cut off. The windows are
// emptied: the caller writes them again, from where they were kept.
func Continue(dir string) (*Recorder, error) {
	r := &Recorder{dir: dir}
	for _, f := range []struct {
		name string
		to   **os.File
	}{{JournalFile, &r.journal}, {SamplesFile, &r.samples}} {
		file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_RDWR|os.O_CREATE, 0o644)
		if err == nil {
			*f.to = file
			err = cutTorn(file)
		}
		if err != nil {
			r.closeFiles()
			return nil, fmt.Errorf("continue bundle: %w", err)
		}
	}
	var err error
	if r.windows, err = os.Create(filepath.Join(dir, WindowsFile)); err != nil {
		r.closeFiles()
		return nil, fmt.Errorf("continue bundle: %w", err)
	}
	at, err := r.samples.Seek(0, io.SeekCurrent)
	return r, r.begin(err == nil && at == 0)
}

// cutTorn ends a file after its last whole line, and goes there.
func cutTorn(f *os.File) error {
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(b, '\n') + 1)
	if err := f.Truncate(whole); err != nil {
		return err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return err
}
