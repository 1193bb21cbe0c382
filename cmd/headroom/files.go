package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/reports"
	"github.com/headroom-project/headroom/scenarios"
)

// readFile reads at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil && !strings.ContainsAny(name, `/\`) && strings.Contains(name, ":") {
		return nil, badInput("for a URL, write http://"+name+"/", "%w", err)
	}
	if err != nil {
		return nil, badInput("check the path; headroom scenario list names the built-in scenarios", "%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, badInput("", "read %s: %w", name, err)
	}
	return b, nil
}

// inputs are the files, relative to the scenario's folder, and the environment.
func inputs(dir string) scenarios.Inputs {
	return scenarios.Inputs{
		Open: func(name string) (io.ReadCloser, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, name)
			}
			return os.Open(name)
		},
		Env: os.LookupEnv,
	}
}

func computeBundle(dir string) (*reports.Run, error) {
	e, err := observation.Open(dir)
	if err != nil {
		return nil, badInput("a bundle is the folder that headroom drill names at its end", "%w", err)
	}
	return reports.Compute(e)
}

// writeReports writes run.json and report.html beside the evidence.
func writeReports(dir string, r *reports.Run) error {
	for _, f := range []struct {
		name   string
		render func(io.Writer, *reports.Run) error
	}{{"run.json", reports.JSON}, {"report.html", reports.HTML}} {
		var b bytes.Buffer
		if err := f.render(&b, r); err != nil {
			return fmt.Errorf("render %s: %w", f.name, err)
		}
		path := filepath.Join(dir, f.name)
		err := os.WriteFile(path+".part", b.Bytes(), 0o644)
		if err == nil {
			err = os.Rename(path+".part", path)
		}
		if err != nil {
			_ = os.Remove(path + ".part")
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}
