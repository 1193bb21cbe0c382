package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// rawFile keeps the result of every hit; nil keeps none.
type rawFile struct {
	raw  *attack.Raw
	file *os.File
}

// createRaw opens the file of --raw, whose ending says the encoding.
func createRaw(path string, r *scenarios.Requests, started time.Time) (*rawFile, error) {
	if path == "" {
		return &rawFile{}, nil
	}
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	if format != "csv" && format != "json" {
		format = "gob"
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, badInput("--raw names a file in a folder that exists and can be written", "drill: %w", err)
	}
	raw, err := attack.NewRaw(attack.RawConfig{To: f, Format: format, Requests: r, Started: started})
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &rawFile{raw, f}, nil
}

// close writes what is left; an error means that the file is not whole.
func (r *rawFile) close() error {
	if r.file == nil {
		return nil
	}
	err := r.raw.Close()
	if cerr := r.file.Close(); err == nil {
		err = cerr
	}
	return err
}
